"""With `--log-format json` all that a command writes on stderr is an object a line, whatever happens."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker_sched import Scheduler
from tests.harness import RedisProcess, ServerProcess
from tests.programs import Ended, Program, environment_with
from tests.servers import until

MODULE = r"""
import logging, os, subprocess, sys, threading, warnings
from broker_sched import Task

class Loud(Task):
    def complete(self):
        return False

    def run(self):
        print("x" * 20_000)
        print("printed \x1b[31m red")
        sys.stdout.buffer.write(b"\xff no utf-8\n")
        subprocess.run(["sh", "-c", "echo by a program >&2"], check=True)
        logging.getLogger("bsched.mine").warning("logged\nin two lines")
        warnings.warn("a warning of Python's")
        threading.Thread(target=lambda: 1 / 0, name="t").start()
        raise ValueError("it failed on purpose")
"""


def objects(text: str) -> list[dict[str, Any]]:
    """What each line of it is."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "loud.py").write_text(MODULE)
    return tmp_path


def test_what_a_worker_and_its_tasks_write_has_one_schema(own_redis: RedisProcess, module: Path) -> None:
    env = environment_with(module, BSCHED_REDIS=own_redis.url, BSCHED_NAMESPACE="loud", BSCHED_LOG_FORMAT="json")
    submitted = Ended(Program("submit", "loud", "Loud", env=env, cwd=module))
    assert submitted.returncode == 0, submitted.stderr
    objects(submitted.stderr)
    worker = Ended(Program("worker", "--burst", "--name", "w1", "--max-tasks", "1", env=env, cwd=module))
    lines = objects(worker.stderr)
    scheduler = Scheduler(own_redis.url, "loud")
    ((task_id, _),) = scheduler.task_list("FAILED", "", search="Loud").items()
    assert {(each["worker"], each["namespace"]) for each in lines if "worker" in each} == {("w1", "loud")}
    of_task = [each for each in lines if each.get("task_id") == task_id]
    said = [each["message"] for each in of_task if each["logger"] == "bsched.task.output"]
    wanted = (
        "printed \x1b[31m red",
        "\ufffd no utf-8",
        "by a program",
        "in two lines",
        "ZeroDivisionError: division by zero",
    )
    assert set(wanted) <= set(said), said
    assert sum(len(each) for each in said if set(each) == {"x"}) == 20_000
    assert "logged\nin two lines" in scheduler.task_log(task_id)["log"], "people read it as text"


def test_the_log_of_a_server_is_objects_also_of_its_processes(
    start_server: Callable[..., ServerProcess], own_redis: RedisProcess
) -> None:
    server = start_server(
        *(
            "--redis",
            own_redis.url,
            "--namespace",
            "logged",
            "--processes",
            "2",
            "--log-format",
            "json",
            "--log-level",
            "debug",
        )
    ).await_ready()
    server.call("add_task", worker="w", task_id="a")
    server.post(
        "add_task", json.dumps({"worker": "w", "task_id": "big", "params": {"x": "y" * 600_000}})
    )  # in another process
    until(lambda: any("add_task" in line for line in server.said), "a line about the call")
    server.process.send_signal(signal.SIGTERM)
    server.wait()
    lines = [json.loads(line) for line in server.said]
    assert {each["namespace"] for each in lines} == {"logged"}


@pytest.mark.parametrize(
    ("words", "code"),
    [(["status", "--redis", "redis://127.0.0.1:1/"], 3), (["worker", "--set", "keep_alive=maybe"], 2)],
)
def test_the_error_that_a_command_ends_with_is_an_object(words: list[str], code: int) -> None:
    ended = Ended(Program(*words, env=environment_with(BSCHED_LOG_FORMAT="json")))
    assert ended.returncode == code
    assert objects(ended.stderr)[-1]["level"] == "error"


@pytest.mark.parametrize("by", ["main", "a thread", "a finalizer"])
def test_an_exception_that_nobody_caught_is_an_object(tmp_path: Path, by: str) -> None:
    (tmp_path / "bad.py").write_text(
        "import threading\n"
        "from bsched.logs import set_format_of_environment\n"
        "class Bad:\n    def __del__(self):\n        raise ValueError('in __del__')\n"
        "set_format_of_environment()\n"
        + {
            "main": "raise ValueError('x')",
            "a thread": "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
            "a finalizer": "Bad()",
        }[by]
    )
    ended = Ended(Program(program=str(tmp_path / "bad.py"), env=environment_with(BSCHED_LOG_FORMAT="json")))
    (line,) = objects(ended.stderr)
    assert (line["level"], line["logger"]) == ("critical", "bsched")
    assert "Traceback" in line["error"]["traceback"]


def test_luigis_configuration_goes_before_the_format_which_is_said_once(
    tmp_path: Path, own_redis: RedisProcess
) -> None:
    (tmp_path / "log.ini").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=f\n"
        "[logger_root]\nlevel=INFO\nhandlers=h\n[handler_h]\nclass=StreamHandler\nformatter=f\nargs=(sys.stderr,)\n"
        "[formatter_f]\nclass=logging.Formatter\nformat=mine: %(message)s\n"
    )
    words = ["worker", "--burst", "--redis", own_redis.url, "--log-format", "json", "--logging-conf-file", "log.ini"]
    said = Ended(Program(*words, cwd=tmp_path, env=environment_with())).stderr.splitlines()
    assert sum("--log-format json is for" in each for each in said) == 1
    assert all(each.startswith("mine: ") for each in said), said
    (tmp_path / "log.ini").write_text(
        (tmp_path / "log.ini").read_text().replace("logging.Formatter", "broker_sched.log_lines.JSONFormatter")
    )
    objects(Ended(Program(*words, cwd=tmp_path, env=environment_with())).stderr)
