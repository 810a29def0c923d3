"""Tasks run by real rq workers: what comes back, and in which words."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rq import Queue
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from broker_sched.worker.executors.rq.engine import RqEngine
from tests.executors.conftest import RqFleet, kill
from tests.executors.luigi_tasks import LuigiDefaults
from tests.executors.slow_module import SlowlyLoaded
from tests.executors.tasks import (
    Answering,
    Asking,
    AskingInVain,
    Chatty,
    Deaf,
    Exiting,
    Failing,
    Hollow,
    InDirectory,
    Limited,
    Waiting,
    runs_of,
)
from tests.harness import ROOT
from tests.servers import is_alive, until

pytestmark = pytest.mark.timeout(90)


def test_a_task_is_run_by_an_rq_worker(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = InDirectory(directory=str(tmp_path), name="one")
    assert small_fleet.run(task)
    assert small_fleet.status(task) == "DONE"
    assert [run.rq_worker for run in runs_of(task)] == [small_fleet.processes[0].pid]


def test_progress_message_and_url_arrive_while_the_task_runs(small_fleet: RqFleet, tmp_path: Path) -> None:
    task, scheduler = Chatty(directory=str(tmp_path), name="chatty"), small_fleet.scheduler
    with small_fleet.while_running(task):
        until(lambda: small_fleet.seen(task).get("tracking_url"), "the URL, which came last, has arrived")
        seen = small_fleet.seen(task)
        (tmp_path / "seen").touch()
    assert (seen["status"], seen["tracking_url"]) == ("RUNNING", "http://example.org/run")
    assert scheduler.get_task_progress_percentage(task.task_id)["progressPercentage"] == 40
    assert scheduler.get_task_status_message(task.task_id)["statusMessage"] == "half of it"


def test_why_a_task_failed_arrives_with_what_it_wrote(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Failing(directory=str(tmp_path), name="failing")
    assert not small_fleet.run(task)
    assert small_fleet.status(task) == "FAILED"
    assert "ValueError: no such customer" in small_fleet.reason(task)
    found = small_fleet.scheduler.task_log(task.task_id)
    assert "about to fail" in found["log"].splitlines() and "from a program" in found["log"].splitlines()
    assert f"[{task.task_id}] about to fail\n" in small_fleet.log(), "the rq worker shows it"


def test_the_lines_of_a_jobs_log_in_json_name_the_worker_that_it_is(fleet: RqFleet, tmp_path: Path) -> None:
    fleet.rq_worker(BSCHED_LOG_FORMAT="json")
    fleet.listens(1)
    task = InDirectory(directory=str(tmp_path), name="one")
    assert fleet.run(task)
    until(lambda: "Informed scheduler that task" in fleet.log(), "the job has told")
    lines = [json.loads(line) for line in fleet.log().splitlines() if line.startswith("{")]
    (worker,) = {line["worker"] for line in lines}
    assert f"Running worker {worker} with 1 processes" in [line["message"] for line in lines]


def test_what_a_task_asks_for_while_it_runs_is_run_first(small_fleet: RqFleet, tmp_path: Path) -> None:
    task, wanted = Asking(directory=str(tmp_path), name="asking"), InDirectory(directory=str(tmp_path), name="wanted")
    assert small_fleet.run(task)
    assert (small_fleet.status(task), small_fleet.status(wanted)) == ("DONE", "DONE")
    assert (len(runs_of(task)), len(runs_of(wanted))) == (2, 1)


def test_an_rq_worker_finds_the_defaults_that_were_scheduled(small_fleet: RqFleet, tmp_path: Path) -> None:
    task: Any = LuigiDefaults(path=str(tmp_path / "seen"))
    assert small_fleet.run(task)
    assert (tmp_path / "seen").read_text() == "(None, None, 7)"


def test_a_module_missing_at_the_rq_worker_is_told_with_the_host(
    fleet: RqFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "only_here.py").write_text("from broker_sched import Task\nclass Local(Task):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    from only_here import Local  # type: ignore[import-not-found]  # made above

    fleet.rq_worker("--name", "far-away")
    task: Any = Local()
    assert not fleet.run(task)
    assert "only_here" in fleet.reason(task) and "PYTHONPATH" in fleet.reason(task)
    assert f"{socket.gethostname()} (rq worker far-away)" in fleet.reason(task)


def test_what_an_rq_worker_cannot_load_fails_for_nobody_else(
    fleet: RqFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "only_there.py").write_text(
        "import os\nfrom broker_sched import Task\nclass Local(Task):\n"
        "    def complete(self): return os.path.exists('made')\n    def run(self): open('made', 'w').close()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "there"))
    from only_there import Local  # type: ignore[import-not-found]  # made above

    task: Any = Local()
    fleet.submit(task)
    far_away = fleet.rq_worker("--name", f"far-away-{fleet.namespace}")
    assert fleet.run(assistant=True), "it was no failure of the supervisor's"
    assert fleet.status(task) == "PENDING"
    assert "can't be loaded on" in fleet.reason(task) and "only_there" in fleet.reason(task)
    far_away.kill()
    far_away.wait()
    fleet.rq_worker(path=os.pathsep.join([str(ROOT), str(tmp_path / "there")]))
    assert fleet.run(assistant=True)
    assert fleet.status(task) == "DONE"


def test_a_worker_with_another_serializer_is_told_to_change_it(fleet: RqFleet, tmp_path: Path) -> None:
    fleet.start("rq.cli", "worker", "--url", fleet.url, fleet.queue)
    task = InDirectory(directory=str(tmp_path), name="one")
    assert fleet.run(task), "it was no failure of the task"
    assert fleet.status(task) == "PENDING" and "--serializer json" in fleet.reason(task) and not runs_of(task)


def test_a_task_is_ended_at_its_timeout(quick_fleet: RqFleet, tmp_path: Path) -> None:
    task = Limited(directory=str(tmp_path), name="limited")
    assert not quick_fleet.run(task)
    assert "ran longer than 1 s, its timeout" in quick_fleet.reason(task)
    assert "waiting for go" in quick_fleet.scheduler.task_log(task.task_id)["log"]


def test_a_timeout_while_the_module_is_imported_says_so(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = SlowlyLoaded(directory=str(tmp_path), name="slow")
    assert not small_fleet.run(task)
    assert "ran longer than 1 s, its timeout" in small_fleet.reason(task)
    assert "PYTHONPATH" not in small_fleet.reason(task)


def test_a_task_that_ignores_its_timeout_is_killed(quick_fleet: RqFleet, tmp_path: Path) -> None:
    task, after = Deaf(directory=str(tmp_path), name="deaf"), InDirectory(directory=str(tmp_path), name="after")
    assert not quick_fleet.run(task)
    assert "ran longer than 1 s, its timeout" in quick_fleet.reason(task)
    assert quick_fleet.run(after), "the rq worker is free again"


def test_a_message_to_a_running_task_is_answered(small_fleet: RqFleet, tmp_path: Path) -> None:
    task, scheduler = Answering(directory=str(tmp_path), name="answering"), small_fleet.scheduler
    with small_fleet.while_running(task):
        until(lambda: runs_of(task), "the task runs")
        runner = str(scheduler.task_statuses([task.task_id])[task.task_id]["worker_running"])
        told = scheduler.send_scheduler_message(runner, task.task_id, "how far?")
        asked: Any = (task.task_id, told["message_id"])
        answer = until(lambda: scheduler.get_scheduler_message_response(*asked)["response"], "it answers")
    assert (answer, small_fleet.status(task)) == ("half of how far?", "DONE")


@pytest.mark.parametrize(("disable", "status"), [(False, "FAILED"), (True, "DISABLED")])
def test_a_running_task_is_stopped(small_fleet: RqFleet, tmp_path: Path, disable: bool, status: str) -> None:
    task, after = Waiting(directory=str(tmp_path), name="endless"), InDirectory(directory=str(tmp_path), name="after")
    with small_fleet.while_running(task):
        until(lambda: runs_of(task), "the task runs")
        small_fleet.scheduler.stop_task(task.task_id, disable=disable)
    assert small_fleet.status(task) == status
    assert "was ended: it was stopped by stop_task" in small_fleet.reason(task)
    assert small_fleet.run(after), "the rq worker is free again"


def test_a_task_that_still_waits_in_the_queue_is_stopped_and_never_runs(fleet: RqFleet, tmp_path: Path) -> None:
    task, after = InDirectory(directory=str(tmp_path), name="one"), InDirectory(directory=str(tmp_path), name="after")
    with fleet.while_running(task, worker_processes=1, executor_options={"follows_engine": False}):
        until(fleet.queued, "the task is enqueued")
        fleet.scheduler.stop_task(task.task_id)
    assert fleet.status(task) == "FAILED" and not fleet.queued()
    fleet.rq_worker()
    assert fleet.run(after) and not runs_of(task)


def test_a_killed_work_horse_is_told_with_the_signal(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Waiting(directory=str(tmp_path), name="killed")
    with small_fleet.while_running(task):
        [run] = until(lambda: runs_of(task), "the task runs")
        kill(run.work_horse)
    assert small_fleet.status(task) == "FAILED"
    assert "work-horse was killed (SIGKILL), possibly because the machine is out of memory" in small_fleet.reason(task)
    until(lambda: not is_alive(run.task_process), "the task ends with it")


def test_a_task_process_that_leaves_with_code_0_is_noticed(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Exiting(directory=str(tmp_path), name="exiting")
    assert not small_fleet.run(task)
    assert "exited with code 0 before the task was through (does it call os._exit" in small_fleet.reason(task)


def test_a_run_goes_on_when_only_its_rq_worker_is_killed_and_rq_calls_its_job_abandoned(
    small_fleet: RqFleet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = Waiting(directory=str(tmp_path), name="orphan")
    with small_fleet.while_running(task):
        [run] = until(lambda: runs_of(task), "the task runs")
        kill(run.rq_worker)
        small_fleet.processes[0].wait()
        registry = StartedJobRegistry(small_fleet.queue, small_fleet.client, serializer=JSONSerializer)
        registry.cleanup(timestamp=time.time() + 10**9)  # as other rq workers do after minutes
        until(lambda: "It goes on while its job is heard of" in caplog.text, "the supervisor has heard of it")
        (tmp_path / "go").touch()
        until(lambda: small_fleet.status(task) == "DONE", "it is reported without an rq worker")
        small_fleet.rq_worker()  # without any the worker would wait for one
    assert small_fleet.status(task) == "DONE" and len(runs_of(task)) == 1


def test_a_run_whose_rq_worker_is_killed_is_stopped_all_the_same(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Waiting(directory=str(tmp_path), name="orphan")
    with small_fleet.while_running(task):
        [run] = until(lambda: runs_of(task), "the task runs")
        kill(run.rq_worker)
        small_fleet.processes[0].wait()
        small_fleet.scheduler.stop_task(task.task_id)
        small_fleet.rq_worker()
    assert "was ended: it was stopped by stop_task" in small_fleet.reason(task)
    until(lambda: not is_alive(run.work_horse), "the work-horse is gone")


def test_a_run_is_given_up_when_rq_worker_and_work_horse_are_killed(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Waiting(directory=str(tmp_path), name="lost")
    with small_fleet.while_running(task):
        [run] = until(lambda: runs_of(task), "the task runs")
        kill(run.rq_worker)
        kill(run.work_horse)
        until(lambda: small_fleet.scheduler.prune() or small_fleet.status(task) == "FAILED", "the job is missed")
        small_fleet.rq_worker()
    assert small_fleet.status(task) == "FAILED"
    until(lambda: not is_alive(run.task_process), "the task ends with its job")


def test_a_run_that_holds_its_job_up_goes_on_while_that_pings(small_fleet: RqFleet, tmp_path: Path) -> None:
    """Its own process does, and the job, which is another one, tells of it."""
    task = Waiting(directory=str(tmp_path), name="busy")
    with small_fleet.while_running(task):
        [run] = until(lambda: runs_of(task), "the task runs")
        os.kill(run.task_process, signal.SIGSTOP)
        before = small_fleet.contact(task)
        until(lambda: small_fleet.contact(task) > before, "its job goes on to ping")
        os.kill(run.task_process, signal.SIGCONT)
        (tmp_path / "go").touch()
    assert small_fleet.status(task) == "DONE" and len(runs_of(task)) == 1


def test_a_job_that_an_rq_worker_took_and_died_with_is_replaced(fleet: RqFleet, tmp_path: Path) -> None:
    task = InDirectory(directory=str(tmp_path), name="one")
    fixed = {"follows_engine": False, "look_seconds": 0.1}
    with fleet.while_running(task, worker_processes=1, keep_alive=True, executor_options=fixed):
        [taken] = until(fleet.queued, "the task is enqueued")
        queue = Queue(fleet.queue, connection=fleet.client)
        fleet.client.lmove(queue.key, queue.intermediate_queue_key)
        [replaced] = until(fleet.queued, "there is another job")
        fleet.rq_worker()
    assert replaced != taken
    assert fleet.status(task) == "DONE" and len(runs_of(task)) == 1


def test_a_job_deleted_from_the_queue_fails_its_task(fleet: RqFleet, tmp_path: Path) -> None:
    task = InDirectory(directory=str(tmp_path), name="one")
    alone = {"follows_engine": False, "look_seconds": 0.5}
    with fleet.while_running(task, worker_processes=1, executor_options=alone):
        until(fleet.queued, "the task is enqueued")
        subprocess.run(
            [sys.executable, "-m", "rq.cli", "empty", "--url", fleet.url, "-S", "json", fleet.queue], check=True
        )
    assert "was deleted, possibly by `rq empty`" in fleet.reason(task)


def test_rq_shows_tasks_by_name(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = InDirectory(directory=str(tmp_path), name="one")
    assert small_fleet.run(task)
    assert f"{small_fleet.queue}: {task.task_id} ({task.task_id}-" in small_fleet.log()


def test_the_fleet_is_counted_as_rq_workers_come_and_go(fleet: RqFleet) -> None:
    with fleet.executor() as executor:
        assert executor.capacity(7) == 0
        first, _ = (
            fleet.rq_worker(),
            fleet.start("rq.cli", "worker-pool", "-n", "2", "-S", "json", "--url", fleet.url, fleet.queue),
        )
        until(lambda: executor.capacity(7) == 3, "one and a pool of two")
        first.kill()
        until(lambda: executor.capacity(7) == 2, "the killed one is missed")


def test_a_worker_without_a_fleet_waits_for_one(fleet: RqFleet, tmp_path: Path) -> None:
    task = InDirectory(directory=str(tmp_path), name="one")
    with fleet.while_running(task):
        until(lambda: fleet.seen(task), "the task is scheduled")
        assert (fleet.status(task), fleet.queued()) == ("PENDING", [])
        fleet.rq_worker()
    assert fleet.status(task) == "DONE"


def test_as_many_tasks_as_rq_workers_run_at_once(fleet: RqFleet, tmp_path: Path) -> None:
    for _ in range(2):
        fleet.rq_worker()
    fleet.listens(2)
    tasks = [Waiting(directory=str(tmp_path), name=f"w{n}") for n in range(3)]
    with fleet.while_running(*tasks):
        until(lambda: sum(len(runs_of(task)) for task in tasks) == 2, "two run")
        assert sorted(map(fleet.status, tasks)) == ["PENDING", "RUNNING", "RUNNING"]
        (tmp_path / "go").touch()
    assert {fleet.status(task) for task in tasks} == {"DONE"}


def test_passwords_are_not_told(fleet: RqFleet) -> None:
    with pytest.raises(Exception) as raised:
        RqEngine("redis://me:secret@127.0.0.1:1/0", "q").connect()
    assert "127.0.0.1:1" in str(raised.value) and "secret" not in str(raised.value)


def test_a_task_fails_that_waits_for_what_was_run_and_made_nothing(small_fleet: RqFleet, tmp_path: Path) -> None:
    task, hollow = AskingInVain(directory=str(tmp_path), name="asking"), Hollow(directory=str(tmp_path), name="hollow")
    assert not small_fleet.run(task)
    assert (small_fleet.status(task), small_fleet.status(hollow)) == ("FAILED", "DONE")
    assert f"{hollow.output().path} is missing" in small_fleet.reason(task)
    assert (len(runs_of(task)), len(runs_of(hollow))) == (2, 1)
