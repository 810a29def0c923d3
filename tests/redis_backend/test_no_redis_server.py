"""A machine without any redis-server: nothing that others should share is kept in a process that ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from broker_sched import ConfigurationError, Scheduler
from broker_sched.redis_backend import embedded_server as embedded
from broker_sched.redis_backend.urls import is_in_process
from tests.documents import ROOT
from tests.programs import Ended, Program

PIPELINE = """
from broker_sched import LocalTarget, Task

class Small(Task):
    def output(self): return LocalTarget("out")
    def run(self):
        with self.output().open("w") as file: file.write("x")
"""
INSTALL = r"This is Python \d+\.\d+ on .*redis-server or valkey-server is on PATH.*BSCHED_REDIS"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of such a machine: no server on PATH, and packages without one in the place of the wheels."""
    for package in embedded.WHEELS:
        (tmp_path / "packages" / package).mkdir(parents=True)
        (tmp_path / "packages" / package / "__init__.py").touch()
    (tmp_path / "small_pipeline.py").write_text(PIPELINE)
    path = os.pathsep.join([str(tmp_path / "packages"), str(ROOT), str(ROOT / "cli"), str(tmp_path)])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BSCHED_")}
    return {**kept, "PATH": "/nowhere", "PYTHONPATH": path, "BSCHED_DATA_DIR": str(tmp_path / "data")}


def run(environment: dict[str, str], directory: Path, *words: str, program: str = "bsched.main") -> Ended:
    return Ended(Program(*words, program=program, cwd=directory, env=environment))


@pytest.mark.parametrize(
    "command",
    [
        ["submit", "small_pipeline", "Small"],
        ["config", "set", "retry_delay=60"],
        ["config"],
        ["run", "small_pipeline", "Small"],
        ["worker", "--burst"],
        ["server", "--port", "0"],
        ["call", "task_list"],
        ["verify"],
        ["submission", "list"],
        ["redis", "start"],
    ],
    ids=" ".join,
)
def test_a_command_that_shares_its_state_says_what_to_install_and_fails(
    bare: dict[str, str], tmp_path: Path, command: list[str]
) -> None:
    done = run(bare, tmp_path, *command)
    assert done.returncode == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: There is no redis-server")
    assert "BSCHED_REDIS" in line
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_a_run_with_a_scheduler_of_its_own_needs_none(bare: dict[str, str], tmp_path: Path) -> None:
    done = run(bare, tmp_path, "run", "small_pipeline", "Small", "--local-scheduler")
    assert done.returncode == 0, done
    assert (tmp_path / "out").read_text() == "x"


def test_the_demo_says_what_to_install_and_fails(bare: dict[str, str], tmp_path: Path) -> None:
    done = run(bare, tmp_path, program=str(ROOT / "demo" / "run.py"))
    assert done.returncode == 1
    assert done.stderr.startswith("The demo needs a redis-server. This is Python")
    assert done.stdout == ""


def test_a_scheduler_on_local_is_no_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded, "find_server", lambda: None)
    assert not is_in_process("local:")
    with pytest.raises(ConfigurationError, match=INSTALL):
        Scheduler(f"local://{tmp_path}")


@pytest.mark.parametrize(
    ("system", "machine", "version", "has_wheel"),
    [
        ("linux", "x86_64", (3, 10), True),
        ("linux", "x86_64", (3, 13), True),
        ("linux", "x86_64", (3, 15), True),
        ("linux", "aarch64", (3, 10), False),
        ("linux", "aarch64", (3, 12), True),
        ("darwin", "arm64", (3, 12), True),
        ("darwin", "arm64", (3, 10), False),
        ("linux", "riscv64", (3, 13), False),
        ("freebsd14", "x86_64", (3, 13), False),
    ],
)
def test_pip_is_named_only_where_a_wheel_fits(
    system: str, machine: str, version: tuple[int, int], has_wheel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert ("pip install 'broker-sched[embedded]'" in embedded.what_to_install()) == has_wheel


@pytest.mark.parametrize(
    "command",
    [["submit", "small_pipeline", "Small"], ["worker", "--burst"], ["config", "set", "retry_delay=1"], ["verify"]],
)
def test_a_command_is_not_carried_out_on_a_memory_of_its_own(
    bare: dict[str, str], tmp_path: Path, command: list[str]
) -> None:
    done = run({**bare, "BSCHED_REDIS": "memory:"}, tmp_path, *command)
    assert done.returncode == 2
    assert "memory: is inside one process" in done.stderr and "--redis, BSCHED_REDIS" in done.stderr
    assert done.stdout == ""


def test_no_worker_waits_for_others_at_a_scheduler_inside_itself(bare: dict[str, str], tmp_path: Path) -> None:
    command = ("worker", "--burst", "--local-scheduler")
    done = run(bare, tmp_path, *command)
    assert done.returncode == 2
    assert "--local-scheduler: a scheduler inside this process has no tasks of others" in done.stderr
    assert "--scheduler-url or --redis, or use bsched run" in done.stderr
    assert done.stdout == ""
