"""Tasks that are stopped from outside, and workers that are told to leave before their tasks are through."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import ModuleType
from typing import Any

import pytest

from broker_sched import Worker
from tests.programs import DEVNULL, Program
from tests.servers import RunningRedis, is_alive, until
from tests.worker.bodies import runs_of
from tests.worker.conftest import WITHOUT_RETRIES, statuses, worker_on

pytestmark = pytest.mark.timeout(60)


def when_running(task: Any, action: Any) -> threading.Thread:
    """Do something once the task runs."""

    def act() -> None:
        until(lambda: runs_of(task.path()), "the task runs")
        action()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def counted(thing: Any, name: str) -> list[None]:
    """A list that grows with each call of a method."""
    real, calls = getattr(thing, name), []

    def call(*args: Any, **named: Any) -> Any:
        calls.append(None)
        return real(*args, **named)

    setattr(thing, name, call)
    return calls


@pytest.mark.parametrize("scheduler", ["redis", "http"], indirect=True)
@pytest.mark.parametrize(("disable", "expected"), [(False, {"FAILED", "PENDING"}), (True, {"DISABLED"})])
def test_a_running_task_is_stopped(
    scheduler: Any, tasks: ModuleType, directory: str, disable: bool, expected: set[str]
) -> None:
    """What has failed is soon to be retried, but not by this worker, which may run no more than two."""
    task, other = tasks.Endless(directory, "stopped"), tasks.Write(directory, "other")
    with worker_on(scheduler, worker_processes=2, max_tasks=2) as worker:
        worker.add(task)
        worker.add(other)
        thread = when_running(task, lambda: scheduler.stop_task(task.task_id, disable=disable))
        assert not worker.run()
        thread.join()
    assert statuses(scheduler, other) == ["DONE"]
    assert statuses(scheduler, task)[0] in expected
    assert "stopped by stop_task" in scheduler.fetch_error(task.task_id)["error"]
    assert not is_alive(runs_of(task.path())[0])


@WITHOUT_RETRIES
def test_a_task_that_will_not_stop_is_killed(local: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Stubborn(directory)
    with worker_on(local, worker_processes=2, kill_after=0.5) as worker:
        worker.add(task)
        thread = when_running(task, lambda: local.stop_task(task.task_id))
        assert not worker.run()
        thread.join()
    assert statuses(local, task) == ["FAILED"]
    assert not is_alive(runs_of(task.path())[0])


def test_what_a_draining_worker_cannot_finish_others_run_at_once(local: Any, tasks: ModuleType, directory: str) -> None:
    task, quick = tasks.Endless(directory, "long"), tasks.Held(directory, "quick")
    with worker_on(local, worker_processes=2, wait_interval=5.0) as leaving:
        for each in (task, quick):
            leaving.add(each)
        with worker_on(local, worker_processes=0) as other:  # keeps the tasks when the first one is gone
            for each in (task, quick):
                other.add(each)

            def leave() -> None:
                until(lambda: runs_of(task.path()), "the long one runs, too")
                leaving.drain(30.0)
                quick.go().touch()
                until(lambda: statuses(local, quick) == ["DONE"], "the quick one has had the time it needs")
                leaving.drain(0.3)

            thread = when_running(quick, leave)
            looks = counted(leaving._running, "wait_for_news")
            assert not leaving.run()
            thread.join()
            assert len(looks) < 5000, "it waits; a dying process takes a moment, in which it may look often"
            assert statuses(local, task, quick) == ["PENDING", "DONE"]
            assert not is_alive(runs_of(task.path())[0])
            assert local.get_work(worker=other.id)["task_id"] == task.task_id
    assert not local.fetch_error(task.task_id)["error"]


def test_what_is_handed_out_while_the_worker_is_told_to_leave_goes_back(
    local: Any, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    many, exchange = [tasks.Write(directory, name) for name in "xyz"], local.exchange
    with worker_on(local, worker_processes=2) as worker, worker_on(local, worker_processes=0) as other:

        def told_to_leave(**arguments: Any) -> Any:
            answer = exchange(**arguments)
            worker.stop_asking()
            return answer

        monkeypatch.setattr(local, "exchange", told_to_leave)
        for each in many:
            worker.add(each)
            other.add(each)
        worker.run()
        assert statuses(local, *many) == ["PENDING"] * 3
        assert worker.runs == 0 and worker.not_given_back == ()


@pytest.mark.parametrize(("seconds", "after"), [(None, "DONE"), (0.2, "PENDING")])
def test_a_worker_that_people_drain_finishes_or_gives_back_what_it_runs_and_begins_nothing_more(
    local: Any, tasks: ModuleType, directory: str, seconds: float | None, after: str
) -> None:
    task, late = tasks.Held(directory, "runs"), tasks.Held(directory, "late")
    with worker_on(local, worker_processes=2) as worker, worker_on(local, worker_processes=0) as other:
        for each in (worker, other):
            each.add(task)

        def leave() -> None:
            local.drain_worker(worker.id, seconds)
            until(lambda: worker.is_stopping, "it has read the message")
            other.add(late)
            local.add_task(worker=worker.id, task_id=late.task_id)
            if seconds is None:
                task.go().touch()

        thread = when_running(task, leave)
        worker.run()
        thread.join()
        assert statuses(local, task, late) == [after, "PENDING"]
        assert local.fetch_error(task.task_id)["error"] in (None, "null")


@pytest.mark.parametrize("scheduler", ["luigid"], indirect=True)
def test_with_luigid_what_cannot_finish_has_failed(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Endless(directory, "long")
    with worker_on(scheduler, worker_processes=2) as worker:
        worker.add(task)
        thread = when_running(task, lambda: worker.drain(0.1))
        assert not worker.run()
        thread.join()
    assert "told to leave" in scheduler.fetch_error(task.task_id)["error"]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupted_worker_gives_back_what_it_ran(
    local: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    task = tasks.Endless(directory, "long")
    with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=processes) as worker:
        worker.add(task)
        when_running(task, lambda: os.kill(os.getpid(), signal.SIGINT))
        worker.run()
    assert statuses(local, task) == ["PENDING"]
    assert processes == 1 or not is_alive(runs_of(task.path())[0])


class WorkerCommand:
    """`bsched worker`, a real process."""

    def __init__(self, redis_url: str, namespace: str, *options: str) -> None:
        where = ("--redis", redis_url, "--namespace", namespace)
        self.process = Program("worker", *where, "--processes", "2", *options, stdout=DEVNULL)

    def said_until(self, text: str) -> str:
        """What it says up to the line with this text."""
        said = ""
        assert self.process.stderr
        for line in iter(self.process.stderr.readline, ""):
            said += line
            if text in line:
                return said
        raise AssertionError(f"it never said: {text}\n{said}")


@pytest.mark.parametrize("signals", [1, 2])
def test_sigterm_drains_and_the_second_one_ends_now(
    shared_redis: RunningRedis, local: Any, tasks: ModuleType, directory: str, signals: int
) -> None:
    options = ("--drain-timeout", "1") if signals == 1 else ()
    command = WorkerCommand(shared_redis.url, local.namespace.name, *options)
    task = tasks.Endless(directory, "long")
    with Worker(local, worker_processes=0) as submitter:
        submitter.add(task)
        until(lambda: runs_of(task.path()), "the task runs")
        started = time.monotonic()
        command.process.send_signal(signal.SIGTERM)
        said = command.said_until("SIGTERM again ends it now")  # two signals at once would be one
        if signals == 2:
            command.process.send_signal(signal.SIGTERM)
        said += command.process.communicate(timeout=20)[1]
        assert command.process.returncode == 0, said
        assert time.monotonic() - started < 15
        assert "Traceback" not in said
        assert statuses(local, task) == ["PENDING"]
        assert not is_alive(runs_of(task.path())[0])
