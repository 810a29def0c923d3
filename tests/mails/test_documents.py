"""docs/mails.md: every option is in it, with its default, and its examples work."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from broker_sched import luigi_config
from broker_sched.config import OPTIONS
from broker_sched.mails.settings import SECTIONS, parse_settings, variable_of
from tests.mails.mailbox import ROOT

DOCUMENT = (ROOT / "docs" / "mails.md").read_text()


def test_every_option_is_in_the_document_with_its_default() -> None:
    told = {name: default.strip() for name, default in re.findall(r"^\| `(\[\w+\] \w+)` \|([^|]*)\|", DOCUMENT, re.M)}
    expected = {}
    for section, cls in SECTIONS.items():
        for option in dataclasses.fields(cls):
            default = option.default
            is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
            text = f"{default:g}" if is_number else str(default).lower() if default is not None else ""
            expected[f"[{section}] {option.name}"] = text
    assert told == expected


def test_the_examples_of_a_configuration_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMTP_PASSWORD", "s3cret")
    monkeypatch.setattr(luigi_config.sys, "modules", {})  # as in a program without luigi
    for block in re.findall(r"```ini\n(.*?)```", DOCUMENT, re.S):
        (tmp_path / "luigi.cfg").write_text(block)
        found = parse_settings(luigi_config.read(), {})
        if "[smtp]" in block:
            assert found.email.receivers == ["ops@example.com", "boss@example.com"]
            assert (found.smtp.host, found.smtp.username, found.smtp.password) == (
                "mail.example.com",
                "pipelines",
                "s3cret",
            )


def test_every_variable_in_the_document_is_one_that_is_read() -> None:
    known = {
        variable_of(section, option.name) for section, cls in SECTIONS.items() for option in dataclasses.fields(cls)
    }
    known |= {f"BSCHED_{option.upper()}" for option in OPTIONS}
    named = set(re.findall(r"BSCHED_[A-Z_]*[A-Z]\b(?!_)", DOCUMENT))
    assert named and named <= known, named - known
