"""What a task process writes is shown with its task's id, and its end is kept for whoever asks."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from broker_sched import RemoteScheduler, Scheduler
from broker_sched.contract.types import MAX_LOG
from broker_sched.worker.executors import task_process
from broker_sched.worker.executors.output import Output
from broker_sched.worker.executors.task_process import SchedulerCall
from broker_sched.worker.running_tasks import RunningTasks
from bsched.main import cli
from tests.servers import RunningRedis, until
from tests.worker.bodies import runs_of
from tests.worker.conftest import statuses, worker_on
from tests.worker.test_task_processes import START_METHODS

pytestmark = pytest.mark.timeout(60)
CAPTURING = {"capture_output": True, "force_multiprocessing": True}


@pytest.mark.parametrize("start_method", START_METHODS)
def test_all_that_a_task_writes_is_captured(
    local: Any, tasks: ModuleType, directory: str, start_method: str, capfd: pytest.CaptureFixture[str]
) -> None:
    task = tasks.Talk(directory)
    with worker_on(local, start_method=start_method, **CAPTURING) as worker:
        worker.add(task)
        assert worker.run()
    found = local.task_log(task.task_id)
    lines = found["log"].splitlines()
    for line in ("printed é", "to stderr", "from a program", "\ufffd not text", "without an end of line"):
        assert line in lines
    assert any("logged" in line for line in lines)
    assert (found["size"], found["status"]) == (len(found["log"]), "DONE")
    shown = ""

    def is_shown() -> bool:
        nonlocal shown
        shown += capfd.readouterr().err
        return all(f"[{task.task_id}] {line}\n" in shown for line in ("printed é", "without an end of line"))

    until(is_shown, "all is shown: the last line when nobody can go on with it, such as another process just forked")


def test_of_much_the_end_is_kept(local: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Talk(directory, "much")
    with worker_on(local, **CAPTURING) as worker:
        worker.add(task)
        assert worker.run()
    found = local.task_log(task.task_id)
    assert len(found["log"]) == MAX_LOG and found["size"] > 780_000
    assert found["log"].endswith("line 19999 of many, and some more words\nwithout an end of line")


def test_the_last_words_of_a_killed_task_are_kept(local: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Talk(directory, "killed")
    with worker_on(local, **CAPTURING) as worker:
        worker.add(task)
        assert not worker.run()
    assert local.task_log(task.task_id)["log"].endswith("last words\n")


@pytest.mark.parametrize("a_child_may_still_write", [False, True])
def test_the_last_words_are_waited_for_however_slowly_they_are_read(
    monkeypatch: pytest.MonkeyPatch, a_child_may_still_write: bool
) -> None:
    """The thread that reads may get its turn late."""
    take = Output._add_text
    monkeypatch.setattr(Output, "_add_text", lambda output, text: (time.sleep(0.5), take(output, text)))
    source, pipe = multiprocessing.Pipe(duplex=False)
    output = Output("task", source, shown_on=os.open(os.devnull, os.O_WRONLY))
    os.write(pipe.fileno(), b"last words")
    if not a_child_may_still_write:
        pipe.close()
    assert output.final_tail() == ("last words", 10)
    pipe.close()


def test_what_a_task_leaves_running_holds_nobody_up(local: Any, tasks: ModuleType, directory: str) -> None:
    task, other = tasks.Talk(directory, "daemon"), tasks.Write(directory, "other")
    started = time.monotonic()
    with worker_on(local, **CAPTURING) as worker:
        worker.add(task)
        worker.add(other)
        assert worker.run()
    assert time.monotonic() - started < 20
    assert local.task_log(task.task_id)["log"].endswith("without an end of line")
    psutil.Process(int(Path(f"{task.path()}.daemon").read_text())).kill()


def test_a_running_tasks_output_can_be_followed(
    local: Any, shared_redis: RunningRedis, tasks: ModuleType, directory: str
) -> None:
    task = tasks.Talk(directory, "waits")
    worker = worker_on(local, **CAPTURING)
    worker.add(task)
    running = threading.Thread(target=worker.run)
    running.start()
    until(lambda: local.task_log(task.task_id)["log"], "its output is kept while it runs", 20)
    assert local.task_log(task.task_id)["status"] == "RUNNING"
    where = ("--redis", shared_redis.url, "--namespace", local.namespace.name)
    threading.Timer(1.5, Path(f"{task.path()}.go").touch).start()
    result = CliRunner().invoke(cli, ["task", "logs", task.task_id, "--follow", *where])
    running.join()
    assert result.exit_code == 0
    assert result.stdout.count("printed é") == 1 and result.stdout.endswith("without an end of line")
    result = CliRunner().invoke(cli, ["task", "logs", "nobody", *where])
    assert result.exit_code == 1 and "There is no task nobody" in result.stderr


def test_a_new_run_begins_a_new_log(tasks: ModuleType, local: Any, directory: str) -> None:
    task = tasks.Talk(directory, "much")
    for how in range(2):
        task.path().unlink(missing_ok=True)
        with worker_on(local, **CAPTURING) as worker:
            worker.add(task)
            assert worker.run(), how
        sizes = local.task_log(task.task_id)["size"]
        assert 780_000 < sizes < 900_000


def test_a_stock_luigid_is_not_bothered_with_it(
    luigid_url: str, tasks: ModuleType, directory: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = tasks.Talk(directory)
    with RemoteScheduler(luigid_url) as scheduler, caplog.at_level(logging.WARNING, "bsched.worker"):
        with worker_on(scheduler, **CAPTURING) as worker:
            worker.add(task)
            assert worker.run()
        assert statuses(scheduler, task) == ["DONE"]
    assert not [record for record in caplog.records if "set_task_log" in record.getMessage()]


def test_a_task_that_writes_much_does_not_wait_for_a_lost_scheduler(
    tasks: ModuleType, directory: str, local: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker is busy with the scheduler meanwhile."""
    task, is_stuck, goes_on = tasks.Talk(directory, "much"), threading.Event(), threading.Event()
    set_task_log = local.set_task_log

    def stuck(**arguments: Any) -> Any:
        is_stuck.set()
        goes_on.wait(20)
        return set_task_log(**arguments)

    monkeypatch.setattr(local, "set_task_log", stuck)
    worker = worker_on(local, worker_processes=2, **CAPTURING)
    worker.add(task)
    running = threading.Thread(target=worker.run)
    running.start()
    assert is_stuck.wait(20)
    until(task.path().exists, "it has written all", 20)
    goes_on.set()
    running.join()
    assert local.task_log(task.task_id)["size"] > 780_000


