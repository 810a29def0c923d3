"""Processes that run one task after another: no task notices, and none pays for what another one does."""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import types
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from broker_sched import ConfigurationError
from broker_sched.tasks.task import Task
from broker_sched.worker.executors.reused_child import Inbox, Job, Message
from broker_sched.worker.executors.task_connection import TasksEnd, WorkersEnd
from broker_sched.worker.worker import Worker
from tests.servers import until
from tests.worker import reused_tasks
from tests.worker.conftest import WITHOUT_RETRIES, statuses, worker_on

pytestmark = pytest.mark.timeout(60)


def run(local: Any, *tasks: Task, processes: int = 2, **options: Any) -> Worker:
    with worker_on(local, worker_processes=processes, **options) as worker:
        for each in tasks:
            worker.add(each)
        worker.run()
    return worker


def told(task: Any) -> tuple[int, str]:
    """The id of the process that ran it, and what it found."""
    pid, _, found = Path(task.output().path).read_text().partition(" ")
    return int(pid), found


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_few_processes_run_many_tasks(local: Any, tmp_path: Path, start_method: str) -> None:
    many = [reused_tasks.Noted(str(tmp_path), n) for n in range(12)]
    run(local, *many, start_method=start_method)
    assert statuses(local, *many) == ["DONE"] * 12
    pids = {told(each)[0] for each in many}
    assert len(pids) <= 2 and os.getpid() not in pids


def test_a_process_runs_no_more_tasks_than_it_may(local: Any, tmp_path: Path) -> None:
    many = [reused_tasks.Noted(str(tmp_path), n) for n in range(10)]
    run(local, *many, tasks_per_process=3)
    pids = Counter(told(each)[0] for each in many)
    assert max(pids.values()) == 3


def test_with_one_task_per_process_each_has_its_own(local: Any, tmp_path: Path) -> None:
    many = [reused_tasks.Noted(str(tmp_path), n) for n in range(5)]
    run(local, *many, tasks_per_process=1)
    assert len({told(each)[0] for each in many}) == 5


def test_a_number_of_tasks_below_one_is_refused(local: Any) -> None:
    with pytest.raises(ConfigurationError, match="tasks_per_process must be 1 or more"):
        worker_on(local, tasks_per_process=0)


@pytest.mark.parametrize("kind", [reused_tasks.Fresh, reused_tasks.Unpicklable, reused_tasks.Unreadable])
def test_a_task_that_wants_or_needs_a_process_of_its_own_has_one(
    local: Any, tmp_path: Path, kind: Any, caplog: Any
) -> None:
    caplog.set_level(logging.INFO, "bsched.worker")
    own = [kind(str(tmp_path), n) for n in range(3)]
    others = [reused_tasks.Noted(str(tmp_path), n) for n in range(6)]
    run(local, *own, *others, start_method="fork")
    assert statuses(local, *own, *others) == ["DONE"] * 9
    pids = [told(each)[0] for each in own]
    assert len(set(pids)) == 3 and not set(pids) & {told(each)[0] for each in others}
    said = [each.getMessage() for each in caplog.records if "a process of its own" in each.getMessage()]
    assert len(said) == (kind is not reused_tasks.Fresh)


def test_what_the_object_was_told_before_its_run_holds_in_the_process(local: Any, tmp_path: Path) -> None:
    task = reused_tasks.Forced(str(tmp_path), 1)
    object.__setattr__(task, "force", True)
    run(local, reused_tasks.Noted(str(tmp_path), 1), task)
    assert told(task)[1] == "True"


def test_each_task_draws_other_random_numbers(local: Any, tmp_path: Path) -> None:
    many = [reused_tasks.Drawn(str(tmp_path), n) for n in range(6)]
    run(local, *many)
    assert len({told(each)[1] for each in many}) == 6


def after(local: Any, tmp_path: Path, what: str) -> tuple[bool, str, str, str]:
    """Run a task that leaves this behind, and another. Returns whether they shared a process, and what they found."""
    first, second = reused_tasks.Leaving(str(tmp_path), 1, what), reused_tasks.Found(str(tmp_path), 2)
    with worker_on(local, force_multiprocessing=True) as worker:
        worker.add(first)
        assert worker.run()
        worker.add(second)
        assert worker.run()
    return told(first)[0] == told(second)[0], told(first)[1], told(second)[1], reused_tasks._surroundings()


def test_what_a_task_changed_of_its_process_is_put_back_and_said(local: Any, tmp_path: Path, capfd: Any) -> None:
    logging.getLogger("bsched.worker").addHandler(handler := logging.StreamHandler())
    logging.getLogger("bsched.worker").setLevel(logging.INFO)
    try:
        is_same, first, second, before = after(local, tmp_path, "what can be put back")
    finally:
        logging.getLogger("bsched.worker").removeHandler(handler)
    assert is_same
    assert first != before and second == before
    said = capfd.readouterr().err
    for each in ("the working directory", "environment variables", "signal handlers", "a timer", "the umask"):
        assert each in said


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("a thread", "left 1 thread behind (of the task)"),
        ("a program", "left programs behind"),
        ("memory", "has grown by"),
        ("files", "more than 32 files were left open"),
        ("a limit", "changed limits"),
    ],
)
def test_a_process_that_is_not_as_before_runs_no_other_task(
    local: Any, tmp_path: Path, what: str, reason: str, caplog: Any
) -> None:
    caplog.set_level(logging.INFO, "bsched.worker")
    is_same, *_ = after(local, tmp_path, what)
    assert not is_same
    assert any("runs no other task" in each and reason in each for each in caplog.messages)


