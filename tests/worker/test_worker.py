"""What a worker does with tasks: the same for both kinds of tasks, and over each way to a scheduler."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker_sched.errors import ConfigurationError, WorkerError
from broker_sched.tasks.protocol import TaskTypeError
from broker_sched.worker.worker import Worker
from tests.servers import until
from tests.worker.bodies import runs_of
from tests.worker.conftest import statuses, worker_on

pytestmark = pytest.mark.timeout(60)
EACH_MODE = pytest.mark.parametrize("processes", [1, 3])


@EACH_MODE
def test_a_task_runs_after_what_it_needs(scheduler: Any, tasks: ModuleType, directory: str, processes: int) -> None:
    root = tasks.Everything(directory)
    with worker_on(scheduler, worker_processes=processes) as worker:
        assert worker.add(root)
        assert worker.run()
    assert tasks.Sum(directory, 2).path().read_text() == "01"
    assert statuses(scheduler, root, *root.deps()) == ["DONE"] * 3


def test_without_a_context_the_heartbeat_beats_while_it_runs(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    others = set(threading.enumerate())
    worker = worker_on(scheduler)
    worker.add(tasks.Write(directory, "x"))
    assert worker.run()
    left = set(threading.enumerate()) - others
    assert not [thread for thread in left if thread.name == "heartbeat"]


@EACH_MODE
def test_what_is_complete_is_not_run(scheduler: Any, tasks: ModuleType, directory: str, processes: int) -> None:
    done = tasks.Write(directory, "0")
    done.path().write_text("was here")
    with worker_on(scheduler, worker_processes=processes) as worker:
        worker.add(tasks.Sum(directory, 2))
        assert worker.run()
    assert tasks.Sum(directory, 2).path().read_text() == "was here1"
    assert runs_of(done.path()) == []


@EACH_MODE
def test_a_failure_is_reported_with_its_trace_and_stops_what_needs_it(
    scheduler: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    root, failing = tasks.NeedsFail(directory), tasks.Fail(directory)
    with worker_on(scheduler, worker_processes=processes) as worker:
        worker.add(root)
        assert not worker.run()
    assert statuses(scheduler, root, failing)[0] == "PENDING"
    assert "this task always fails" in scheduler.fetch_error(task_id=failing.task_id)["error"]
    assert not root.path().exists()


@EACH_MODE
def test_a_failed_task_is_retried_while_the_worker_is_kept_alive(
    scheduler: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    task = tasks.FailOnce(directory)
    with worker_on(scheduler, worker_processes=processes, keep_alive=True) as worker:
        worker.add(task)
        worker.run()
    assert len(runs_of(task.path())) == 2
    assert statuses(scheduler, task) == ["DONE"]


@EACH_MODE
def test_what_needs_a_missing_external_task_waits(
    scheduler: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    root, external = tasks.NeedsExternal(directory), tasks.External(directory)
    with worker_on(scheduler, worker_processes=processes) as worker:
        assert worker.add(root)
        assert worker.run()
    assert statuses(scheduler, root, external) == ["PENDING", "PENDING"]


def test_an_external_task_is_asked_again_on_request(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    root, external = tasks.NeedsExternal(directory), tasks.External(directory)
    with worker_on(scheduler, retry_external_tasks=True, keep_alive=True) as worker:
        worker.add(root)
        external.path().write_text("it came")
        assert worker.run()
    assert statuses(scheduler, root, external) == ["DONE", "DONE"]


@EACH_MODE
def test_a_running_task_may_ask_for_more(scheduler: Any, tasks: ModuleType, directory: str, processes: int) -> None:
    root = tasks.Dynamic(directory)
    with worker_on(scheduler, worker_processes=processes) as worker:
        worker.add(root)
        assert worker.run()
    assert root.path().read_text() == "Write_first_a,Write_first_b"
    assert statuses(scheduler, root, tasks.Write(directory, "first"), tasks.Write(directory, "first_a")) == ["DONE"] * 3
    assert len(runs_of(root.path())) == 3


@EACH_MODE
def test_tasks_of_a_family_run_as_one_batch(scheduler: Any, tasks: ModuleType, directory: str, processes: int) -> None:
    root = tasks.Batches(directory)
    with worker_on(scheduler, worker_processes=processes) as worker:
        worker.add(root)
        assert worker.run()
    assert statuses(scheduler, root, *root.deps()) == ["DONE"] * 6
    assert len([task for task in root.deps() if runs_of(task.path())]) == 1


@pytest.mark.parametrize("name", ["Broken", "BrokenDeps"])
def test_a_task_that_cannot_be_scheduled_is_unknown_and_add_says_so(
    scheduler: Any, tasks: ModuleType, directory: str, name: str
) -> None:
    task = getattr(tasks, name)(directory)
    with worker_on(scheduler) as worker:
        assert not worker.add(task)
        assert worker.run()
    assert statuses(scheduler, task) == ["UNKNOWN"]


def test_a_disabled_task_is_not_run(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Disabled(directory)
    with worker_on(scheduler) as worker:
        worker.add(task)
        worker.run()
    assert statuses(scheduler, task) == ["DISABLED"]
    assert runs_of(task.path()) == []


def test_completeness_is_asked_in_parallel_on_request(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    root = tasks.Sum(directory, 5)
    with worker_on(scheduler) as worker:
        assert worker.add(root, multiprocess=True, processes=2)
        assert worker.run()
    assert root.path().read_text() == "01234"


def test_no_more_tasks_than_the_limit_are_scheduled(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    root = tasks.Sum(directory, 5)
    with worker_on(scheduler, task_limit=3) as worker:
        worker.add(root)
        worker.run()
    assert statuses(scheduler, *root.deps()).count("DONE") == 2


def test_a_dep_that_is_gone_when_the_task_is_to_run_is_made_again(
    local: Any, tasks: ModuleType, directory: str
) -> None:
    root, dep = tasks.Sum(directory, 1), tasks.Write(directory, "0")
    dep.path().write_text("for a moment")
    with worker_on(local, keep_alive=True) as worker:
        worker.add(root)
        dep.path().unlink()
        worker.run()
    assert statuses(local, root, dep) == ["DONE", "DONE"]
    assert root.path().read_text() == "0"


def test_what_has_run_must_be_complete_where_that_is_asked_for(local: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Everything(directory)
    never = tasks.Forgetful(directory)
    with worker_on(local, check_complete_on_run=True) as worker:
        worker.add(never)
        assert not worker.run()
    assert "complete() still says False" in local.fetch_error(never.task_id)["error"]
    with worker_on(local) as worker:
        worker.add(never)
        worker.add(task)
        worker.run()
    assert statuses(local, task) == ["DONE"]


@EACH_MODE
def test_a_task_reports_while_it_runs_and_answers_messages(
    scheduler: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    task = tasks.Report(directory)
    answers: list[Any] = []

    def talk() -> None:
        until(lambda: statuses(scheduler, task) == ["RUNNING"], "the task runs")
        until(lambda: scheduler.get_task_status_message(task.task_id)["statusMessage"], "it reports")
        sent = scheduler.send_scheduler_message(worker=worker.id, task=task.task_id, content="hello")
        answers.append(
            until(
                lambda: scheduler.get_scheduler_message_response(task.task_id, sent["message_id"])["response"],
                "it answers",
            )
        )

    with worker_on(scheduler, worker_processes=processes, id=f"w-{directory}") as worker:
        worker.add(task)
        talking = threading.Thread(target=talk)
        talking.start()
        assert worker.run()
        talking.join()
    assert answers == ["heard hello"]
    assert scheduler.get_task_progress_percentage(task.task_id)["progressPercentage"] == 50


@EACH_MODE
def test_a_tracking_url_changes_nothing_else_of_a_task(
    scheduler: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    """It goes on taking messages, and keeps its resources; so does one that is run again after a failure."""
    task = tasks.Tracked(directory)
    seen: list[dict[str, Any]] = []

    def talk() -> None:
        waits = Path(f"{task.path()}.waits")
        for _ in range(2):
            until(waits.exists, "it waits for a message")
            until(lambda: scheduler.task_list("RUNNING", "")[task.task_id]["tracking_url"], "its URL is there")
            seen.append(scheduler.task_list("RUNNING", "")[task.task_id])
            waits.unlink()
            scheduler.send_scheduler_message(worker=worker.id, task=task.task_id, content="hello")

    with worker_on(scheduler, worker_processes=processes, id=f"w-{directory}", keep_alive=True) as worker:
        worker.add(task)
        talking = threading.Thread(target=talk)
        talking.start()
        worker.run()
        talking.join()
    assert statuses(scheduler, task) == ["DONE"]
    assert [(each["accepts_messages"], each["resources"]) for each in seen] == [(True, {"db": 1})] * 2


def test_an_assistant_runs_what_others_scheduled(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    root = tasks.Everything(directory)
    submitter = worker_on(scheduler, id=f"submitter-{directory}")
    with submitter:
        submitter.add(root)
        with worker_on(scheduler, assistant=True, worker_processes=2, id=f"assistant-{directory}") as assistant:
            assistant.run()
    assert statuses(scheduler, root) == ["DONE"]


def test_a_task_that_cannot_be_loaded_here_goes_back_with_the_reason(local: Any) -> None:
    local.add_task(worker="w", task_id="Nowhere_1", family="Nowhere", module="no.such.module", params={"x": "1"})
    with worker_on(local, assistant=True, id="helper") as worker:
        assert worker.run(), "what it can't load is no failure of its own"
    error = json.loads(local.fetch_error("Nowhere_1")["error"])
    assert error.startswith(f"Worker helper (host {socket.gethostname()}, pid {os.getpid()}) can't load it: ")
    assert "no.such.module" in error and "PYTHONPATH" in error
    assert local.task_list(status="PENDING").keys() == {"Nowhere_1"}


def test_only_allowed_modules_are_loaded(local: Any) -> None:
    local.add_task(worker="w", task_id="Popen_1", family="Popen", module="subprocess", params={})
    with worker_on(local, assistant=True, allow_modules=("pipelines.*",)) as worker:
        assert worker.run()
    assert local.fetch_error("Popen_1")["error"] is None, "it was not even handed out"
    assert local.task_list(status="PENDING").keys() == {"Popen_1"}


def test_what_may_not_be_loaded_goes_back_when_it_was_handed_out_all_the_same(
    local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler that was emptied meanwhile does not know the filter."""
    local.add_task(worker="w", task_id="Popen_1", family="Popen", module="subprocess", params={})
    monkeypatch.setattr(local, "add_worker", lambda **told: None, raising=False)
    with worker_on(local, assistant=True, allow_modules=("pipelines.*",), id="helper") as worker:
        assert worker.run()
    assert "may not load tasks from subprocess" in local.fetch_error("Popen_1")["error"]
    assert local.task_list(status="PENDING").keys() == {"Popen_1"}


