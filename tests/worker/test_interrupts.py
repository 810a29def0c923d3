"""Ctrl-C at any moment: KeyboardInterrupt comes soon, and once, and leaves no process, thread, handler or running task.

conftest.py looks for task processes that are left behind.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures._base import _AcquireFutures  # type: ignore[attr-defined]  # no other moment is as bad
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fakeredis.commands_mixins.scripting_mixin import ScriptingCommandsMixin

from broker_sched import Scheduler, interrupts
from broker_sched.errors import Unreachable
from broker_sched.redis_backend.clients import connect
from broker_sched.worker.executors.process_pool import ReusedProcess
from broker_sched.worker.executors.reused_run import ReusedRun
from broker_sched.worker.executors.task_process import TaskProcess
from broker_sched.worker.heartbeat import Heartbeat
from tests.servers import until
from tests.worker import native_tasks
from tests.worker.bodies import runs_of
from tests.worker.conftest import statuses, worker_on

pytestmark = pytest.mark.timeout(60)


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def around(function: Callable[..., Any], before: Callable[[], object], after: Callable[[], object]) -> Any:
    """The function, with something done before and after each call."""

    def called(*arguments: Any, **named: Any) -> Any:
        before()
        reply = function(*arguments, **named)
        after()
        return reply

    return called


def nothing() -> None:
    """Is done."""


def once(action: Callable[[], None]) -> Callable[[], None]:
    """Only the first time."""
    actions = [action]
    return lambda: actions.pop()() if actions else None


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    """No thread, no handler, no interruption that is still to come."""
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not [each.name for each in threading.enumerate() if each.name in ("heartbeat", "work-waiter")]
    interrupts.raise_due()


MOMENTS: dict[str, tuple[Any, str, bool]] = {  # where, which call, and whether it is before the call or after it
    "a process is to be started": (ReusedProcess, "__init__", True),
    "a process was started": (ReusedProcess, "__init__", False),
    "a task is to be given to a process": (ReusedRun, "start", True),
    "a task was given to a process": (ReusedRun, "start", False),
    "a process is looked at": (TaskProcess, "poll", True),
    "a thread is to be started": (threading.Thread, "start", True),
    "a thread was started": (threading.Thread, "start", False),
    "the heartbeat is to be started": (Heartbeat, "start_pinging", True),
    "the heartbeat was started": (Heartbeat, "start_pinging", False),
    "work is to be handed out": (Scheduler, "exchange", True),
    "work was handed out": (Scheduler, "exchange", False),
}


@pytest.mark.parametrize(
    ("moment", "processes"),
    [(each, count) for each in MOMENTS for count in (1, 2, 3) if count > 1 or "process" not in each],
)
def test_ctrl_c_at_a_bad_moment(
    local: Scheduler, directory: str, monkeypatch: pytest.MonkeyPatch, moment: str, processes: int
) -> None:
    quick, *tasks = native_tasks.Write(directory, "q"), *(native_tasks.Endless(directory, str(n)) for n in range(2))
    where, name, is_before = MOMENTS[moment]
    hit = once(ctrl_c)
    call = getattr(where, name)
    monkeypatch.setattr(where, name, around(call, hit if is_before else nothing, nothing if is_before else hit))
    with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=processes) as worker:
        for task in (quick, *tasks):
            worker.add(task)
        worker.run()
    assert statuses(local, quick)[0] in ("PENDING", "DONE", "unknown")
    assert set(statuses(local, *tasks)) <= {"PENDING", "unknown"}


def test_ctrl_c_while_several_processes_are_asked_what_is_complete(
    local: Scheduler, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while the locks of all answers are held, for which the thread that brings them would wait for ever."""
    enter = _AcquireFutures.__enter__
    monkeypatch.setattr(_AcquireFutures, "__enter__", around(enter, nothing, once(ctrl_c)))
    with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=2) as worker:
        worker.add(native_tasks.Write(directory, "x"), multiprocess=True, processes=2)


def test_an_exception_of_a_handler_of_the_users_own(
    local: Scheduler, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = native_tasks.Endless(directory, "x")
    start_thread = threading.Thread.start

    def interrupted_thread(self: threading.Thread) -> None:
        if self.name == "work-waiter":
            raise KeyboardInterrupt
        start_thread(self)

    monkeypatch.setattr(threading.Thread, "start", interrupted_thread)
    with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=2) as worker:
        worker.add(task)
        worker.run()
    assert statuses(local, task) == ["PENDING"]


