"""`bsched submit`, `wait` and `submission`: what they print, and their exit codes."""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker_sched import RedisUnavailable, RPCError, Scheduler, Worker
from bsched.commands.submission import Followed
from bsched.main import cli
from tests.harness import RedisProcess, ServerProcess
from tests.servers import until

Bsched = Callable[..., Result]
MODULE = """
import os
from broker_sched import ExternalTask, LocalTarget, Task

class Made(Task):
    word: str = "made"
    def output(self): return LocalTarget(self.word)
    def run(self):
        with self.output().open("w") as file: file.write(self.word)

class Fails(Task):
    def complete(self): return False
    def run(self): raise ValueError("on purpose")

class Given(ExternalTask):
    run = None
    def output(self): return LocalTarget("given")

class NeedsGiven(Made):
    word: str = "needs"
    def requires(self): return Given()

class BrokenDeps(Made):
    def requires(self): raise ValueError("no deps")
"""


@pytest.fixture
def namespace() -> str:
    return f"submit-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's, in the current directory."""
    name = f"submitted_{uuid.uuid4().hex[:8]}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.fixture
def bsched(own_redis: RedisProcess, namespace: str) -> Bsched:
    environment = {"BSCHED_REDIS": own_redis.url, "BSCHED_NAMESPACE": namespace}

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(cli, arguments, env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.fixture
def scheduler(own_redis: RedisProcess, namespace: str) -> Iterator[Scheduler]:
    opened = Scheduler(own_redis.url, namespace, retry_count=1, prune_interval_seconds=0.1)
    yield opened
    assert opened.verify() == []
    opened.close()


def fleet(scheduler: Scheduler) -> None:
    """Run what there is to run."""
    Worker(scheduler, assistant=True, wait_interval=0.05, wait_jitter=0).run()


def submitted(bsched: Bsched, *words: str) -> str:
    result = bsched("submit", *words)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_what_is_submitted_is_run_by_others_and_waited_for(bsched: Bsched, scheduler: Scheduler, module: str) -> None:
    submission = submitted(bsched, module, "Made", "--word", "hello")
    fleet(scheduler)
    result = bsched("wait", submission)
    assert (result.exit_code, Path("hello").read_text()) == (0, "hello")
    assert "DONE" in result.stdout and "tasks: 1 DONE" in result.stdout


def test_waiting_ends_when_the_work_does(bsched: Bsched, scheduler: Scheduler, module: str) -> None:
    submission = submitted(bsched, module, "Made")
    later = threading.Timer(0.7, fleet, [scheduler])
    later.start()
    result = bsched("wait", submission, "--json")
    later.join()
    assert result.exit_code == 0 and json.loads(result.stdout)["counts"] == {"DONE": 1}


def test_the_exit_code_tells_how_it_ended(bsched: Bsched, scheduler: Scheduler, module: str) -> None:
    failing, cancelled = submitted(bsched, module, "Fails"), submitted(bsched, module, "NeedsGiven")
    assert bsched("submission", "cancel", cancelled).stdout == f"{cancelled} is CANCELLED.\n"
    fleet(scheduler)
    result = bsched("wait", failing)
    assert result.exit_code == 30
    assert "why: bsched task show Fails_" in result.stdout
    assert bsched("wait", cancelled).exit_code == 25
    outside = submitted(bsched, module, "Given")
    assert bsched("wait", outside).exit_code == 20


def test_waiting_outlasts_an_outage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers: list[Any] = ["ACTIVE", RedisUnavailable("no route"), RPCError("refused"), "ACTIVE", "DONE"]

    class Flaky:
        def submission(self, submission: str) -> dict[str, Any]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return {"submission": submission, "state": answer, "counts": {}, "n_ready": 1}

    monkeypatch.setattr("bsched.outages.PAUSE_SECONDS", 0.01)
    followed = Followed(Flaky(), "submission-1")
    followed.wait(until_stuck=False)
    assert (followed.exit_code, answers) == (0, [])
    assert capsys.readouterr().err == "submission-1 goes on; it is asked about again: no route\n"


def test_one_need_not_wait_for_what_is_stuck(bsched: Bsched, scheduler: Scheduler, module: str) -> None:
    submission = submitted(bsched, module, "NeedsGiven")
    result = bsched("wait", submission, "--until-stuck")
    assert result.exit_code == 20 and "ACTIVE" in result.stdout and "1 EXTERNAL" in result.stdout
    bsched("submission", "cancel", submission)


def test_waiting_says_once_that_nobody_can_load_a_task(bsched: Bsched, scheduler: Scheduler, module: str) -> None:
    submission = submitted(bsched, module, "Made")
    task_id = scheduler.get_work(worker="h", assistant=True)["task_id"]
    scheduler.refuse_tasks(worker="h", task_ids=[task_id], reason="No module named x.")
    assert f"waiting for a worker that can load {task_id}; why:" in bsched("submission", "show", submission).stdout

    def looked_twice_and_cancelled(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            scheduler.cancel_submission(submission)

    pauses: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        clock = SimpleNamespace(sleep=looked_twice_and_cancelled, monotonic=time.monotonic)
        patch.setattr("bsched.commands.submission.time", clock)
        result = bsched("wait", submission)
    assert result.stderr.count("waits for a worker that can load") == 1, result.stderr
    assert result.exit_code == 25


def test_submissions_are_listed_and_shown(bsched: Bsched, scheduler: Scheduler, module: str) -> None:
    assert "No submissions" in bsched("submission", "list").stderr
    first, second = submitted(bsched, module, "Made"), submitted(bsched, module, "Given")
    title, *lines = bsched("submission", "list").stdout.splitlines()
    assert title.split() == ["SUBMISSION", "SUBMITTED", "STATE", "TASKS"]
    assert sorted(line.split()[0] for line in lines) == sorted([first, second])
    assert any("0 running, 1 pending" in line for line in lines)
    listed = [json.loads(line) for line in bsched("submission", "list", "--json").stdout.splitlines()]
    assert {each["submission"] for each in listed} == {first, second}
    assert "asked for: Made_made_" in bsched("submission", "show", first).stdout
    assert json.loads(bsched("submission", "show", first, "--json").stdout)["n_ready"] == 1
    assert "no estimate of its end: no worker is active" in bsched("submission", "show", first).stdout
    bsched("submission", "cancel", first)


@pytest.mark.parametrize("command", [("wait",), ("submission", "show"), ("submission", "cancel")])
def test_an_unknown_submission_is_said_to_be_unknown(
    bsched: Bsched, scheduler: Scheduler, command: tuple[str, ...]
) -> None:
    result = bsched(*command, "submission-0")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: There is no submission submission-0. bsched submission list shows those of the last week.\n"
    )


def test_a_misspelt_submission_is_told_the_nearest(bsched: Bsched, scheduler: Scheduler, module: str) -> None:
    there = submitted(bsched, module, "Made")
    result = bsched("submission", "show", f"{there[:-1]}?")
    assert (result.exit_code, f"Did you mean {there}?" in result.stderr) == (1, True)


def test_what_could_not_be_scheduled_is_told(bsched: Bsched, scheduler: Scheduler, module: str) -> None:
    result = bsched("submit", module, "BrokenDeps")
    assert result.exit_code == 35
    assert result.stdout.startswith("submission-") and "could not be scheduled" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("submit",), 2, "submit MODULE TASK"),
        (("submit", "nowhere", "Made"), 2, "no module nowhere"),
        (("submit", "{module}", "Nothing"), 2, "Nothing"),
        (("submit", "{module}", "Made", "--words", "x"), 2, "--words"),
        (("submit", "{module}", "Made", "--local-scheduler"), 2, "bsched run"),
        (("submit", "{module}", "Made", "--scheduler-url", "http://127.0.0.1:1"), 3, "127.0.0.1:1"),
    ],
)
def test_wrong_usage_is_explained(bsched: Bsched, module: str, words: tuple[str, ...], code: int, told: str) -> None:
    result = bsched(*(word.format(module=module) for word in words))
    assert (result.exit_code, told in result.stderr, "Traceback" in result.output) == (code, True, False), result.output


def test_help_shows_the_command_and_the_tasks_options(bsched: Bsched, module: str) -> None:
    assert "bsched submission cancel ID" in bsched("submit", "--help").stdout
    assert "--word" in bsched("submit", module, "Made", "--help").stdout


def test_all_of_it_works_over_http(own_redis: RedisProcess, bsched: Bsched, module: str) -> None:
    server = ServerProcess("--redis", own_redis.url, "--namespace", "submit-http").await_ready()
    try:
        result = bsched("submit", module, "Made", "--scheduler-url", server.url, "--json")
        submission = json.loads(result.stdout)["submission"]
        assert submission in bsched("submission", "list", "--url", server.url).stdout
        with closing(Scheduler(own_redis.url, "submit-http")) as scheduler:
            fleet(scheduler)
            until(lambda: scheduler.submission(submission)["state"] == "DONE", "it is done")
        assert bsched("wait", submission, "--url", server.url).exit_code == 0
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def forget_modules() -> Iterator[None]:
    yield
    for name in [name for name in sys.modules if name.startswith("submitted_")]:
        del sys.modules[name]
