"""`failures` says what failed lately, in groups of one family and one last line of the error.

A failure is told whatever has become of its task since. Where more failed than is kept, that is said, and since when
the reply is complete.
"""

from tests.behaviour.runs import add, fail


def test_failures_are_grouped_by_family_and_last_line_most_first(scheduler, clock):
    for family in ("A", "B"):
        add(scheduler, *[f"{family}{n}" for n in range(3)], family=family, priority=9 if family == "A" else 0)
    began = clock.now
    first = fail(scheduler, clock, "w", "disk full")
    fail(scheduler, clock, "w", "disk full")
    third = fail(scheduler, clock, "w", "no route")
    fourth = fail(scheduler, clock, "w", "disk full")
    scheduler.forgive_failures("A0")
    assert fail(scheduler, clock, "w", "disk full") == first == "A0"
    seen = scheduler.failures()
    assert (seen["total"], seen["groups"], seen["complete"], seen["since"]) == (5, 3, True, clock.now - 3600)
    assert seen["failures"] == [
        dict(
            family="A",
            error="disk full",
            count=3,
            tasks=2,
            first=began + 1,
            last=began + 5,
            example="A0",
            workers=["w"],
        ),
        dict(
            family="B",
            error="disk full",
            count=1,
            tasks=1,
            first=began + 4,
            last=began + 4,
            example=fourth,
            workers=["w"],
        ),
        dict(
            family="A",
            error="no route",
            count=1,
            tasks=1,
            first=began + 3,
            last=began + 3,
            example=third,
            workers=["w"],
        ),
    ]


def test_only_what_failed_since_then_counts(scheduler, clock):
    add(scheduler, "t0", "t1")
    fail(scheduler, clock, "w", "old")
    clock.advance(100)
    fail(scheduler, clock, "w", "new")
    assert [group["error"] for group in scheduler.failures(since_seconds=50)["failures"]] == ["new"]
    assert scheduler.failures(since_seconds=200)["total"] == 2
    assert scheduler.failures(since_seconds=0)["total"] == 1  # that of this very moment


def test_the_limit_is_of_groups_and_says_how_many_there_are(scheduler, clock):
    add(scheduler, *[f"t{n}" for n in range(5)])
    for number in range(5):
        fail(scheduler, clock, "w", f"error {number}")
    seen = scheduler.failures(limit=2)
    assert (len(seen["failures"]), seen["groups"], seen["total"]) == (2, 5, 5)


def test_of_more_failures_than_are_kept_it_says_since_when_they_are(scheduler, clock):
    add(scheduler, "t0")
    fail(scheduler, clock, "w", "disk full")
    client, key = scheduler._client, scheduler.namespace.key("failed_runs")
    ((_, fields),) = client.xrange(key)
    pipeline = client.pipeline(transaction=False)
    for number in range(10_000):
        pipeline.xadd(key, {**fields, "time": str(clock.now + number / 100)})
    pipeline.execute()
    clock.advance(100)
    seen = scheduler.failures(since_seconds=3600)
    assert (seen["complete"], seen["since"]) == (False, clock.now - 100)
    assert 10_000 <= seen["total"] <= 10_001
    assert scheduler.failures(since_seconds=50)["complete"]


def test_a_dead_workers_task_is_a_failure_that_names_worker_and_host(scheduler_factory, clock):
    scheduler = scheduler_factory(worker_disconnect_delay=60)
    scheduler.add_worker(worker="w", info={"host": "build-7", "pid": 7})
    add(scheduler, "t0")
    scheduler.get_work(worker="w", host="build-7")
    clock.advance(61)
    scheduler.prune()
    (group,) = scheduler.failures()["failures"]
    assert group["workers"] == ["w"]
    assert group["error"].startswith("Worker w (host build-7, pid 7) was silent since ")
    (attempt,) = scheduler.task_details("t0")["attempts"]
    assert (attempt["worker"], attempt["host"], attempt["outcome"]) == ("w", "build-7", "FAILED")
    assert attempt["error"] == group["error"]
