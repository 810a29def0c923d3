"""Submissions: tasks that stay until they have ended, though whoever scheduled them has left.

A submission holds the stakes of a worker that schedules and leaves. It is over when nothing of it is left to be done,
has succeeded when all its tasks are DONE, can be cancelled, and is forgotten after a week.
"""

from __future__ import annotations

from typing import Any

import pytest

from broker_sched import InvalidArgument, Scheduler
from broker_sched.redis_backend.commands import Call
from tests.conftest import FakeClock, SchedulerFactory

LONG = 10_000.0  # seconds; longer than worker_disconnect_delay and remove_delay
WEEK = 7 * 86_400.0


def submit(scheduler: Scheduler, name: str = "s", **tasks: list[str]) -> None:
    """Tasks by id, each with its deps."""
    for task_id, deps in tasks.items():
        scheduler.add_task(worker=name, task_id=task_id, deps=deps)
    assert scheduler.add_submission(name, list(tasks)) == {"submission": name, "state": "ACTIVE"}


def work(scheduler: Scheduler) -> str | None:
    """As one of the fleet."""
    return scheduler.get_work(worker="fleet", assistant=True)["task_id"]


def run(scheduler: Scheduler, status: str = "DONE", **more: Any) -> str | None:
    task_id = work(scheduler)
    if task_id is not None:
        scheduler.add_task(worker="fleet", assistant=True, task_id=task_id, status=status, runnable=None, **more)
    return task_id


def submit_batchable(scheduler: Scheduler, name: str) -> None:
    """Two tasks that the fleet runs as one."""
    scheduler.add_task_batcher(worker="fleet", task_family="F", batched_args=["day"])
    for day in "12":
        scheduler.add_task(worker=name, task_id=f"F_{day}", family="F", params={"day": day}, batchable=True)
    scheduler.add_submission(name, ["F_1", "F_2"])


def begin_batch(scheduler: Scheduler) -> None:
    batch = scheduler.get_work(worker="fleet", assistant=True)
    scheduler.add_task(worker="fleet", task_id="F_1_2", status="RUNNING", batch_id=batch["batch_id"], family="F")


def pass_time(scheduler: Scheduler, clock: FakeClock, seconds: float = LONG) -> None:
    for _ in range(3):  # dead workers, then what they leave behind, then its removal
        clock.advance(seconds / 3)
        scheduler.add_worker(worker="fleet", info={})
        scheduler.prune()


def test_tasks_stay_though_their_submitter_is_gone(scheduler: Scheduler, clock: FakeClock) -> None:
    submit(scheduler, a=[], b=["a"])
    pass_time(scheduler, clock)
    assert (run(scheduler), run(scheduler), run(scheduler)) == ("a", "b", None)


