"""What the scheduler refuses is one task's misfortune, no outage: nothing is tried again, and the worker goes on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from broker_sched import LoginRefused, Refused, Scheduler
from broker_sched.worker import retrying_scheduler
from broker_sched.worker.summary import ReturnCodes, return_code
from broker_sched.worker.text_limits import MAX_TEXT, explanation, shortened, shortened_explanation, shortened_value
from tests.servers import until
from tests.worker.bodies import runs_of
from tests.worker.conftest import WITHOUT_RETRIES, done_in, statuses, worker_on

pytestmark = pytest.mark.timeout(90)
EACH_MODE = pytest.mark.parametrize("processes", [1, 2])
MB = 1_000_000


class Gate:
    """A scheduler behind a door: `refuses` is asked about each call, and what it returns is raised."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self.refuses: Callable[[str, dict[str, Any]], Exception | None] = lambda name, arguments: None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._scheduler, name)

        def call(**arguments: Any) -> Any:
            error = self.refuses(name, arguments)
            if error is not None:
                raise error
            return method(**arguments)

        return call


def test_of_a_long_text_beginning_and_end_are_kept() -> None:
    text = "begin" + "x" * MB + "end"
    short = shortened(text)
    assert len(short) <= MAX_TEXT and short.startswith("beginx") and short.endswith("xend")
    assert "967,320 characters are left out" in short
    assert shortened("x" * MAX_TEXT) == "x" * MAX_TEXT


def test_a_long_value_becomes_a_text_and_a_short_one_stays() -> None:
    assert shortened_value({"a": [1, None]}) == {"a": [1, None]}
    assert len(shortened_value(list(range(MB)))) <= MAX_TEXT
    assert json.loads(explanation({"a": 1})) == {"a": 1}
    assert json.loads(shortened_explanation(json.dumps("y" * MB))).startswith("yyy")
    assert len(shortened_explanation("not JSON" * MB)) <= MAX_TEXT


