"""Each hand-out has a number. A run that is not the task's latest attempt changes nothing any more.

A worker that was silent for too long may come back while another one runs its task. get_work says which attempt a
hand-out is, and a worker of ours names it in every report; what an older attempt reports is counted, told, and has no
effect. Stock clients name none, and Luigi's rule stays.
"""

import pytest

from broker_sched.errors import Superseded

OPTIONS = {"retry_delay": 1, "worker_disconnect_delay": 60, "stable_done_cooldown_secs": 0}


@pytest.fixture
def lost(scheduler_factory, clock):
    """`lost()`: the scheduler and the attempt of a run on `a` that was taken for dead; `b` may run the task, too."""

    def make(**options):
        scheduler = scheduler_factory(**{**OPTIONS, **options})
        for worker in ("a", "b"):
            scheduler.add_task(worker=worker, task_id="t", resources={"db": 1})
        attempt = scheduler.get_work(worker="a")["attempt"]
        clock.advance(50)
        scheduler.ping(worker="b")
        clock.advance(20)
        scheduler.prune()
        assert status(scheduler) in ("FAILED", "DISABLED")
        return scheduler, attempt

    return make


@pytest.fixture
def superseded(lost, clock):
    """The scheduler and the attempt of a run on `a` that was taken for dead; the task runs on `b` now."""
    scheduler, attempt = lost()
    clock.advance(2)
    scheduler.prune()
    assert scheduler.get_work(worker="b")["task_id"] == "t"
    return scheduler, attempt


def status(scheduler):
    return scheduler.task_list()["t"]["status"]


def everything(scheduler):
    """What views show of the task, and what is kept beside it."""
    kept = (scheduler.fetch_error("t"), scheduler.task_log("t"), scheduler.get_running_task_resources("t"))
    return scheduler.task_list(), scheduler.resource_list(), kept


REPORTS = {
    "FAILED": lambda s, n: s.add_task(worker="a", task_id="t", status="FAILED", expl="it is there", attempt=n),
    "DONE": lambda s, n: s.add_task(worker="a", task_id="t", status="DONE", attempt=n),
    "RUNNING": lambda s, n: s.add_task(worker="a", task_id="t", status="RUNNING", tracking_url="u", attempt=n),
    "DISABLED": lambda s, n: s.add_task(worker="a", task_id="t", status="DISABLED", attempt=n),
    "new deps": lambda s, n: s.add_task(worker="a", task_id="t", new_deps=["x"], attempt=n),
    "many new deps": lambda s, n: s.add_task(worker="a", task_id="t", new_deps=[*map(str, range(200))], attempt=n),
    "in bulk": lambda s, n: s.add_tasks(worker="a", tasks=[{"task_id": "t", "status": "FAILED", "attempt": n}]),
    "status message": lambda s, n: s.set_task_status_message("t", "half way", attempt=n),
    "progress": lambda s, n: s.set_task_progress_percentage("t", 50, attempt=n),
    "log": lambda s, n: s.set_task_log("t", "last words", 10, attempt=n),
    "resources": lambda s, n: s.decrease_running_task_resources("t", {"db": 1}, attempt=n),
    "release": lambda s, n: s.release_task("t", "a", attempt=n),
}


@pytest.mark.parametrize("report", REPORTS)
def test_whatever_a_superseded_run_reports_changes_nothing_and_is_counted_and_told(superseded, report):
    scheduler, attempt = superseded
    before = everything(scheduler)
    with pytest.raises(Superseded, match=r"runs on b now"):
        REPORTS[report](scheduler, attempt)
    assert everything(scheduler) == before
    assert scheduler.superseded_reports() == {"count": 1}
    _, event = scheduler._client.xrevrange(scheduler.namespace.key("events"), count=1)[0]
    assert (event["task_id"], event["from"], event["to"], event["attempt"]) == ("t", "RUNNING", "RUNNING", str(attempt))
    assert event["refused"]


def test_what_a_superseded_run_reports_does_not_undo_a_later_done(superseded):
    scheduler, attempt = superseded
    scheduler.add_task(worker="b", task_id="t", status="DONE")
    for report in REPORTS.values():
        with pytest.raises(Superseded, match="is DONE by now"):
            report(scheduler, attempt)
    assert status(scheduler) == "DONE"


