"""What is true and what is false is the same for every option that is written as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from broker_sched import luigi_config
from broker_sched.config import parse_option
from broker_sched.errors import ConfigurationError
from broker_sched.mails.settings import parse_settings
from broker_sched.worker.config import WorkerConfig

Read = Callable[[str], object]


def read_mail_option(text: str) -> bool:
    return parse_settings(luigi_config.read({}), {"BSCHED_SMTP_VERIFY": text}).smtp.verify


READERS: dict[str, Read] = {
    "the scheduler": lambda text: parse_option("prune_on_get_work", text),
    "the worker": lambda text: WorkerConfig.parse({"keep_alive": text}).keep_alive,
    "mails": read_mail_option,
}


@pytest.fixture(params=READERS)
def read(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    monkeypatch.chdir(tmp_path)
    return READERS[request.param]


@pytest.mark.parametrize("text", ["1", "true", "YES", "On"])
def test_words_for_true_are_taken_by_every_option(read: Read, text: str) -> None:
    assert read(text) is True


@pytest.mark.parametrize("text", ["0", "False", "no", "OFF"])
def test_words_for_false_are_taken_by_every_option(read: Read, text: str) -> None:
    assert read(text) is False


def test_any_other_word_is_refused_by_every_option(read: Read) -> None:
    with pytest.raises(ConfigurationError, match=r"'maybe'.*true or false|true or false.*'maybe'"):
        read("maybe")
