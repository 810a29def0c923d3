"""A scheduler that takes a call and does not answer keeps a worker from nothing that it owes its runs and its operator.

It answers only when the test lets it: what is waited for before that does not need the answer.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from broker_sched.errors import Unreachable
from broker_sched.worker.worker import Worker
from tests.servers import is_alive, until
from tests.worker import native_tasks
from tests.worker.bodies import runs_of
from tests.worker.conftest import WITHOUT_RETRIES, statuses, worker_on

pytestmark = [pytest.mark.timeout(60), WITHOUT_RETRIES]


class Silence:
    """From the second question on, the scheduler does not answer until it is ended."""

    def __init__(self, scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_begun, self._is_over = threading.Event(), threading.Event()
        exchange = scheduler.exchange

        def silent(**arguments: Any) -> Any:
            if arguments.get("current_tasks"):
                self.has_begun.set()
                self._is_over.wait(50)
            return exchange(**arguments)

        monkeypatch.setattr(scheduler, "exchange", silent)

    def end(self) -> None:
        self._is_over.set()


@pytest.fixture
def silence(local: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Silence]:
    made = Silence(local, monkeypatch)
    yield made
    made.end()


class Raised:
    """What run() raised in a thread."""

    error: BaseException | None = None


def run_beside(worker: Worker, silence: Silence) -> tuple[threading.Thread, Raised]:
    raised = Raised()

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:
            raised.error = error

    thread = threading.Thread(target=run)
    thread.start()
    assert silence.has_begun.wait(30)
    return thread, raised


def test_a_timeout_is_kept(local: Any, tasks: ModuleType, directory: str, silence: Silence) -> None:
    slow, quick = tasks.Endless(directory, "x"), tasks.Write(directory, "y")
    with worker_on(local, worker_processes=2, timeout=2.0) as worker:
        for each in (slow, quick):
            worker.add(each)
        thread, _ = run_beside(worker, silence)
        until(lambda: runs_of(slow.path()), "it runs")
        until(lambda: not is_alive(runs_of(slow.path())[0]), "it was ended")
        silence.end()
        thread.join()
    assert statuses(local, slow, quick) == ["FAILED", "DONE"]


def test_a_task_can_be_stopped(local: Any, tasks: ModuleType, directory: str, silence: Silence) -> None:
    slow, quick = tasks.Endless(directory, "x"), tasks.Write(directory, "y")
    with worker_on(local, worker_processes=2) as worker:
        for each in (slow, quick):
            worker.add(each)
        thread, _ = run_beside(worker, silence)
        until(lambda: runs_of(slow.path()), "it runs")
        worker.stop_task(slow.task_id)
        until(lambda: not is_alive(runs_of(slow.path())[0]), "it was ended")
        silence.end()
        thread.join()
    assert "stopped by stop_task" in local.fetch_error(slow.task_id)["error"]


def test_a_worker_that_is_to_leave_at_once_leaves(
    local: Any, tasks: ModuleType, directory: str, silence: Silence
) -> None:
    slow, quick = tasks.Endless(directory, "x"), tasks.Write(directory, "y")
    worker = worker_on(local, worker_processes=2)
    for each in (slow, quick):
        worker.add(each)
    thread, raised = run_beside(worker, silence)
    worker.drain(0)
    thread.join()
    assert isinstance(raised.error, Unreachable)
    assert not is_alive(runs_of(slow.path())[0])


def test_ctrl_c_is_raised_at_once(local: Any, directory: str, silence: Silence) -> None:
    slow, quick = native_tasks.Endless(directory, "x"), native_tasks.Write(directory, "y")

    def interrupt() -> None:
        assert silence.has_begun.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=2) as worker:
        for each in (slow, quick):
            worker.add(each)
        worker.run()
    assert not is_alive(runs_of(slow.path())[0])
    assert statuses(local, slow) == ["PENDING"]