def test_a_worker_without_processes_watches_until_others_are_done(
    local: Any, tasks: ModuleType, directory: str
) -> None:
    root = tasks.Everything(directory)
    with worker_on(local, worker_processes=0, keep_alive=True, id="watcher") as watcher:
        watcher.add(root)
        helper = worker_on(local, assistant=True, id="helper")
        thread = threading.Thread(target=helper.run)
        thread.start()
        assert watcher.run()
        thread.join()
    assert statuses(local, root) == ["DONE"]


def test_the_number_of_processes_can_be_changed_from_outside(local: Any) -> None:
    with worker_on(local, id="w") as worker:
        local.add_worker(worker="w", info={"workers": 1})
        local.set_worker_processes(worker="w", n=3)
        until(lambda: [each["workers"] for each in local.worker_list()] == [3], "it has heard of it, and says so")
        assert worker.worker_processes == 3


def test_a_disabled_worker_finishes_what_it_runs_and_leaves(local: Any, tasks: ModuleType, directory: str) -> None:
    local.disable_worker(worker="w")
    with worker_on(local, id="w", keep_alive=True) as worker:
        worker.add(tasks.Write(directory, "x"))
        assert worker.run()
    assert runs_of(tasks.Write(directory, "x").path()) == []


def test_it_leaves_after_as_many_tasks_as_it_may_run(local: Any, tasks: ModuleType, directory: str) -> None:
    with worker_on(local, max_tasks=2) as worker:
        worker.add(tasks.Sum(directory, 4))
        worker.run()
    assert statuses(local, *tasks.Sum(directory, 4).deps()).count("DONE") == 2


