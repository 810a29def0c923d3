"""A task is scheduled, handed out, and reported.

A worker tells the scheduler of a task with add_task. The task is PENDING until a worker that may run it asks for work
with get_work: then it is RUNNING, and nobody else is given it. The worker says with a second add_task what became of
it: DONE or FAILED. All other files of this folder are about what may come in between.
"""

from __future__ import annotations

from broker_sched import Scheduler


def status(scheduler: Scheduler, task_id: str) -> str:
    return scheduler.task_list("", "")[task_id]["status"]


def test_a_task_that_is_added_is_pending(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", family="A", params={"day": "Mo"})
    assert status(scheduler, "a") == "PENDING"


def test_who_asks_for_work_is_given_the_task_with_its_parameters(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", family="A", module="pipeline", params={"day": "Mo"})
    work = scheduler.get_work(worker="w")
    assert (work["task_id"], work["task_family"], work["task_module"]) == ("a", "A", "pipeline")
    assert work["task_params"] == {"day": "Mo"}
    assert status(scheduler, "a") == "RUNNING"


def test_a_task_is_handed_out_to_one_worker_only(scheduler: Scheduler) -> None:
    for worker in ("first", "second"):
        scheduler.add_task(worker=worker, task_id="a")
    assert scheduler.get_work(worker="first")["task_id"] == "a"
    assert scheduler.get_work(worker="second")["task_id"] is None


def test_a_task_that_is_reported_as_done_is_not_handed_out_again(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler.get_work(worker="w")
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    assert status(scheduler, "a") == "DONE"
    assert scheduler.get_work(worker="w")["task_id"] is None


def test_a_reply_without_work_says_how_much_is_left(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", deps=["b"])
    scheduler.add_task(worker="other", task_id="b")
    work = scheduler.get_work(worker="w")
    assert (work["task_id"], work["n_pending_tasks"]) == (None, 1)