def test_stock_clients_send_no_attempt_and_luigis_rule_stays(superseded):
    scheduler, _ = superseded
    scheduler.add_task(worker="b", task_id="t", status="DONE")
    scheduler.add_task(worker="a", task_id="t", status="FAILED")
    assert status(scheduler) == "FAILED"
    assert scheduler.superseded_reports() == {"count": 0}


def test_a_run_that_was_taken_for_dead_is_done_all_the_same_when_nobody_newer_runs_it(lost):
    scheduler, attempt = lost()
    scheduler.add_task(worker="a", task_id="t", status="DONE", attempt=attempt)
    assert status(scheduler) == "DONE"


def test_a_run_that_was_taken_for_dead_goes_on_when_its_worker_says_so(lost):
    scheduler, attempt = lost()
    scheduler.add_task(worker="a", task_id="t", status="RUNNING", attempt=attempt)
    assert scheduler.task_list(status="RUNNING")["t"]["worker_running"] == "a"
    scheduler.add_task(worker="a", task_id="t", status="FAILED", attempt=attempt)
    assert status(scheduler) == "FAILED"


def test_a_failure_that_was_counted_for_its_dead_worker_is_not_counted_again(lost):
    scheduler, attempt = lost(retry_count=2)
    with pytest.raises(Superseded):
        scheduler.add_task(worker="a", task_id="t", status="FAILED", attempt=attempt)
    assert status(scheduler) == "FAILED"


def test_a_run_whose_task_was_disabled_meanwhile_is_not_taken_up_again(lost):
    scheduler, attempt = lost(retry_count=1)
    with pytest.raises(Superseded, match="is DISABLED by now"):
        scheduler.add_task(worker="a", task_id="t", status="RUNNING", attempt=attempt)
    assert status(scheduler) == "DISABLED"


@pytest.mark.parametrize("late", ["FAILED", "RUNNING", "DISABLED", "new deps"])
def test_after_an_operator_marked_it_as_done_only_done_counts(scheduler_factory, late):
    scheduler = scheduler_factory(**OPTIONS)
    scheduler.add_task(worker="a", task_id="t")
    attempt = scheduler.get_work(worker="a")["attempt"]
    scheduler.mark_as_done("t")
    with pytest.raises(Superseded):
        REPORTS[late](scheduler, attempt)
    scheduler.add_task(worker="a", task_id="t", status="DONE", attempt=attempt)
    assert status(scheduler) == "DONE"


@pytest.mark.parametrize("again", ["FAILED", "RUNNING", "new deps"])
def test_a_copy_of_a_report_that_arrives_after_the_runs_end_changes_nothing(scheduler_factory, clock, again):
    scheduler = scheduler_factory(**OPTIONS)
    scheduler.add_task(worker="a", task_id="t")
    attempt = scheduler.get_work(worker="a")["attempt"]
    scheduler.add_task(worker="a", task_id="t", status="FAILED", attempt=attempt)
    clock.advance(2)
    scheduler.prune()
    with pytest.raises(Superseded, match="is PENDING by now"):
        REPORTS[again](scheduler, attempt)


def test_a_task_can_be_stopped_and_disabled(scheduler):
    scheduler.add_task(worker="a", task_id="t")
    attempt = scheduler.get_work(worker="a")["attempt"]
    for word in ("FAILED", "DISABLED"):
        scheduler.add_task(worker="a", task_id="t", status=word, attempt=attempt)
        assert status(scheduler) == word


def test_a_lost_hand_out_that_is_made_again_is_another_attempt(scheduler):
    scheduler.add_task(worker="a", task_id="t")
    first = scheduler.get_work(worker="a")["attempt"]
    second = scheduler.get_work(worker="a", current_tasks=[])["attempt"]
    assert second > first
    with pytest.raises(Superseded):
        scheduler.release_task("t", "a", attempt=first)
    assert scheduler.release_task("t", "a", attempt=second)["status"] == "PENDING"


def test_an_attempt_is_higher_than_those_of_a_task_of_this_id_that_was_removed(scheduler_factory, clock):
    scheduler = scheduler_factory(remove_delay=1, **OPTIONS)
    scheduler.add_task(worker="a", task_id="t")
    first = scheduler.get_work(worker="a")["attempt"]
    for _ in range(3):
        clock.advance(100)
        scheduler.prune()
    assert scheduler.task_list() == {}
    scheduler.add_task(worker="b", task_id="t")
    assert scheduler.get_work(worker="b")["attempt"] > first
    with pytest.raises(Superseded):
        scheduler.add_task(worker="a", task_id="t", status="FAILED", attempt=first)