def test_complete_is_not_asked_twice_with_a_cache(local: Any, tasks: ModuleType, directory: str) -> None:
    root = tasks.Sum(directory, 2)
    with worker_on(local, cache_task_completion=True, worker_processes=2) as worker:
        worker.add(root)
        assert worker.run()
    assert statuses(local, root) == ["DONE"]


@pytest.mark.parametrize("thing", [None, "Write", 7, object()])
def test_what_is_no_task_is_refused(local: Any, thing: Any) -> None:
    with pytest.raises(TaskTypeError, match=r"is a \w+, not a task. Give an instance of luigi.Task or"):
        worker_on(local).add(thing)
    assert local.task_list("", "") == {}


def test_a_class_is_refused(local: Any, tasks: ModuleType) -> None:
    with pytest.raises(WorkerError, match=r"Write is a class"):
        worker_on(local).add(tasks.Write)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_alife": True}, "did you mean keep_alive"),
        ({"timeout": -1}, "timeout is -1"),
        ({"wait_interval": 0}, "wait_interval must be more"),
        ({"keep_alive": "perhaps"}, "true or false"),
        ({"start_method": "vfork"}, "fork, spawn, forkserver"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Worker("no scheduler needed", **options)  # type: ignore[arg-type]


def test_a_refused_report_is_the_tasks_mistake_and_not_the_workers_end(
    local: Any, tasks: ModuleType, directory: str
) -> None:
    task = tasks.BadReport(directory)
    with worker_on(local) as worker:
        worker.add(task)
        assert worker.run()
    assert statuses(local, task) == ["DONE"]


def test_what_on_success_returns_is_kept_as_json(local: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.BadResult(directory)
    with worker_on(local, worker_processes=2) as worker:
        worker.add(task)
        assert worker.run()
    assert "lambda" in json.loads(local.fetch_error(task.task_id)["error"])


@EACH_MODE
def test_parameters_of_every_type_survive_the_way_over_the_scheduler(
    scheduler: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    task = tasks.EveryType(directory)
    with worker_on(scheduler, id=f"submitter-{directory}") as submitter:
        submitter.add(task)
        with worker_on(scheduler, assistant=True, worker_processes=processes, id=f"a-{directory}") as assistant:
            assistant.run()  # it may run what other tests left, too
    assert statuses(scheduler, task) == ["DONE"]
    shown = scheduler.task_list("DONE", "", limit=False)[task.task_id]["params"]
    assert shown["number"] == "3" and "secret" not in shown


@EACH_MODE
def test_many_can_be_asked_for_with_a_check_of_ones_own(
    local: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    root = tasks.Chunk(directory)
    with worker_on(local, worker_processes=processes) as worker:
        worker.add(root)
        assert worker.run()
    assert statuses(local, root, tasks.Write(directory, "0"), tasks.Write(directory, "3")) == ["DONE"] * 3


@EACH_MODE
def test_a_context_of_the_users_is_around_each_run(
    local: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    task = tasks.Write(directory, "x")
    context = "tests.worker.bodies.NoteContext"
    with worker_on(local, worker_processes=processes, task_process_context=context, id="me") as worker:
        worker.add(task)
        assert worker.run()
    assert Path(f"{task.path()}.context").read_text() == "me left"


@EACH_MODE
def test_a_context_that_is_not_there_fails_the_task_with_the_reason(
    local: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    task = tasks.Write(directory, "x")
    with worker_on(local, worker_processes=processes, task_process_context="nowhere.Context") as worker:
        worker.add(task)
        assert not worker.run()
    assert "task_process_context" in local.fetch_error(task.task_id)["error"]


@pytest.mark.parametrize(
    ("options", "stays"),
    [
        ({}, True),
        ({"count_last_scheduled": True}, False),
        ({"count_uniques": True}, False),
        ({"max_keep_alive_idle_duration": 0.3}, False),
    ],
)
def test_what_keeps_an_idle_worker_alive(
    local: Any, tasks: ModuleType, directory: str, options: dict[str, Any], stays: bool
) -> None:
    task = tasks.Write(directory, "x")
    with worker_on(local, worker_processes=0, keep_alive=True, id="w", **options) as worker:
        worker.add(task)
        local.add_task(worker="other", task_id=task.task_id)  # it can run it too, and was the last to say so
        thread = threading.Thread(target=worker.run)
        thread.start()
        thread.join(1.0 if stays else 20.0)
        assert thread.is_alive() == stays
        worker.stop_asking()
        thread.join()
