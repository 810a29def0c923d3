"""Which tasks go into one batch: those whose other parameters are equal.

A worker that can run many days of a family at once says so with add_task_batcher. Tasks that differ only in the
batched parameter are then handed out together, as one combined task, up to the size that the worker named.
"""

import pytest

from broker_sched.scheduler.operations import tasks as task_operations


def two_tasks(scheduler, first, second, family="F"):
    """Two batchable tasks of these other parameters; returns how get_work hands them out."""
    scheduler.add_task_batcher(worker="w", task_family=family, batched_args=["day"], max_batch_size=9)
    for task_id, others in (("a", first), ("b", second)):
        params = {"day": task_id, **others}
        scheduler.add_task(worker="w", task_id=task_id, family=family, batchable=True, params=params)
    return scheduler.get_work(worker="w")


@pytest.mark.parametrize(
    "others",
    [{}, {"n": None}, {"n": 0.1}, {"n": 2**53 - 1}, {"l": [1, [2]]}, {"l": []}, {"d": {"k": {}}}, {"é": "é\u2028\x00"}],
    ids=repr,
)
def test_equal_other_parameters_make_a_batch(scheduler, others):
    assert two_tasks(scheduler, others, others, family="f|1\n2")["batch_task_ids"] == ["a", "b"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"n": 1}, {"n": "1"}),
        ({"n": 1}, {"n": True}),
        ({"n": [1, 2]}, {"n": [2, 1]}),
        ({"n": 2**53}, {"n": 2**53 + 1}),  # one and the same double
        ({"n": {"m": [-(2**60)]}}, {"n": {"m": [-(2**60) - 1]}}),
    ],
    ids=repr,
)
def test_different_other_parameters_do_not(scheduler, first, second):
    work = two_tasks(scheduler, first, second)
    assert work["task_id"] == "a"
    assert work["task_params"] == {"day": "a", **first}


def test_a_number_too_large_to_compare_keeps_a_task_out_of_batches(scheduler):
    big = {"n": 12345678901234567890}
    assert two_tasks(scheduler, big, big)["task_id"] == "a"
    assert scheduler.get_work(worker="w")["task_id"] == "b"


def test_a_member_that_is_reported_into_another_workers_batch_leaves_nothing_behind(scheduler, clock):
    """An odd thing to say; Luigi takes it."""
    for worker, family in (("w", "F"), ("v", "G")):
        scheduler.add_task_batcher(worker=worker, task_family=family, batched_args=["day"])
        for day in "12":
            params = {"day": day}
            scheduler.add_task(worker=worker, task_id=f"{family}{day}", family=family, params=params, batchable=True)
    batches = [scheduler.get_work(worker=worker)["batch_id"] for worker in ("w", "v")]
    assert all(batches)
    scheduler.add_task(worker="w", task_id="G1", batch_id=batches[0])
    clock.advance(2000)
    scheduler.prune()
    assert list(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}worker_batches:*")) == []


def add_days(scheduler, *days, worker="w", **task):
    for day in days:
        params = {"day": day}
        scheduler.add_task(worker=worker, task_id=day, family="F", batchable=True, params=params, **task)


def test_a_batch_is_no_larger_than_registered_whoever_else_can_run_its_tasks(scheduler):
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"], max_batch_size=3)
    add_days(scheduler, *"abcde")
    add_days(scheduler, *"bd", worker="v")
    assert scheduler.get_work(worker="w")["batch_task_ids"] == ["a", "b", "c"]
    assert scheduler.get_work(worker="w")["batch_task_ids"] == ["d", "e"]


def test_a_task_that_waits_again_is_no_member_though_it_was_not_told_yet(scheduler, clock, monkeypatch):
    """What changes for many dependents is told to them a part at a time."""

    def is_ready(task_id):
        return bool(scheduler._client.hget(scheduler.namespace.key("task", task_id), "ready"))

    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"], max_batch_size=3)
    scheduler.add_task(worker="w", task_id="dep", status="DONE", runnable=False)
    for number in range(400):
        scheduler.add_task(worker="w", task_id=f"dependent {number}", deps=["dep"])
    add_days(scheduler, "a", "c", priority=2)
    add_days(scheduler, "b", priority=2, deps=["dep"])
    clock.advance(100)  # a task that was done just now is not to run again
    monkeypatch.setattr(task_operations, "MAX_DEFERRED_CALLS", 0)
    scheduler.add_task(worker="w", task_id="dep", status="PENDING", runnable=False)
    assert is_ready("b"), "it was told already: that shows nothing"
    assert scheduler.get_work(worker="w")["batch_task_ids"] == ["a", "c"]