def test_a_run_of_which_the_scheduler_has_lost_everything_is_taken_as_it_is(scheduler):
    scheduler.add_task(worker="a", task_id="t", status="RUNNING", attempt=17)
    assert scheduler.task_list(status="RUNNING")["t"]["worker_running"] == "a"
    scheduler.add_task(worker="a", task_id="t", status="FAILED", attempt=17)
    with pytest.raises(Superseded):
        scheduler.add_task(worker="a", task_id="t", status="FAILED", attempt=17)


def batch(scheduler, worker):
    work = scheduler.get_work(worker=worker)
    assert work["batch_task_ids"] == ["F_1", "F_2"]
    return work


def begin(scheduler, worker, work):
    told = {"batch_id": work["batch_id"], "attempt": work["attempt"], "family": "F"}
    scheduler.add_task(worker=worker, task_id="F_1_2", status="RUNNING", **told)


@pytest.fixture
def batching(scheduler_factory):
    scheduler = scheduler_factory(**OPTIONS)
    for worker in ("a", "b"):
        scheduler.add_task_batcher(worker=worker, task_family="F", batched_args=["day"])
        for day in "12":
            scheduler.add_task(worker=worker, task_id=f"F_{day}", family="F", params={"day": day}, batchable=True)
    return scheduler


def miss(scheduler, clock, alive):
    """The other worker is missed, and what it ran waits again."""
    clock.advance(50)
    scheduler.ping(worker=alive)
    clock.advance(20)
    for _ in range(2):
        scheduler.prune()
        clock.advance(2)
    scheduler.prune()


def statuses(scheduler):
    return {task_id: task["status"] for task_id, task in scheduler.task_list().items()}


def test_a_superseded_batch_changes_neither_the_combined_task_nor_its_members(batching, clock):
    old = batch(batching, "a")
    begin(batching, "a", old)
    miss(batching, clock, alive="b")
    new = batch(batching, "b")
    assert new["attempt"] > old["attempt"]
    with pytest.raises(Superseded):
        begin(batching, "a", old)
    begin(batching, "b", new)
    for word in ("RUNNING", "FAILED", "DONE"):
        with pytest.raises(Superseded):
            batching.add_task(worker="a", task_id="F_1_2", status=word, attempt=old["attempt"])
    with pytest.raises(Superseded):
        batching.set_task_status_message("F_1_2", "half way", attempt=old["attempt"])
    assert statuses(batching) == {"F_1": "BATCH_RUNNING", "F_2": "BATCH_RUNNING", "F_1_2": "RUNNING"}
    batching.add_task(worker="b", task_id="F_1_2", status="DONE", attempt=new["attempt"])
    assert set(statuses(batching).values()) == {"DONE"}


def test_a_batch_can_not_begin_once_its_members_are_back(batching, clock):
    old = batch(batching, "a")
    miss(batching, clock, alive="b")
    with pytest.raises(Superseded):
        begin(batching, "a", old)
    assert statuses(batching) == {"F_1": "PENDING", "F_2": "PENDING"}


def test_the_same_batch_again_runs_on_who_has_it_now(batching, clock):
    """Luigi: the combined task of an earlier batch stays on its old worker, whose reports alone count."""
    old = batch(batching, "a")
    begin(batching, "a", old)
    batching.add_task(worker="a", task_id="F_1_2", status="DONE", attempt=old["attempt"])
    for day in "12":
        batching.add_task(worker="b", task_id=f"F_{day}", family="F", params={"day": day}, batchable=True)
    new = batch(batching, "b")
    begin(batching, "b", new)
    batching.add_task(worker="b", task_id="F_1_2", status="DONE", attempt=new["attempt"])
    assert set(statuses(batching).values()) == {"DONE"}


def test_a_member_that_can_not_be_loaded_fails_by_the_batchs_attempt(batching):
    work = batch(batching, "a")
    for member in work["batch_task_ids"]:
        batching.add_task(worker="a", task_id=member, status="FAILED", attempt=work["attempt"])
    assert statuses(batching) == {"F_1": "FAILED", "F_2": "FAILED"}
