"""A luigi.cfg with all options that luigi has: each command takes or names each, as the page says."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import running
from tests.e2e.with_luigi_cfg import Done, Run, namespace, run
from tests.harness import ServerProcess
from tests.luigi_sections import luigis_options, row_of

__all__ = ["namespace", "run"]  # fixtures

# Values of options without a default, and of those whose default would end the run or is not told of.
VALUES = {
    ("core", "module"): "pipe",
    ("core", "take_lock"): "true",
    ("core", "help"): "true",
    ("core", "help_all"): "true",
    ("core", "rpc_connect_timeout"): "5",
    ("core", "rpc_retry_attempts"): "1",
    ("core", "rpc_retry_wait"): "0",
    ("core", "rpc_log_retries"): "true",
    ("core", "no_configure_logging"): "false",
    ("core", "autoload_range"): "true",
    ("worker", "task_limit"): "100",
    ("scheduler", "record_task_history"): "true",
    ("scheduler", "metrics_collector"): "datadog",
    ("scheduler", "metrics_custom_import"): "my.collector",
    ("prometheus", "use_task_family_in_labels"): "false",
    ("prometheus", "task_parameters_to_use_in_labels"): '["date"]',
    ("scheduler", "batch_emails"): "true",
    ("smtp", "password"): "geheim",
    ("sendgrid", "apikey"): "geheim",
    ("task_history", "db_connection"): "sqlite:///geheim.db",
}


def text_of(option: tuple[str, str], parameter: Any) -> str:
    """How luigi.cfg has it."""
    if option in VALUES:
        return VALUES[option]
    default = parameter._default
    if isinstance(default, enum.Enum):
        return default.name
    return "" if default is None else str(parameter.serialize(default))


def everything(url: str) -> str:
    """Such a luigi.cfg."""
    lines: dict[str, list[str]] = {"resources": ["db = 2"], "settings": ["bucket = mine"], "logging": ["version = 1"]}
    for (section, option), parameter in luigis_options().items():
        value = url if option == "scheduler_url" else text_of((section, option), parameter)
        lines.setdefault(section, []).append(f"{option} = {value.replace('%', '%%')}")
    return "\n".join(f"[{section}]\n" + "\n".join(options) for section, options in lines.items())


@pytest.fixture
def told(run: Run, namespace: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """What a command says to such a file."""
    command = request.param
    redis = {"BSCHED_REDIS": running("redis8").url}
    cfg = everything("http://127.0.0.1:9/")
    if command == "server":
        (tmp_path / "luigi.cfg").write_text(cfg)
        path = {"LUIGI_CONFIG_PATH": str(tmp_path / "luigi.cfg")}
        server = ServerProcess("--namespace", namespace, environment={**redis, **path}).await_ready()
        server.stop()
        return "\n".join(server.said)
    words = {
        "run": ("run", "pipe", "Report", "--local-scheduler"),
        "submit": ("submit", "Report", "--redis", redis["BSCHED_REDIS"]),
        "worker": ("worker", "--burst", "--redis", redis["BSCHED_REDIS"]),
    }[command]
    done: Done = run("bsched", *words, cfg=cfg, BSCHED_NAMESPACE=namespace)
    assert done.code == 0, done
    return done.out + done.err


@pytest.mark.parametrize(
    ("told", "command"), [(each, each) for each in ("run", "submit", "worker", "server")], indirect=["told"]
)
def test_each_option_is_taken_or_named_with_what_to_do(told: str, command: str) -> None:
    assert "geheim" not in told
    named = [line for line in told.splitlines() if line.startswith("Warning: ")]
    others = next((line for line in told.splitlines() if " read [" in line or "reads [" in line), "")
    assert len(named) == len(set(named)) and named
    for section, option in luigis_options():
        row = row_of(section, option)
        is_taken = command in row.takers
        is_named = any(f"[{section}] " in line and f"{option}" in _names(line, section) for line in named)
        is_others = f"[{section}]" in others
        concerns_only_others = bool(row.takers) and not is_taken  # such as `workers` for submit
        is_workers = command == "server" and section == "core"  # luigid reads nothing else of it
        expected = not (is_taken or is_others or concerns_only_others or is_workers)
        assert is_named == expected, (section, option, row, named)


def _names(line: str, section: str) -> list[str]:
    """The options of a section that a warning names."""
    part = line.split(f"[{section}] ", 1)[1].split(": ")[0].split("; ")[0]
    return part.split(", ")
