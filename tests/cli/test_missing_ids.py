"""Whoever asks on the command line about a task, worker or status that is not there is told so, and nothing changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker_sched import Scheduler
from bsched.main import cli
from tests.harness import RedisProcess, ServerProcess
from tests.programs import Ended, Program

TASK, WORKER = "MyTask_2024_01_01_ab12cd34ef", "Worker(salt=1, host=here)"


@pytest.fixture
def scheduler(own_redis: RedisProcess) -> Iterator[Scheduler]:
    """A namespace with one FAILED task of one worker."""
    own_redis.client.flushall()
    opened = Scheduler(own_redis.url, "cli", prune_interval_seconds=None)
    opened.add_worker(worker=WORKER, info={"workers": 1})
    error = json.dumps('Traceback:\n  File "a.py"\nValueError: café')
    opened.add_task(worker=WORKER, task_id=TASK, family="MyTask", status="FAILED", expl=error)
    yield opened
    opened.close()


@pytest.fixture(params=["direct", "server"])
def where(request: pytest.FixtureRequest, own_redis: RedisProcess, scheduler: Scheduler) -> Iterator[list[str]]:
    """The options that lead there."""
    if request.param == "direct":
        yield ["--redis", own_redis.url, "--namespace", "cli"]
        return
    server = ServerProcess("--redis", own_redis.url, "--namespace", "cli").await_ready()
    yield ["--url", server.url]
    server.stop()


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def seen(scheduler: Scheduler) -> Any:
    return scheduler.graph(), [each["name"] for each in scheduler.worker_list()]


def test_a_phantom_is_an_error_that_names_near_matches_and_changes_nothing(
    where: list[str], scheduler: Scheduler
) -> None:
    before = seen(scheduler)
    wrong_task, wrong_worker = TASK.replace("01_01", "01_02"), WORKER.replace("salt=1", "salt=7")
    for words, kind, near in (
        (["call", "forgive_failures", f"task_id={wrong_task}"], "task", TASK),
        (["call", "mark_as_done", f"task_id={wrong_task}"], "task", TASK),
        (["call", "re_enable_task", f"task_id={wrong_task}"], "task", TASK),
        (["call", "fetch_error", f"task_id={wrong_task}"], "task", TASK),
        (["task", "stop", wrong_task], "task", TASK),
        (["task", "logs", wrong_task], "task", TASK),
        (["call", "disable_worker", f"worker={wrong_worker}"], "worker", WORKER),
        (["call", "set_worker_processes", f"worker={wrong_worker}", "n=3"], "worker", WORKER),
        (["call", "count_pending", f"worker={wrong_worker}"], "worker", WORKER),
        (["call", "task_list", "status=PENDNG"], "status", "PENDING"),
        (
            ["call", "task_list", "status=PENDING", "upstream_status=UPSTREAM_FAILD"],
            "upstream status",
            "UPSTREAM_FAILED",
        ),
    ):
        result = run(*words, *where)
        assert result.exit_code == 1, (words, result.output)
        assert f"There is no {kind} " in result.stderr, words
        assert f"Did you mean {near}" in result.stderr, (words, result.stderr)
    assert seen(scheduler) == before


def test_what_is_not_there_is_quoted_on_one_line_and_not_in_all_its_length(
    scheduler: Scheduler, own_redis: RedisProcess
) -> None:
    where = ["--redis", own_redis.url, "--namespace", "cli"]
    for words in (["task", "show"], ["task", "why"], ["task", "retry"], ["worker", "show"], ["resource", "show"]):
        two_lines = run(*words, "no\nsuch", *where)
        assert "There is no" in two_lines.stderr and "no\\nsuch" in two_lines.stderr, words
        assert len([line for line in two_lines.stderr.splitlines() if line.startswith(("no", "such"))]) == 0, words
        long = run(*words, "x" * 100_000, *where)
        assert long.exit_code in (1, 2) and len(long.stderr) < 5_000, words


def test_near_names_are_looked_for_among_a_thousand_and_not_among_all_tasks(
    scheduler: Scheduler, own_redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [{"task_id": f"Many_{number:04}", "family": "Many"} for number in range(2500)]
    for start in range(0, len(tasks), 500):
        scheduler.add_tasks(worker=WORKER, tasks=tasks[start : start + 500])
    asked: list[str] = []

    def noted(self: Scheduler, method: Any, arguments: dict[str, Any], call: Any = Scheduler._invoke) -> Any:
        asked.append(method.name)
        reply = call(self, method, arguments)
        assert len(reply.get("tasks", ())) <= 1000 if isinstance(reply, dict) else True
        return reply

    monkeypatch.setattr(Scheduler, "_invoke", noted)
    where = ["--redis", own_redis.url, "--namespace", "cli"]
    assert f"Did you mean {TASK}?" in run("task", "show", TASK.replace("01_01", "01_02"), *where).stderr
    assert "Did you mean Many?" in run("task", "list", "--family", "Manny", *where).stderr
    assert not {"task_search", "task_list", "graph"} & set(asked), "these read all tasks"


def test_what_is_there_is_carried_out(where: list[str], scheduler: Scheduler) -> None:
    assert run("call", "task_list", "status=FAILED", *where).exit_code == 0
    assert run("call", "forgive_failures", f"task_id={TASK}", *where).exit_code == 0
    assert run("call", "disable_worker", f"worker={WORKER}", *where).exit_code == 0
    assert run("call", "ping", "worker=new", *where).exit_code == 0
    assert {each["name"]: each["state"] for each in scheduler.worker_list()} == {WORKER: "disabled", "new": "active"}
    assert scheduler.dep_graph(task_id=TASK)[TASK]["status"] == "PENDING"


def test_an_error_is_printed_as_text_and_whole_as_json(where: list[str]) -> None:
    shown = run("call", "fetch_error", f"task_id={TASK}", *where)
    assert shown.output.startswith('Traceback:\n  File "a.py"\nValueError: café\n')
    raw = json.loads(run("call", "fetch_error", f"task_id={TASK}", "--json", *where).output)
    assert (raw["taskId"], raw["taskFamily"]) == (TASK, "MyTask")


def test_an_error_that_no_encoding_has_is_printed_with_escapes(scheduler: Scheduler, own_redis: RedisProcess) -> None:
    scheduler.add_task(worker=WORKER, task_id=TASK, status="FAILED", expl="no caf\udce9.csv")
    words = ("call", "fetch_error", f"task_id={TASK}", "--redis", own_redis.url, "--namespace", "cli")
    assert Ended(Program(*words)).stdout == "no caf\\udce9.csv\n"


def test_the_log_of_a_task_that_was_removed_is_still_shown(scheduler: Scheduler, own_redis: RedisProcess) -> None:
    own_redis.client.set(scheduler.namespace.key("log", "removed"), "1.0 5 words")
    assert run("task", "logs", "removed", "--redis", own_redis.url, "--namespace", "cli").output == "words"


def test_the_wire_and_the_python_methods_answer_as_luigi_does(scheduler: Scheduler) -> None:
    assert scheduler.forgive_failures(task_id="nobody") == {"task_id": "nobody", "status": None}
    assert scheduler.re_enable_task(task_id="nobody") == {}
    scheduler.disable_worker(worker="nobody")
    assert "nobody" in [each["name"] for each in scheduler.worker_list()]
