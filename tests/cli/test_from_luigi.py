"""`bsched config from-luigi` says of every option what becomes of it, and says it without what is secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from broker_sched.mails.settings import SECTIONS as MAIL_SECTIONS
from broker_sched.mails.settings import variable_of
from bsched.main import cli
from bsched.options.luigi import SECTIONS, fate_of
from tests.luigi_sections import luigis_options

CFG = """
[core]
default-scheduler-url = http://me:geheim@sched.example:8082
worker-timeout = 5
no_lock = true
take-lock = true
[worker]
keep_alive = true
wait_intervall = 3
timeout = never
[scheduler]
retry_delay = 60
state_path = /var/lib/x
record_task_history = true
disable_window = x
[resources]
My-Db = 3
gpu = -1
[smtp]
password = geheim
host = ${NOT_SET_ANYWHERE}
[MyTask]
x = 1
"""


def rows_of(path: Path, text: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    """What the command prints as JSON, by section and option."""
    path.write_text(text)
    result = CliRunner().invoke(cli, ["config", "from-luigi", str(path), "--json"])
    assert result.exit_code == 0, result.output
    assert "geheim" not in result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {(row["section"], row["option"]): row for row in rows}


def test_each_option_is_taken_or_translated_or_refused_with_a_reason(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "luigi.cfg", CFG)
    here = {key: row["here"] for key, row in rows.items() if row["here"]}
    assert here == {
        ("core", "default-scheduler-url"): "--scheduler-url http://me:***@sched.example:8082",
        ("core", "worker-timeout"): "--set timeout=5",
        ("worker", "keep_alive"): "--set keep_alive=true",
        ("scheduler", "retry_delay"): "bsched config set retry_delay=60",
        ("resources", "My-Db"): "bsched resource set My-Db 3",
        ("smtp", "password"): "BSCHED_SMTP_PASSWORD=***",
    }
    problems = {key: row["problem"] for key, row in rows.items() if row["problem"]}
    assert sorted(problems) == [
        *(("resources", "gpu"), ("scheduler", "disable_window"), ("smtp", "host")),
        *(("worker", "timeout"), ("worker", "wait_intervall")),
    ]
    assert "Did you mean wait_interval?" in problems["worker", "wait_intervall"]
    assert "NOT_SET_ANYWHERE" in problems["smtp", "host"]
    instead = {key[1]: row["instead"] for key, row in rows.items() if row["instead"]}
    assert sorted(instead) == ["record_task_history", "state_path", "take-lock"], "no_lock is what we do anyway"
    assert "bsched import-luigi" in instead["state_path"] and "flock" in instead["take-lock"]
    assert ("MyTask", "x") not in rows
    assert rows["scheduler", "retry_delay"]["taken_by"] == ["bsched server", "bsched run --local-scheduler"]


def test_people_are_told_which_sections_their_tasks_read(tmp_path: Path) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_text(CFG)
    result = CliRunner().invoke(cli, ["config", "from-luigi", str(path)])
    assert "[MyTask]" in result.stderr and "[core]" not in result.stderr
    assert re.search(
        r"^\[scheduler\] +retry_delay +60 +bsched server, .* bsched config set retry_delay=60$", result.stdout, re.M
    )
    assert "geheim" not in result.output


def test_toml_is_read_where_the_files_name_says_so(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "luigi.toml", "[worker]\nkeep_alive = true\n[resources]\ndb = 3\n")
    assert [row["here"] for row in rows.values()] == ["--set keep_alive=true", "bsched resource set db 3"]


@pytest.mark.parametrize(("name", "text"), [("missing.cfg", None), ("luigi.cfg", "no section = 1\n")])
def test_a_file_that_can_not_be_read_is_an_error(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    result = CliRunner().invoke(cli, ["config", "from-luigi", str(tmp_path / name)])
    assert result.exit_code == 2
    assert f"{tmp_path / name} can't be read" in result.stderr


def test_what_luigi_would_find_is_shown_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LUIGI_CONFIG_PATH", raising=False)
    code = "from bsched.main import main; main()"
    import subprocess
    import sys

    (tmp_path / "luigi.cfg").write_text("[scheduler]\nretry_count = 4\n")
    done = subprocess.run(
        [sys.executable, "-c", code, "config", "from-luigi", "--json"], capture_output=True, text=True, timeout=60
    )
    assert [json.loads(line)["here"] for line in done.stdout.splitlines()] == ["bsched config set retry_count=4"]


def test_every_option_of_luigis_is_taken_by_a_command_or_has_a_reason_why_not() -> None:
    for section, option in luigis_options():
        fate = fate_of(section, option)
        assert fate is not None and (fate.commands or fate.instead), (section, option)


def test_what_is_said_instead_of_the_file_exists() -> None:
    """The options of `bsched run`, the commands, and the variables of the environment."""
    context = click.Context(cli)
    run = cli.get_command(context, "run")
    assert run is not None
    flags = {name for parameter in run.params for name in parameter.opts}
    for section, options in SECTIONS.items():
        for option, fate in options.items():
            words = fate.here.format(name=option, value="1").split(" (")[0].split()
            if words and words[0].startswith("--"):
                known = words[0] in flags or words[0] == "--execution-summary-summary-length"
                assert known, (section, option, words)
            elif words and words[0] == "bsched":
                command: Any = cli
                for word in words[1:3]:
                    command = command.get_command(context, word)
                    assert command is not None, words
            elif words:
                assert section in MAIL_SECTIONS or section == "batch_email"
                name = "batch_notifier" if section.startswith("batch") else section
                assert words[0].startswith(variable_of(name, option)), words