def test_members_are_the_workers_own(scheduler):
    """Luigi hands out others', too, where resources are needed: the next prune fails them while they run."""
    scheduler.update_resources(database=9)
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for worker, task_id in (("w", "a"), ("v", "b"), ("w", "c")):
        task = {"family": "F", "params": {"day": task_id}, "batchable": True, "resources": {"database": 1}}
        scheduler.add_task(worker=worker, task_id=task_id, **task)
    assert scheduler.get_work(worker="w")["batch_task_ids"] == ["a", "c"]
    assert scheduler.get_work(worker="v")["task_id"] == "b"


@pytest.fixture
def left_behind(scheduler_factory, clock):
    """A scheduler on which a is in the batch of w, and b, which has failed there by itself, is run by v alone.

    w was an assistant, and is none any more: it has no stake in b.
    """
    scheduler = scheduler_factory(retry_delay=5, worker_disconnect_delay=600)
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for worker, task_id in (("w", "a"), ("v", "b")):
        task = {"family": "F", "params": {"day": task_id}, "batchable": True}
        scheduler.add_task(worker=worker, task_id=task_id, **task)
    scheduler.add_worker(worker="w", info={"assistant": True})
    work = scheduler.get_work(worker="w", assistant=True)
    assert work["batch_task_ids"] == ["a", "b"]
    scheduler.add_task(worker="w", task_id="both", family="F", status="RUNNING", batch_id=work["batch_id"])
    scheduler.add_worker(worker="w", info={"assistant": False})
    scheduler.prune()
    assert "no stake in it" in scheduler.fetch_error("b")["error"] and not scheduler.fetch_error("a")["error"]
    clock.advance(6)
    scheduler.prune()
    assert scheduler.get_work(worker="v")["task_id"] == "b"
    return scheduler


def statuses(scheduler, *task_ids):
    return [each["status"] for each in scheduler.task_statuses([*task_ids]).values()]


@pytest.mark.parametrize("status", ["DONE", "FAILED"])
def test_what_becomes_of_a_task_that_failed_by_itself_in_a_batch_is_not_the_batchs(left_behind, status):
    """Luigi's scheduler gives it to all who are in the batch still: they would be DONE and had not run."""
    left_behind.add_task(worker="v", task_id="b", status=status, expl="by itself")
    assert statuses(left_behind, "a", "b", "both") == ["BATCH_RUNNING", status, "RUNNING"]
    assert not left_behind.fetch_error("a")["error"]
    left_behind.add_task(worker="w", task_id="both", status="DONE")
    assert statuses(left_behind, "a", "b", "both") == ["DONE", status, "DONE"]


def test_a_task_that_failed_by_itself_in_a_batch_can_be_given_back(left_behind):
    left_behind.release_task(worker="v", task_id="b")
    left_behind.prune()
    assert statuses(left_behind, "a", "b") == ["BATCH_RUNNING", "PENDING"]


def test_a_task_that_was_in_a_batch_is_not_removed_when_it_fails(left_behind):
    """Luigi's scheduler removes it when it was added as not batchable since."""
    left_behind.add_task(worker="v", task_id="b", status="FAILED", batchable=False)
    left_behind.prune()
    assert statuses(left_behind, "b") == ["FAILED"]


def test_nor_is_one_that_fails_in_its_batch(left_behind):
    left_behind.add_task(worker="v", task_id="a", batchable=False)  # somebody schedules it anew
    left_behind.add_task(worker="w", task_id="both", status="FAILED")
    left_behind.prune()
    assert statuses(left_behind, "a") == ["FAILED"]
    assert left_behind.task_statuses(["both"]) == {}, "what was made of them is removed"


@pytest.mark.parametrize(("status", "after"), [("DONE", "DONE"), ("FAILED", "FAILED")])
def test_a_batch_may_run_as_one_of_its_members(scheduler, status, after):
    """Which has the parameters of the combined task, such as the last day of several."""
    batch_id = two_tasks(scheduler, {}, {})["batch_id"]
    scheduler.add_task(worker="w", task_id="b", family="F", status="RUNNING", batch_id=batch_id)
    assert statuses(scheduler, "a", "b") == ["BATCH_RUNNING", "RUNNING"]
    assert scheduler.get_work(worker="w", current_tasks=["b"])["task_id"] is None, "the batch is not taken back"
    scheduler.add_task(worker="w", task_id="b", status=status)
    assert statuses(scheduler, "a", "b") == [after, after]


def test_a_batch_that_runs_as_one_of_its_members_can_be_given_back(scheduler):
    batch_id = two_tasks(scheduler, {}, {})["batch_id"]
    scheduler.add_task(worker="w", task_id="b", family="F", status="RUNNING", batch_id=batch_id)
    scheduler.release_task(worker="w", task_id="b")
    scheduler.prune()
    assert statuses(scheduler, "a", "b") == ["PENDING", "PENDING"]
    assert scheduler.get_work(worker="w", current_tasks=[])["batch_task_ids"] == ["a", "b"]
