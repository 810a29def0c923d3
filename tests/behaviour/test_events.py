"""`events` tells each change of a task's status; whoever follows them misses none, and sees none twice.

One call gives the id up to which it has looked; the next one goes on behind it, whatever filters leave out.
"""

import pytest

from broker_sched import InvalidArgument
from tests.behaviour.runs import add, run
from tests.behaviour.test_flat_cost import commands_of


def test_the_newest_are_told_oldest_first(scheduler, clock):
    add(scheduler, "a", "b")
    run(scheduler, clock, "w", 1)
    run(scheduler, clock, "w", 1, status="FAILED")
    seen = scheduler.events(limit=3)
    assert [(event["task_id"], event["family"], event["from"], event["to"]) for event in seen["events"]] == [
        ("a", "F", "RUNNING", "DONE"),
        ("b", "F", "PENDING", "RUNNING"),
        ("b", "F", "RUNNING", "FAILED"),
    ]
    assert (seen["events"][1]["worker"], seen["events"][1]["time"]) == ("w", clock.now - 1)
    assert seen["last"] == seen["events"][-1]["id"]


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("filters", [{}, {"family": "B"}, {"status": "DONE"}, {"family": "A", "status": "RUNNING"}])
def test_whoever_follows_them_sees_each_once(scheduler, clock, limit, filters):
    add(scheduler, "first")
    last = scheduler.events(after="0-0")["last"]
    add(scheduler, *[f"a{n}" for n in range(4)], family="A")
    add(scheduler, *[f"b{n}" for n in range(4)], family="B")
    for _ in range(9):
        run(scheduler, clock, "w", 1)
    everything = scheduler.events(limit=1000)["events"]
    wanted = [
        event["id"]
        for event in everything
        if filters.get("family") in (None, event["family"])
        and filters.get("status") in (None, event["to"])
        and (last is None or event["id"] > last)
    ]
    seen = []
    while True:
        reply = scheduler.events(after=last or "0-0", limit=limit, **filters)
        seen += [event["id"] for event in reply["events"]]
        if reply["last"] == last:
            break
        last = reply["last"]
    assert seen == wanted
    run_on = scheduler.events(after=last, **filters)
    assert run_on == {"events": [], "last": last, "first": last, "complete": True}


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("filters", [{}, {"task_id": "a1"}, {"family": "A", "status": "DONE"}, {"task_id": "none"}])
def test_whoever_goes_back_in_time_sees_each_once(scheduler, clock, limit, filters):
    add(scheduler, *[f"a{n}" for n in range(4)], family="A")
    add(scheduler, *[f"b{n}" for n in range(60)], family="B")
    for _ in range(5):
        run(scheduler, clock, "w", 1)
    whole = [
        event["id"]
        for event in scheduler.events(limit=1000)["events"]
        if all(event["to" if name == "status" else name] == value for name, value in filters.items())
    ]
    reply = scheduler.events(limit=limit, **filters)
    seen = [event["id"] for event in reply["events"]]
    while reply["first"] is not None:
        reply = scheduler.events(before=reply["first"], limit=limit, **filters)
        seen = [event["id"] for event in reply["events"]] + seen
    assert seen == whole


def test_of_one_task_a_call_looks_back_at_a_thousand_events(scheduler):
    scheduler.add_task(worker="w", task_id="t", status="DONE")
    scheduler.add_tasks(worker="w", tasks=[{"task_id": f"a{n}", "status": "DONE"} for n in range(1000)])
    scheduler.add_tasks(worker="w", tasks=[{"task_id": f"b{n}", "status": "DONE"} for n in range(100)])
    reply = scheduler.events(task_id="t")
    assert reply["events"] == []
    told = scheduler.events(task_id="t", before=reply["first"])
    assert [(event["task_id"], event["to"]) for event in told["events"]] == [("t", "DONE")]
    assert told["first"] is None
    assert commands_of(scheduler, lambda: scheduler.events(task_id="t")) < 50


def test_one_can_go_back_or_on_not_both_at_once(scheduler):
    with pytest.raises(InvalidArgument, match="before"):
        scheduler.events(after="1-0", before="2-0")


def test_whoever_comes_late_is_told_that_some_were_dropped(scheduler, clock):
    add(scheduler, "t")
    run(scheduler, clock, "w", 1)
    key = scheduler.namespace.key("events")
    first = scheduler.events()["last"]
    assert scheduler.events(after="0-0")["complete"], "a short stream is whole"
    fields = {"task_id": "t", "family": "F", "from": "PENDING", "to": "RUNNING", "worker": "w", "time": str(clock.now)}
    with scheduler._client.pipeline(transaction=False) as pipeline:
        for _ in range(10_100):
            pipeline.xadd(key, fields)
        pipeline.execute()
    assert scheduler.events(after=first, limit=1)["complete"], "the last one that was seen is there"
    scheduler._client.xtrim(key, maxlen=10_000, approximate=False)
    assert not scheduler.events(after=first, limit=1)["complete"]
    assert not scheduler.events(after=first, limit=1, family="none")["complete"]
    newest = scheduler.events(limit=1)
    assert newest["complete"] and scheduler.events(after=newest["last"])["complete"]


def test_a_superseded_report_is_told_as_refused(scheduler):
    add(scheduler, "t")
    old = scheduler.get_work(worker="w")["attempt"]
    scheduler.release_task(task_id="t", worker="w")
    scheduler.get_work(worker="w")
    with pytest.raises(Exception, match="does not count"):
        scheduler.add_task(worker="w", task_id="t", status="DONE", attempt=old)
    assert scheduler.events()["events"][-1]["refused"] == "DONE"


@pytest.mark.parametrize("after", ["", "x", "1", "1-", "-1-0", "1-0\n", "(1-0", "1-99999999999999999999"])
def test_what_is_no_id_of_an_event_is_refused(scheduler, after):
    with pytest.raises(InvalidArgument, match="after"):
        scheduler.events(after=after)
    with pytest.raises(InvalidArgument, match="before"):
        scheduler.events(before=after)
