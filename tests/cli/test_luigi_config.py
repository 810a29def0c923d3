"""Luigi's configuration is read as luigi reads it, whether luigi is imported or not."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import luigi
import pytest

from broker_sched import luigi_config
from broker_sched.errors import ConfigurationError
from broker_sched.luigi_config import OLD_NAMES, LuigiConfig

CFG = """
[DEFAULT]
root = /data
[core]
default-scheduler-url = http://${HOST_OF_LUIGID}:8082
rpc_retry_attempts = 2
error-email = ops@example.org
worker-timeout = 5
[worker]
keep-alive = true
keep_alive = false
timeout = 7
[settings]
Bucket = %(root)s/b
bucket = other
password = 50%%
[resources]
db = 2
"""
ASKED = [
    *(("core", each) for each in ("default_scheduler_url", "rpc_retry_attempts", "error_email", "root")),
    *(("worker", each) for each in ("keep_alive", "timeout", "nothing")),
    *(("settings", each) for each in ("Bucket", "bucket", "password")),
    *(("resources", "db"), ("nowhere", "root")),
]
OURS = """
import json, sys
{first}
from broker_sched import luigi_config
config = luigi_config.read()
print(json.dumps([config.section(section).get(option) for section, option in json.loads(sys.argv[1])]))
"""
LUIGIS = """
import json, sys, warnings
warnings.simplefilter("ignore")
from luigi.configuration import get_config
print(json.dumps([get_config().get(section, option, None) for section, option in json.loads(sys.argv[1])]))
"""


def answers(code: str, directory: Path, **environment: str) -> list[str | None]:
    """What a new Python says to what is ASKED."""
    path = str(Path(luigi_config.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, json.dumps(ASKED)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": path, "HOST_OF_LUIGID": "h", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: list[str | None] = json.loads(done.stdout)
    return found


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Read these files, written to a directory, without luigi."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "luigi.configuration")

    def reading(files: Mapping[str, str], **environment: str) -> LuigiConfig:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        return luigi_config.read(environment)

    return reading


@pytest.mark.parametrize("first", ["", "import luigi"])
@pytest.mark.parametrize("more", [False, True])
def test_every_value_is_the_one_that_luigi_reads(tmp_path: Path, first: str, more: bool) -> None:
    (tmp_path / "luigi.cfg").write_text(CFG)
    (tmp_path / "client.cfg").write_text("[worker]\ntimeout = 1\nnothing = 0\n")
    environment = {}
    if more:
        (tmp_path / "more.ini").write_text("[worker]\ntimeout = 9\n[resources]\ndb = 3\n")
        environment["LUIGI_CONFIG_PATH"] = "more.ini"
    wanted = answers(LUIGIS, tmp_path, **environment)
    assert len(set(wanted)) > 8
    assert answers(OURS.format(first=first), tmp_path, **environment) == wanted


def test_what_a_program_tells_luigi_counts_where_luigi_is_imported(tmp_path: Path) -> None:
    first = "import luigi\nluigi.configuration.get_config().set('resources', 'db', '4')"
    assert answers(OURS.format(first=first), tmp_path)[ASKED.index(("resources", "db"))] == "4"


def test_older_names_are_those_that_luigi_knows() -> None:
    for module in ("interface", "worker", "notifications", "batch_notifier", "scheduler", "execution_summary"):
        importlib.import_module(f"luigi.{module}")
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for cls in luigi.Config.__subclasses__():
        if cls.__module__.startswith("luigi.") and "contrib" not in cls.__module__:
            for name, parameter in cls.get_params():
                old = parameter._config_path
                if old:
                    found.setdefault(cls.__name__, {})[name] = (old["section"], old["name"].replace("-", "_"))
    assert found == OLD_NAMES


def test_older_names_are_read_and_newer_ones_win(read: Any) -> None:
    config = read({"luigi.cfg": CFG})
    assert config.section("email")["receiver"] == "ops@example.org"
    assert config.section("worker")["timeout"] == "7"
    assert config.where("email", "receiver") == "luigi.cfg, [core] error-email"


def test_what_the_command_line_says_wins(read: Any) -> None:
    config = read({"luigi.cfg": CFG}).with_given({"worker": {"timeout": "1"}, "smtp": {"host": "h"}})
    assert (config.section("worker")["timeout"], config.section("smtp")["host"]) == ("1", "h")
    assert config.where("worker", "timeout") == "the command line, [worker] timeout"


def test_each_option_is_told_with_its_file_and_as_it_is_written(read: Any) -> None:
    config = read({"luigi.cfg": CFG, "more.cfg": "[worker]\ntimeout = 2\n"}, LUIGI_CONFIG_PATH="more.cfg")
    assert [str(each) for each in config.written("worker")] == [
        "luigi.cfg, [worker] keep_alive",
        "more.cfg, [worker] timeout",
    ]
    assert [each.option for each in config.written("resources")] == ["db"], "without those of [DEFAULT]"
    assert config.section("resources")["root"] == "/data"
    assert config.files == ("luigi.cfg", "more.cfg")


TOML = """
[core]
scheduler_url = "http://h"
workers = 3
no_configure_logging = false
[settings]
list = [1, 2]
[logging]
version = 1
[logging.loggers.x]
level = "INFO"
"""


def test_toml_is_read_where_its_parser_is_chosen(read: Any) -> None:
    config = read({"luigi.toml": TOML}, LUIGI_CONFIG_PARSER="toml")
    assert dict(config.section("core")) == {
        "scheduler_url": "http://h",
        "workers": "3",
        "no_configure_logging": "false",
    }
    assert config.section("settings")["list"] == "[1, 2]"
    assert config.table("logging") == {"version": 1, "loggers": {"x": {"level": "INFO"}}}
    assert config.where("core", "workers") == "luigi.toml, [core] workers"


def test_files_that_luigi_passes_over_are_told(read: Any) -> None:
    config = read({"luigi.toml": TOML}, LUIGI_CONFIG_PATH="/none.cfg")
    assert config.files == () and not config.section("core")
    assert config.remarks == (
        "LUIGI_CONFIG_PATH names /none.cfg, which is no file.",
        "luigi.toml is not read unless LUIGI_CONFIG_PARSER is toml.",
    )
    assert "luigi.toml" in read({}, LUIGI_CONFIG_PATH="luigi.toml").remarks[0]
    assert "yaml" in read({}, LUIGI_CONFIG_PARSER="yaml").remarks[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[core]\na = geheim\na = 2\n", "luigi.cfg can't be read: line 3: [core] has a twice."),
        ("[core]\n[core]\n", "luigi.cfg can't be read: line 2: there is a second section [core]."),
        ("geheim\n[core]\n", "luigi.cfg can't be read: line 1: it stands before the first [section]."),
        ("[core]\ngeheim\n", "luigi.cfg can't be read: line 2: it is no NAME = VALUE."),
    ],
)
def test_a_file_that_can_not_be_read_is_told_with_its_line_and_without_its_text(
    read: Any, text: str, told: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read({"luigi.cfg": text})
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("geheim${NOT_SET_HERE}", "it refers to ${NOT_SET_HERE}, which the environment does not have."),
        ("geheim%(gone)s", "it refers to %(gone)s, and [core] has no such option."),
        ("geheim%", "its % signs can't be read; write %% for one."),
    ],
)
def test_a_value_that_refers_to_nothing_is_an_error_only_when_it_is_asked_for(read: Any, value: str, told: str) -> None:
    section = read({"luigi.cfg": f"[core]\na = {value}\nb = 1\n"}).section("core")
    assert section["b"] == "1"
    with pytest.raises(ConfigurationError) as caught:
        section["a"]
    assert str(caught.value) == f"luigi.cfg, [core] a can't be used: {told}"


def test_toml_that_can_not_be_read_is_told_with_its_line(read: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"luigi.toml can't be read: line 2: it is no TOML."):
        read({"luigi.toml": "[core]\na = \n"}, LUIGI_CONFIG_PARSER="toml")


TOML_OF_ALL = """
[core]
default-scheduler-url = "http://h:8082"
rpc_retry_attempts = 2
error_email = "ops@example.org"
[worker]
keep_alive = "false"
timeout = 7
[settings]
Bucket = "b"
[resources]
db = 2
"""


@pytest.mark.parametrize("first", ["", "import luigi"])
def test_toml_has_the_values_that_luigi_reads(tmp_path: Path, first: str) -> None:
    (tmp_path / "luigi.toml").write_text(TOML_OF_ALL)
    ours = answers(OURS.format(first=first), tmp_path, LUIGI_CONFIG_PARSER="toml")
    wanted = answers(LUIGIS, tmp_path, LUIGI_CONFIG_PARSER="toml")
    # Luigi finds `default_scheduler_url` in luigi.toml only as it is written there.
    assert ours[0] == "http://h:8082" and wanted[0] is None
    assert ours[1:] == [None if value is None else str(value) for value in wanted[1:]]


def test_a_luigi_that_could_not_be_imported_is_none(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ImportError("Parser not installed yet.")

    monkeypatch.setitem(sys.modules, "luigi.configuration", type("Broken", (), {"get_config": staticmethod(fails)}))
    assert read({"luigi.cfg": CFG}).section("worker")["timeout"] == "7"