def test_what_is_done_and_not_reported_is_reported_before_the_worker_leaves(
    local: Scheduler, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, exchange = native_tasks.Write(directory, "x"), local.exchange

    def interrupted(**arguments: Any) -> Any:
        if arguments["reports"] and not interruptions:
            interruptions.append("before the report arrives")
            ctrl_c()
            raise Unreachable("nobody hears")
        return exchange(**arguments)

    interruptions = list[str]()
    monkeypatch.setattr(local, "exchange", interrupted)
    with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=2) as worker:
        worker.add(task)
        worker.run()
    assert interruptions and statuses(local, task) == ["DONE"]


def test_the_second_ctrl_c_kills_what_takes_its_time_to_end(local: Scheduler, directory: str) -> None:
    stubborn = native_tasks.Stubborn(directory)

    def twice() -> None:
        until(lambda: runs_of(stubborn.path()), "it runs")
        ctrl_c()
        until(stubborn.asked().exists, "the first one has had its effect")
        time.sleep(2 * interrupts.BOUNCE_SECONDS)  # or it would be the same one
        ctrl_c()

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=2, kill_after=40, timeout=50) as worker:
        worker.add(stubborn)
        threading.Thread(target=twice).start()
        worker.run()
    assert time.monotonic() - began < 30, "it is not waited for"
    assert statuses(local, stubborn) == ["PENDING"]


def test_the_same_ctrl_c_twice_is_one(local: Scheduler, directory: str) -> None:
    """A launcher passes on what the terminal has sent to all."""
    task = native_tasks.Endless(directory, "x")

    def bouncing() -> None:
        until(lambda: runs_of(task.path()), "it runs")
        ctrl_c()
        ctrl_c()

    with worker_on(local, worker_processes=2) as worker:
        worker.add(task)
        threading.Thread(target=bouncing).start()
        with pytest.raises(KeyboardInterrupt):
            worker.run()
        time.sleep(2 * interrupts.BOUNCE_SECONDS)


def test_a_worker_that_was_interrupted_may_run_again(local: Scheduler, directory: str) -> None:
    task = native_tasks.Slow(directory, "x")
    worker = worker_on(local, worker_processes=2)
    with worker:
        worker.add(task)
        threading.Thread(target=lambda: (until(lambda: runs_of(task.path()), "it runs"), ctrl_c())).start()
        with pytest.raises(KeyboardInterrupt):
            worker.run()
    with worker:
        assert worker.run()
    assert statuses(local, task) == ["DONE"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # its processes are taken from it
def test_the_main_thread_is_interrupted_also_when_another_one_runs_the_worker(local: Scheduler, directory: str) -> None:
    task = native_tasks.Endless(directory, "x")
    worker = worker_on(local, worker_processes=2)
    with pytest.raises(KeyboardInterrupt), worker:
        worker.add(task)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        until(lambda: runs_of(task.path()), "it runs")
        worker.stop_asking()
        ctrl_c()
        thread.join(30)
        raise AssertionError("the interruption was lost")
    thread.join(30)
    assert not thread.is_alive()


class AskedLong(native_tasks.Write):
    """Is asked for long whether it is complete, in the worker's loop."""

    asked_by: int = 0

    def complete(self) -> bool:
        if os.getpid() == self.asked_by:
            ctrl_c()
            time.sleep(50)
        return super().complete()


class Asking(native_tasks.Write):
    """Asks for it while it runs."""

    def run(self) -> Any:
        yield AskedLong(self.directory, "wanted", os.getppid())


def test_a_long_step_of_the_loop_is_interrupted_at_once(local: Scheduler, directory: str) -> None:
    task, began = Asking(directory, "x"), time.monotonic()
    with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=2, check_complete_on_run=False) as worker:
        worker.add(task)
        worker.run()
    assert time.monotonic() - began < 30