@EACH_MODE
def test_a_task_that_says_40_mb_fails_and_the_others_go_on(
    scheduler: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    root, other = tasks.LongWinded(directory, 40 * MB), tasks.Write(directory, "other")
    with worker_on(scheduler, worker_processes=processes) as worker:
        worker.add(root)
        worker.add(other)
        assert not worker.run()
    assert statuses(scheduler, other) == ["DONE"]
    error = json.loads(scheduler.fetch_error(root.task_id)["error"])
    assert len(error) <= MAX_TEXT and "left out" in error and error.rstrip().endswith("xend")
    shown = scheduler.get_task_status_message(root.task_id)["statusMessage"]
    assert len(shown) <= MAX_TEXT and shown.startswith("beginx") and shown.endswith("xend")


@WITHOUT_RETRIES
@pytest.mark.parametrize(
    ("how", "reason"), [("refused", "resources"), ("too much", "2^53"), ("raises", "ZeroDivisionError: resources / 0")]
)
@EACH_MODE
def test_a_report_that_is_refused_is_a_failure_with_the_reason(
    local: Scheduler, tasks: ModuleType, directory: str, how: str, reason: str, processes: int
) -> None:
    root, other = tasks.Unreportable(directory, how), tasks.Write(directory, "other")
    with worker_on(local, worker_processes=processes) as worker:
        worker.add(root)
        worker.add(other)
        assert not worker.run()
        assert worker.summary().counts == {"completed": 1, "failed": 1}
    assert statuses(local, root, other) == ["FAILED", "DONE"]
    error = json.loads(local.fetch_error(root.task_id)["error"])
    assert error.startswith("DONE of this task could not be reported: ") and reason in error
    assert "Traceback" not in error and len(runs_of(root.path())) == 1


@WITHOUT_RETRIES
@pytest.mark.parametrize(
    "refused",
    [
        Refused("http://proxy refuses add_task (413): Too Large"),
        LoginRefused("http://proxy does not let this caller in (403): blocked"),  # though all other calls are answered
    ],
)
def test_a_proxy_that_refuses_one_report_does_not_end_the_worker(
    local: Scheduler, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setattr(retrying_scheduler, "FIRST_WAIT_SECONDS", 0.05)
    gate = Gate(local)
    root, other = tasks.Write(directory, "refused"), tasks.Write(directory, "other")

    def refuses(name: str, arguments: dict[str, Any]) -> Exception | None:
        return refused if root.task_id in done_in(arguments) else None

    gate.refuses = refuses
    with worker_on(gate) as worker:
        worker.add(root)
        worker.add(other)
        assert not worker.run()
    assert statuses(local, root, other) == ["FAILED", "DONE"]
    assert str(refused).rpartition(": ")[2] in local.fetch_error(root.task_id)["error"]


def test_tasks_that_are_too_much_at_once_are_scheduled_one_after_the_other(
    local: Scheduler, tasks: ModuleType, directory: str
) -> None:
    gate = Gate(local)
    gate.refuses = lambda name, arguments: Refused("(413): Too Large") if name == "add_tasks" else None
    root = tasks.Sum(directory)
    with worker_on(gate) as worker:
        worker.add(root)
        assert worker.run()
    assert statuses(local, root) == ["DONE"]


@pytest.mark.parametrize("is_done", [False, True])
def test_what_is_too_long_to_be_scheduled_keeps_nothing_else_from_running(
    local: Scheduler, tasks: ModuleType, directory: str, is_done: bool
) -> None:
    gate, root = Gate(local), tasks.Sum(directory)
    large, *others = root.deps()
    if is_done:
        large.run()

    def refuses(name: str, arguments: dict[str, Any]) -> Exception | None:
        is_it = arguments.get("task_id") == large.task_id and "params" in arguments
        return Refused("http://proxy refuses add_task (413): Too Large") if is_it or name == "add_tasks" else None

    gate.refuses = refuses
    with worker_on(gate) as worker:
        assert worker.add(root) is is_done
        assert worker.run(), "what ran, ended well"
    if is_done:
        assert statuses(local, root, large, *others) == ["DONE"] * (2 + len(others))
        return
    assert statuses(local, root, large, *others) == ["PENDING", "UNKNOWN", *["DONE"] * len(others)]
    assert worker.summary().counts == {
        "completed": len(others), "scheduling_error": 1, "upstream_scheduling_error": 1
    }  # fmt: skip
    assert return_code(worker.summary(), ReturnCodes()) == ReturnCodes().scheduling_error


def test_a_task_that_is_refused_whatever_is_told_of_it_is_named(
    local: Scheduler, tasks: ModuleType, directory: str
) -> None:
    """By a proxy that does not know what it refuses."""
    gate, large = Gate(local), tasks.Write(directory, "large")

    def refuses(name: str, arguments: dict[str, Any]) -> Exception | None:
        is_it = name == "add_tasks" or arguments.get("task_id") == large.task_id
        return Refused("http://proxy refuses add_task (413): Too Large") if is_it else None

    gate.refuses = refuses
    with worker_on(gate) as worker, pytest.raises(Refused, match=f"^{large.task_id}: .*Too Large"):
        worker.add(large)


def test_a_refused_login_ends_a_worker_at_once_when_it_was_never_good(
    local: Scheduler, tasks: ModuleType, directory: str
) -> None:
    gate = Gate(local)
    gate.refuses = lambda name, arguments: LoginRefused("http://proxy refuses the login (401)")
    began = time.monotonic()
    with pytest.raises(LoginRefused, match="401"), worker_on(gate) as worker:
        worker.run()
    assert time.monotonic() - began < retrying_scheduler.LOGIN_SECONDS / 2


@WITHOUT_RETRIES
def test_a_login_that_is_refused_later_ends_what_runs_and_says_what_was_not_given_back(
    local: Scheduler,
    tasks: ModuleType,
    directory: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(retrying_scheduler, "LOGIN_SECONDS", 2.0)
    gate, root = Gate(local), tasks.Endless(directory)

    def take_the_key_away() -> None:
        until(lambda: runs_of(root.path()), "it runs")
        gate.refuses = lambda name, arguments: LoginRefused("http://proxy refuses the login (401)")

    with pytest.raises(LoginRefused, match="401"), worker_on(gate, worker_processes=2) as worker:
        worker.add(root)
        thread = threading.Thread(target=take_the_key_away)
        thread.start()
        worker.run()
    thread.join()
    assert f"Not given back, since the scheduler does not answer: {root.task_id}." in caplog.text
    assert local.prune() is None and local.is_paused() == {"paused": False}


@WITHOUT_RETRIES
def test_a_login_that_is_refused_for_a_moment_costs_nothing(
    local: Scheduler, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying_scheduler, "FIRST_WAIT_SECONDS", 0.05)
    gate, root, refused = Gate(local), tasks.Sum(directory), 0

    def refuses(name: str, arguments: dict[str, Any]) -> Exception | None:
        nonlocal refused
        refused += bool(done_in(arguments))
        return LoginRefused("(403)") if done_in(arguments) and refused in (1, 2) else None

    gate.refuses = refuses
    with worker_on(gate) as worker:
        worker.add(root)
        assert worker.run()
    assert statuses(local, root) == ["DONE"] and refused > 2