def test_what_a_submitter_left_half_done_is_forgotten(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_task(worker="s", task_id="a")
    pass_time(scheduler, clock)
    assert work(scheduler) is None
    with pytest.raises(InvalidArgument, match="schedule them under this id"):
        scheduler.add_submission("s", ["a"])
    assert scheduler.submission_list() == []


def test_it_ends_when_all_its_tasks_have_ended_and_lets_them_go(scheduler: Scheduler, clock: FakeClock) -> None:
    submit(scheduler, a=[], b=["a"])
    assert run(scheduler) == "a"
    scheduler.prune()
    found = scheduler.submission("s")
    assert (found["state"], found["counts"], found["n_pending"]) == ("ACTIVE", {"DONE": 1, "PENDING": 1}, 1)
    assert run(scheduler) == "b"
    scheduler.prune()
    (found,) = scheduler.submission_list()
    assert (found["state"], found["counts"], found["tasks"]) == ("DONE", {"DONE": 2}, ["a", "b"])
    assert found["ended"] == clock.now
    pass_time(scheduler, clock)
    assert scheduler.task_list() == {}
    assert scheduler.submission("s") == found


def test_who_looks_ends_it_without_a_prune(scheduler: Scheduler) -> None:
    submit(scheduler, a=[])
    assert run(scheduler) == "a"
    assert scheduler.submission("s")["state"] == "DONE"


def test_it_waits_for_retries_and_fails_when_there_are_no_more(
    scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    scheduler = scheduler_factory(retry_count=2, retry_delay=60, disable_persist=86_400)
    submit(scheduler, a=[], b=["a"])
    run(scheduler, "FAILED")
    scheduler.prune()
    assert scheduler.submission("s")["state"] == "ACTIVE"
    clock.advance(61)
    scheduler.prune()
    assert run(scheduler, "FAILED") == "a"
    scheduler.prune()
    found = scheduler.submission("s")
    assert (found["state"], found["failed"]) == ("FAILED", ["a"])
    assert found["counts"] == {"DISABLED": 1, "PENDING": 1}


def test_it_is_incomplete_when_only_external_tasks_are_left(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="s", task_id="outside", runnable=False)
    scheduler.add_submission("s", ["outside"])
    assert scheduler.submission("s")["counts"] == {"EXTERNAL": 1}
    assert scheduler.submission("s")["state"] == "INCOMPLETE"


def test_what_waits_for_external_tasks_keeps_it_active(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="s", task_id="top", deps=["outside"])
    scheduler.add_task(worker="s", task_id="outside", runnable=False)
    scheduler.add_submission("s", ["top"])
    found = scheduler.submission("s")
    assert (found["state"], found["n_ready"], found["n_running"]) == ("ACTIVE", 0, 0)
    scheduler.add_task(worker="other", task_id="outside", status="DONE")
    assert run(scheduler) == "top"
    assert scheduler.submission("s")["state"] == "DONE"


def test_a_cancelled_one_is_run_no_more_except_what_others_want(scheduler: Scheduler, clock: FakeClock) -> None:
    submit(scheduler, "s", a=[], b=[], c=[])
    submit(scheduler, "t", b=[])
    assert work(scheduler) == "a"
    assert scheduler.cancel_submission("s") == {"submission": "s", "state": "CANCELLED"}
    found = scheduler.submission("s")
    assert (found["state"], found["counts"]) == ("CANCELLED", {"RUNNING": 1, "PENDING": 2})
    assert (run(scheduler), run(scheduler)) == ("b", None)
    assert scheduler.task_list().keys() == {"a", "b"}
    scheduler.add_task(worker="fleet", assistant=True, task_id="a", status="DONE", runnable=None)
    assert scheduler.submission("t")["state"] == "DONE"
    assert scheduler.cancel_submission("s")["state"] == "CANCELLED"
    assert scheduler.cancel_submission("unknown") == {"submission": "unknown", "state": None}
    pass_time(scheduler, clock)
    assert scheduler.task_list() == {}


def test_an_ended_one_can_not_be_cancelled(scheduler: Scheduler) -> None:
    submit(scheduler, a=[])
    run(scheduler)
    assert scheduler.submission("s")["state"] == "DONE"
    assert scheduler.cancel_submission("s")["state"] == "DONE"


def test_adding_it_twice_changes_nothing(scheduler: Scheduler, clock: FakeClock) -> None:
    submit(scheduler, a=[])
    first = scheduler.submission("s")
    clock.advance(5)
    assert scheduler.add_submission("s", ["a"])["state"] == "ACTIVE"
    assert scheduler.submission("s") == first
    scheduler.ping(worker="s")  # a late one
    pass_time(scheduler, clock)
    assert run(scheduler) == "a"
    assert scheduler.submission("s")["state"] == "DONE"
    assert scheduler.add_submission("s", ["a"]) == {"submission": "s", "state": "DONE"}


def test_it_has_a_stake_in_what_its_tasks_ask_for_while_they_run(scheduler: Scheduler, clock: FakeClock) -> None:
    submit(scheduler, a=[])
    assert work(scheduler) == "a"
    scheduler.add_task(worker="fleet", task_id="deeper")
    scheduler.add_task(worker="fleet", task_id="asked", deps=["deeper"])
    scheduler.add_task(worker="fleet", assistant=True, task_id="a", status="PENDING", runnable=None, new_deps=["asked"])
    clock.advance(LONG)  # the worker that asked for it has left
    scheduler.add_worker(worker="another", info={"assistant": True})
    scheduler.prune()
    clock.advance(LONG)
    scheduler.add_worker(worker="another", info={"assistant": True})
    scheduler.prune()
    assert scheduler.task_list().keys() == {"a", "asked", "deeper"}
    assert scheduler.submission("s")["counts"] == {"PENDING": 3}


def test_with_long_lists_of_new_deps_too(scheduler: Scheduler, clock: FakeClock) -> None:
    submit(scheduler, a=[])
    assert work(scheduler) == "a"
    asked = [f"asked{number}" for number in range(400)]
    for task_id in asked:
        scheduler.add_task(worker="fleet", task_id=task_id)
    scheduler.add_task(worker="fleet", assistant=True, task_id="a", status="PENDING", runnable=None, new_deps=asked)
    assert sum(scheduler.submission("s")["counts"].values()) == 401


def test_the_members_of_a_running_batch_keep_it_active(scheduler: Scheduler) -> None:
    submit_batchable(scheduler, "s")
    begin_batch(scheduler)
    scheduler.prune()
    found = scheduler.submission("s")
    assert (found["state"], found["counts"]) == ("ACTIVE", {"BATCH_RUNNING": 2})
    scheduler.add_task(worker="fleet", task_id="F_1_2", status="DONE", family="F")
    assert scheduler.submission("s")["state"] == "DONE"


def test_submissions_are_no_workers(scheduler: Scheduler) -> None:
    submit(scheduler, a=[])
    assert [worker["name"] for worker in scheduler.worker_list()] == []
    assert scheduler.task_list()["a"]["workers"] == ["s"]


def test_a_week_after_its_end_it_is_forgotten(scheduler: Scheduler, clock: FakeClock) -> None:
    for name in "st":
        submit(scheduler, name, **{name + "1": []})
        run(scheduler)
        assert scheduler.submission(name)["state"] == "DONE"
        clock.advance(WEEK + 1)
    submit(scheduler, "u", u1=[])
    run(scheduler)
    assert scheduler.submission("u")["state"] == "DONE"
    (ended,) = scheduler._read([("ZRANGE", scheduler.namespace.key("ended_submissions"), 0, -1)])
    assert ended == ["u"]
    lifetime = scheduler._client.ttl(scheduler.namespace.key("submission", "u"))
    assert 0 < lifetime <= WEEK


def test_an_unknown_one_has_no_state(scheduler: Scheduler) -> None:
    assert scheduler.submission("nobody")["state"] is None


def test_what_was_forgotten_while_it_scheduled_must_be_scheduled_again(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_task(worker="s", task_id="top", deps=["slow"])
    pass_time(scheduler, clock)  # its machine slept
    scheduler.add_task(worker="s", task_id="slow")
    with pytest.raises(InvalidArgument, match="all of these tasks"):
        scheduler.add_submission("s", ["top"])
    submit(scheduler, top=["slow"], slow=[])
    assert (run(scheduler), run(scheduler)) == ("slow", "top")


def test_static_deps_that_are_found_missing_are_its_own_too(scheduler: Scheduler, clock: FakeClock) -> None:
    submit(scheduler, a=[])
    assert work(scheduler) == "a"
    scheduler.add_task(worker="fleet", task_id="a", deps=["missing"])  # it had looked complete
    scheduler.add_task(worker="fleet", task_id="missing", deps=["deeper"])
    scheduler.add_task(worker="fleet", task_id="deeper")
    found = scheduler.submission("s")
    assert (sum(found["counts"].values()), found["n_ready"]) == (3, 1)
    clock.advance(LONG)
    for _ in range(2):
        scheduler.add_worker(worker="another", info={"assistant": True})
        scheduler.prune()
        clock.advance(1)
    assert scheduler.task_list().keys() == {"a", "missing", "deeper"}


def test_it_stays_active_while_what_its_tasks_asked_for_can_be_run(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(retry_count=1, disable_persist=86_400)
    submit(scheduler, a=[])
    assert work(scheduler) == "a"
    for dep in "bc":
        scheduler.add_task(worker="fleet", task_id=dep)
    scheduler.add_task(
        worker="fleet", assistant=True, task_id="a", status="PENDING", runnable=None, new_deps=["b", "c"]
    )
    run(scheduler, "FAILED")  # b is disabled, and a with it
    found = scheduler.submission("s")
    assert (found["state"], found["n_ready"]) == ("ACTIVE", 1)
    assert run(scheduler) == "c"
    assert scheduler.submission("s")["state"] == "FAILED"


def test_a_cancelled_batch_that_runs_is_not_run_beside_itself(scheduler: Scheduler, clock: FakeClock) -> None:
    submit_batchable(scheduler, "s")
    begin_batch(scheduler)
    scheduler.cancel_submission("s")
    submit_batchable(scheduler, "t")
    assert scheduler.get_work(worker="other", assistant=True).get("batch_id") is None
    scheduler.add_task(worker="fleet", task_id="F_1_2", status="DONE", family="F")
    assert scheduler.submission("t")["state"] == "DONE"


def test_an_id_may_be_used_again(scheduler: Scheduler) -> None:
    for _ in range(2):
        submit(scheduler, a=[])
        assert scheduler.submission("s")["ended"] is None
        assert scheduler._client.ttl(scheduler.namespace.key("submission", "s")) == -1
        assert len(scheduler.submission_list()) == 1
        scheduler.cancel_submission("s")


def test_a_submission_can_not_be_disabled(scheduler: Scheduler) -> None:
    submit(scheduler, a=[])
    with pytest.raises(InvalidArgument, match="cancel_submission"):
        scheduler.disable_worker("s")
    assert run(scheduler) == "a"


def test_while_a_batch_runs_nobody_counts_its_tasks(scheduler: Scheduler) -> None:
    submit_batchable(scheduler, "s")
    begin_batch(scheduler)
    assert scheduler._run(Call("prune", budget="100")) == [0], "it is not over"


def test_what_nobody_could_load_so_far_is_named(scheduler: Scheduler) -> None:
    submit(scheduler, a=[], b=["a"])
    assert scheduler.get_work(worker="h", assistant=True)["task_id"] == "a"
    scheduler.refuse_tasks(worker="h", task_ids=["a"], reason="No module named x.")
    found = scheduler.submission("s")
    assert (found["state"], found["refused"], found["failed"]) == ("ACTIVE", ["a"], [])
    assert scheduler.get_work(worker="k", assistant=True)["task_id"] == "a"
    assert scheduler.submission("s")["refused"] == []