def test_an_interruption_is_not_hidden_by_another_exception(
    local: Scheduler, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it comes while a process is started, and the scheduler is lost right after."""

    def lost(**arguments: Any) -> Any:
        raise Unreachable("gone")

    def interrupted() -> None:
        monkeypatch.setattr(local, "exchange", lost)
        ctrl_c()

    monkeypatch.setattr(ReusedRun, "start", around(ReusedRun.start, nothing, once(interrupted)))
    with worker_on(local, worker_processes=2, patience=0) as worker:
        worker.add(native_tasks.Endless(directory, "x"))
        with pytest.raises(KeyboardInterrupt):
            worker.run()


class Nested(native_tasks.Write):
    """Runs a worker of its own, in the worker's process."""

    scheduler: ClassVar[Any]

    def run(self) -> None:
        with worker_on(self.scheduler, worker_id="inner", worker_processes=2) as worker:
            worker.add(native_tasks.Endless(self.directory, "inside"))
            worker.run()


def test_a_worker_within_a_task_of_a_worker(local: Scheduler, directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Nested, "scheduler", local, raising=False)
    monkeypatch.setattr(ReusedRun, "start", around(ReusedRun.start, nothing, once(ctrl_c)))
    task = Nested(directory, "outside")
    with pytest.raises(KeyboardInterrupt), worker_on(local) as worker:
        worker.add(task)
        worker.run()
    assert statuses(local, task, native_tasks.Endless(directory, "inside")) == ["PENDING", "PENDING"]


def test_a_handler_of_the_users_own_stays(local: Scheduler) -> None:
    def own(number: int, frame: Any) -> None:
        """Does nothing."""

    signal.signal(signal.SIGINT, own)
    with worker_on(local):
        assert signal.getsignal(signal.SIGINT) is own
    assert signal.signal(signal.SIGINT, signal.default_int_handler) is own


@pytest.fixture
def handled() -> Any:
    """SIGINT goes to our handler."""
    before = signal.signal(signal.SIGINT, interrupts.handle)
    interrupts.expect_another()
    yield
    signal.signal(signal.SIGINT, before)


class Dying:
    """Ctrl-C comes while it is finalized."""

    def __del__(self) -> None:
        ctrl_c()


def test_ctrl_c_while_an_object_is_finalized_is_not_lost(handled: None) -> None:
    Dying()  # Python prints what is raised in here, and goes on
    with pytest.raises(KeyboardInterrupt):
        interrupts.raise_due()


def test_ctrl_c_in_a_script_of_a_scheduler_in_memory_waits_for_its_end(
    handled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ScriptingCommandsMixin._lua_redis_call

    def interrupted(self: Any, *arguments: Any) -> Any:
        ctrl_c()
        return call(self, *arguments)

    client = connect("memory:interrupted")
    monkeypatch.setattr(ScriptingCommandsMixin, "_lua_redis_call", interrupted)
    assert client.eval("redis.pcall('SET', 'a', '1') return redis.call('GET', 'a')", 0) == "1"
    with pytest.raises(KeyboardInterrupt):
        interrupts.raise_due()


def test_ctrl_c_while_a_weak_collection_loses_an_object_is_not_lost(handled: None) -> None:
    def lose() -> None:
        kept = Heartbeat.__new__(Heartbeat)
        code = "def lost(_): ctrl_c()"
        names: dict[str, Any] = {"ctrl_c": ctrl_c}
        exec(compile(code, weakref.__file__, "exec"), names)  # as one of its callbacks: there is none to hook into
        reference = weakref.ref(kept, names["lost"])
        del kept
        assert reference() is None

    lose()
    with pytest.raises(KeyboardInterrupt):
        interrupts.raise_due()


def blocked(status: Path) -> int:
    """The mask of signals that a thread is not given."""
    return int(status.read_text().partition("SigBlk:")[2].split()[0], 16)


def test_signals_are_for_the_main_thread(local: Scheduler, directory: str) -> None:
    """One that another thread took would not wake the main thread from what it waits for."""
    task = native_tasks.Endless(directory, "x")
    terminating, masks = 1 << (signal.SIGTERM - 1) | 1 << (signal.SIGINT - 1), {}

    def look_once() -> bool:
        masks.clear()
        for thread in threading.enumerate():
            status = Path(f"/proc/self/task/{thread.native_id}/status")
            if not status.exists():  # it has just begun, or one that another test left has just ended
                return False
            masks[thread.name] = blocked(status)
        (process,) = worker._running.runs()
        for each in Path(f"/proc/{process.pid}/task").iterdir():
            masks["task" if each.name == str(process.pid) else "listener"] = blocked(each / "status")
        is_starting_a_thread = masks["MainThread"] & terminating  # which is to have the same mask
        return {"heartbeat", "work-waiter", "listener"} <= set(masks) and not is_starting_a_thread

    def look() -> None:
        try:
            until(lambda: runs_of(task.path()), "it runs")
            until(look_once, "all threads are there")
        finally:
            ctrl_c()

    with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=2) as worker:
        worker.add(task)
        threading.Thread(target=look, name="looking").start()
        worker.run()
    for name in ("MainThread", "task"):
        assert masks.pop(name) & terminating == 0
    masks.pop("looking")
    assert {"heartbeat", "work-waiter", "listener"} <= set(masks)
    ours = {
        name: mask
        for name, mask in masks.items()
        if name in ("heartbeat", "work-waiter", "listener") or "output" in name
    }
    assert all(mask & terminating == terminating for mask in ours.values()), masks


def test_what_comes_while_a_step_begins_to_wait_for_processes_ends_the_wait(handled: None) -> None:
    killed: list[int] = []
    interrupted_whole()
    with interrupts.hurried_by(lambda: killed.append(1)):
        assert killed == [1]
    with pytest.raises(KeyboardInterrupt):
        interrupts.raise_due()


@interrupts.whole
def interrupted_whole() -> None:
    ctrl_c()
