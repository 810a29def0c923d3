"""A worker asks for more work while it starts what it was handed out: what then goes wrong costs no task its run."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from broker_sched.errors import Refused, Unreachable
from broker_sched.worker.run_starter import RunStarter
from broker_sched.worker.work_source import WorkSource
from broker_sched.worker.worker import Worker
from tests.servers import until
from tests.worker import native_tasks
from tests.worker.bodies import runs_of
from tests.worker.conftest import WITHOUT_RETRIES, statuses, worker_on

pytestmark = [pytest.mark.timeout(60), WITHOUT_RETRIES]
COUNT = 12


class Ahead:
    """Has each question answered only when what runs has ended, so that the next one is asked ahead.

    answer: what a question becomes that was asked ahead; it gets exchange() and its arguments.
    starts: for each run, in order, whether a question was under way when it was started.
    """

    def __init__(self, worker: Worker, scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: Callable[..., Any] = lambda exchange, arguments: exchange(**arguments)
        self.at_start: Callable[[], object] = lambda: None
        self.starts: list[bool] = []
        self.most_kept = 0
        named: list[set[str]] = []  # by the question that is asked ahead
        exchange, start_run, ask_ahead, ask = (
            *(scheduler.exchange, RunStarter.start_run, WorkSource.ask_ahead, WorkSource._ask),
        )

        def exchanged(**arguments: Any) -> Any:
            until(lambda: all(each.result is not None for each in worker._running.runs()), "all have ended")
            self.most_kept = max(self.most_kept, len(worker._running._leaving))
            if named:
                assert set(arguments["current_tasks"]) == named.pop(), "a task that is not named is handed out again"
                return self.answer(exchange, arguments)
            return exchange(**arguments)

        def asked_ahead(source: WorkSource, reports: Any, wanted: int, *arguments: Any) -> None:
            has_begun = set(worker.not_given_back) - {each.task.task_id for each in reports.waiting}
            assert len(has_begun) + wanted <= worker.worker_processes
            left = math.inf if worker._config.max_tasks is None else worker._config.max_tasks - worker.runs
            assert 1 + len(source.handed_out()) + wanted <= left
            if reports.waiting and source._begun is None:
                named.append(has_begun)
            ask_ahead(source, reports, wanted, *arguments)

        def asked(source: WorkSource, *arguments: Any) -> None:
            assert source._begun is None, "the answer to the question before would be lost"
            ask(source, *arguments)

        def started(*arguments: Any) -> None:
            self.starts.append(worker._work_source._begun is not None)
            if self.starts[-1]:
                self.at_start()
            start_run(*arguments)

        monkeypatch.setattr(scheduler, "exchange", exchanged)
        monkeypatch.setattr(WorkSource, "ask_ahead", asked_ahead)
        monkeypatch.setattr(WorkSource, "_ask", asked)
        monkeypatch.setattr(RunStarter, "start_run", started)


@pytest.fixture
def many(directory: str) -> list[Any]:
    return [native_tasks.Write(directory, str(number)) for number in range(COUNT)]


def added(worker: Worker, *tasks: Any) -> None:
    for task in tasks:
        worker.add(task)


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_each_task_runs_once_and_little_is_kept_of_what_has_run(
    local: Any, many: list[Any], monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    with worker_on(local, worker_processes=processes) as worker:
        ahead = Ahead(worker, local, monkeypatch)
        added(worker, *many)
        assert worker.run()
    assert any(ahead.starts), "a question was under way while a task was started"
    assert ahead.most_kept <= 2 * processes, "what was reported is given back"
    assert statuses(local, *many) == ["DONE"] * COUNT
    assert [len(runs_of(task.path())) for task in many] == [1] * COUNT
    assert worker.not_given_back == ()


def test_no_more_are_run_than_the_worker_may_run(local: Any, many: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with worker_on(local, worker_processes=3, max_tasks=5) as worker, worker_on(local, worker_processes=0) as other:
        ahead = Ahead(worker, local, monkeypatch)
        added(other, *many)
        added(worker, *many)
        worker.run()
        assert worker.runs == 5 and any(ahead.starts)
        assert sorted(statuses(local, *many)) == ["DONE"] * 5 + ["PENDING"] * (COUNT - 5)


def test_what_is_handed_out_to_a_worker_that_was_told_to_leave_meanwhile_goes_back(
    local: Any, many: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with worker_on(local, worker_processes=2) as worker, worker_on(local, worker_processes=0) as other:
        ahead = Ahead(worker, local, monkeypatch)
        ahead.at_start = worker.stop_asking
        added(other, *many)
        added(worker, *many)
        worker.run()
        found = statuses(local, *many)
        assert worker.runs == found.count("DONE") < COUNT and set(found) == {"DONE", "PENDING"}
        assert worker.not_given_back == ()


def test_fewer_processes_give_back_what_is_too_much(
    local: Any, many: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else may have to wait for a task that lies in a worker without a process for it."""
    with worker_on(local, worker_processes=3) as worker:
        ahead, wait = Ahead(worker, local, monkeypatch), worker._wait

        def waited(*arguments: Any) -> None:
            if worker._free_slots() < 1:
                assert worker._work_source._begun is None and not worker._work_source.handed_out()
            wait(*arguments)

        monkeypatch.setattr(worker, "_wait", waited)
        ahead.at_start = lambda: worker.set_worker_processes(1)
        added(worker, *many)
        assert worker.run()
    assert any(ahead.starts)
    assert statuses(local, *many) == ["DONE"] * COUNT
    assert [len(runs_of(task.path())) for task in many] == [1] * COUNT