def test_of_a_silent_schedulers_worker_only_the_latest_ends_wait() -> None:
    def told(*calls: SchedulerCall) -> Any:
        """A run that asks for these calls."""
        return SimpleNamespace(take_scheduler_calls=lambda: list(calls), is_superseded=False, attempt=None)

    running = RunningTasks()
    for number in range(100):
        for task_id in "ab":
            running._collect_calls(
                told(SchedulerCall("set_task_log", {"task_id": task_id, "log": str(number), "size": number}))
            )
        running._collect_calls(told(*[SchedulerCall("add_task", {"task_id": "a"})] if number < 2 else []))
    assert sorted(each.method for each in running.scheduler_calls) == [
        "add_task",
        "add_task",
        "set_task_log",
        "set_task_log",
    ]
    assert [each.arguments["size"] for each in running.scheduler_calls if each.method == "set_task_log"] == [99, 99]


def test_without_a_thread_for_its_output_a_task_does_not_begin(
    local: Any, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("can't start new thread")

    task = tasks.Talk(directory)
    with worker_on(local, **CAPTURING) as worker:
        worker.add(task)
        monkeypatch.setattr(task_process, "Output", refuse)
        assert not worker.run()
    assert "can't start new thread" in local.fetch_error(task.task_id)["error"]
    assert not task.path().exists() and runs_of(task.path()) == []