@WITHOUT_RETRIES
@pytest.mark.parametrize("how", ["exit 0", "timeout", "killed", "raises"])
def test_only_the_task_itself_fails(local: Any, tmp_path: Path, how: str) -> None:
    bad = reused_tasks.Ends(str(tmp_path), 0, how)
    many = [reused_tasks.Noted(str(tmp_path), n) for n in range(8)]
    run(local, *many[:4], bad, *many[4:])
    assert statuses(local, bad) == ["FAILED"]
    assert statuses(local, *many) == ["DONE"] * 8
    uses = Counter(told(each)[0] for each in (bad, *many))
    assert (uses[told(bad)[0]] > 0) and len(uses) <= 3


def test_a_process_that_dies_without_a_task_costs_none(local: Any, tmp_path: Path) -> None:
    first, second = reused_tasks.Noted(str(tmp_path), 1), reused_tasks.Noted(str(tmp_path), 2)
    with worker_on(local, force_multiprocessing=True) as worker:
        worker.add(first)
        assert worker.run()
        os.kill(told(first)[0], signal.SIGKILL)
        worker.add(second)
        assert worker.run()
    assert statuses(local, first, second) == ["DONE", "DONE"]


def test_a_process_that_dies_as_it_is_given_a_task_costs_none(
    local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped before it gets the task, and killed after."""
    from broker_sched.worker.executors.process_pool import ReusedProcess

    first, second = reused_tasks.Noted(str(tmp_path), 1), reused_tasks.Noted(str(tmp_path), 2)
    give_job = ReusedProcess.give_job

    def giving(process: ReusedProcess, *arguments: Any) -> None:
        if process.number == 1:
            os.kill(process.process.pid, signal.SIGSTOP)
            give_job(process, *arguments)
            os.kill(process.process.pid, signal.SIGKILL)
        else:
            give_job(process, *arguments)

    monkeypatch.setattr(ReusedProcess, "give_job", giving)
    with worker_on(local, force_multiprocessing=True) as worker:
        worker.add(first)
        assert worker.run()
        worker.add(second)
        assert worker.run()
    assert statuses(local, first, second) == ["DONE", "DONE"]
    assert told(first)[0] != told(second)[0]


def test_each_task_has_its_own_output(local: Any, tmp_path: Path) -> None:
    many = [reused_tasks.Talks(str(tmp_path), n) for n in range(6)]
    run(local, *many, capture_output=True)
    assert len({told(each)[0] for each in many}) <= 2
    for each in many:
        assert sorted(local.task_log(each.task_id)["log"].splitlines()) == [
            f"{w} {each.n}" for w in ("err", "out", "program")
        ]


def test_a_worker_with_a_stdout_of_its_own_has_all_output_and_nothing_put_back(
    local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a notebook has. For the time of a run another one stands in its place, which the task has not put there."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    said = logging.FileHandler(tmp_path / "log")
    monkeypatch.setattr(logging.getLogger("bsched.worker"), "handlers", [said])
    caplog.set_level(logging.INFO, "bsched.worker")
    many = [reused_tasks.Mumbles(str(tmp_path), n) for n in range(4)]
    run(local, *many, capture_output=True, start_method="fork")
    said.close()
    assert "done      Mumbles" in (text := (tmp_path / "log").read_text()) and "Put back" not in text
    assert len({told(each)[0] for each in many}) <= 2
    assert [local.task_log(each.task_id)["log"] for each in many] == [f"no end of line {n}" for n in range(4)]


def test_a_message_reaches_the_task_that_it_is_for(local: Any, tmp_path: Path) -> None:
    many = [reused_tasks.Listens(str(tmp_path), n) for n in range(4)]
    with worker_on(local, worker_processes=2) as worker:
        for each in many:
            worker.add(each)
        ran = threading.Thread(target=worker.run)
        ran.start()
        sent = dict[Any, str]()
        while len(sent) < 4:
            until(lambda: set(worker._running.task_ids()) - {each.task_id for each in sent}, "another one runs")
            for each in [each for each in many if each.task_id in worker._running.task_ids() and each not in sent]:
                sent[each] = local.send_scheduler_message(worker.id, each.task_id, f"hello {each.n}")["message_id"]
        ran.join()
    for each, message_id in sent.items():
        answer = local.get_scheduler_message_response(each.task_id, message_id)["response"]
        assert answer == f"{each.n} heard hello {each.n}"
    assert len({told(each)[0] for each in many}) <= 2


def test_a_message_that_is_there_before_its_run_has_begun_reaches_it_and_no_other() -> None:
    ours, theirs = socket.socketpair()
    worker, inbox, told = WorkersEnd(ours), Inbox(TasksEnd(theirs)), list[str]()
    reporter: Any = types.SimpleNamespace(receive=lambda name, *rest: told.append(name), scheduler_messages=True)
    nothing: Any = None
    for number, name in ((1, "late"), (2, "early")):
        worker.send(Message(number, (name, "", {})))
    worker.send(Job(2, b"", nothing, nothing, False))
    assert inbox.next_job() == (2, b"", None, None, False)
    with inbox.messages_for(2, reporter):
        worker.send(Message(1, ("later", "", {})))
        worker.send(Message(2, ("in time", "", {})))
        until(lambda: "in time" in told, "the message is read while the run is under way")
    worker.send(Message(2, ("too late", "", {})))
    worker.send(None)
    assert inbox.next_job() is None
    with inbox.messages_for(3, reporter):
        pass
    assert told == ["early", "in time"]
    worker.close()
    theirs.close()


def test_no_process_is_left_when_the_worker_has_left(local: Any, tmp_path: Path) -> None:
    run(local, *[reused_tasks.Noted(str(tmp_path), n) for n in range(4)])
    ours = [each for each in multiprocessing.active_children() if each.name == "tasks"]
    assert ours == []