def test_a_worker_that_tells_everything_again_meanwhile_reports_nothing_twice(
    local: Any, many: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[str] = []
    silences: list[str] = []

    with worker_on(local, worker_processes=3) as worker:
        ahead, exchange = Ahead(worker, local, monkeypatch), local.exchange

        def noted(**arguments: Any) -> Any:
            reported.extend(each["task_id"] for each in arguments["reports"])
            return exchange(**arguments)

        monkeypatch.setattr(local, "exchange", noted)
        monkeypatch.setattr(worker, "_may_be_forgotten", lambda: bool(silences) and bool(silences.pop()))
        ahead.at_start = lambda: silences.append("the scheduler was silent for long")
        added(worker, *many)
        assert worker.run()
    assert any(ahead.starts) and statuses(local, *many) == ["DONE"] * COUNT
    assert sorted(reported) == sorted(task.task_id for task in many)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_question_that_is_lost_is_asked_again(
    local: Any, many: list[Any], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    lost: list[str] = []

    def answer(exchange: Any, arguments: dict[str, Any]) -> Any:
        told = exchange(**arguments) if when == "after" or lost else None
        if not lost:
            lost.append(when)
            raise Unreachable("it was lost")
        return told

    with worker_on(local, worker_processes=2) as worker:
        Ahead(worker, local, monkeypatch).answer = answer
        added(worker, *many)
        assert worker.run()
    assert lost and statuses(local, *many) == ["DONE"] * COUNT
    assert [len(runs_of(task.path())) for task in many] == [1] * COUNT


def test_where_reports_and_a_question_are_refused_together_they_are_told_one_by_one(
    local: Any, many: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[Any] = []

    def answer(exchange: Any, arguments: dict[str, Any]) -> Any:
        refused.append(arguments)
        raise Refused("not like this")

    with worker_on(local, worker_processes=2) as worker:
        Ahead(worker, local, monkeypatch).answer = answer
        added(worker, *many)
        assert worker.run()
    assert refused and statuses(local, *many) == ["DONE"] * COUNT
    assert [len(runs_of(task.path())) for task in many] == [1] * COUNT


def test_a_failure_is_told_while_others_are_still_to_run(
    local: Any, directory: str, many: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails, told = native_tasks.Fail(directory), list[list[str]]()
    add_task = local.add_task

    def noted(**arguments: Any) -> Any:
        if arguments.get("status") == "FAILED":
            told.append(statuses(local, *many))
            reported = {task.task_id for task, *_ in worker._reports.waiting}
            assert {*worker.not_given_back} <= {*worker._running.task_ids(), *reported, fails.task_id}, "none waits"
        return add_task(**arguments)

    with worker_on(local, worker_processes=2) as worker:
        ahead = Ahead(worker, local, monkeypatch)
        added(worker, *many[:4], fails, *many[4:])
        monkeypatch.setattr(local, "add_task", noted)
        assert not worker.run()
    assert any(ahead.starts) and statuses(local, fails, *many) == ["FAILED", *["DONE"] * COUNT]
    assert len(told) == 1 and "PENDING" in told[0], "not only when nothing else was left"


@pytest.mark.parametrize("is_answered", [True, False])
def test_ctrl_c_while_a_question_is_under_way_gives_everything_back(
    local: Any, many: list[Any], monkeypatch: pytest.MonkeyPatch, is_answered: bool
) -> None:
    def answer(exchange: Any, arguments: dict[str, Any]) -> Any:
        told = exchange(**arguments)
        if not is_answered:
            raise Unreachable("it was lost")
        return told

    with worker_on(local, worker_processes=0) as other:
        added(other, *many)
        with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=2) as worker:
            ahead = Ahead(worker, local, monkeypatch)
            ahead.answer, ahead.at_start = answer, lambda: os.kill(os.getpid(), signal.SIGINT)
            added(worker, *many)
            worker.run()
        assert ahead.starts[-1] and worker.not_given_back == ()
        assert set(statuses(local, *many)) == {"DONE", "PENDING"}
