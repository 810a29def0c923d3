"""`workers` and `worker_details` say how each worker stands, what it runs, and what went wrong on it.

That is how a sick machine is found: by failures, by modules that could not be loaded, by silence, by memory, by an old
version.
"""

import pytest

from broker_sched import InvalidArgument
from tests.behaviour.runs import add, fail, run


def test_each_is_listed_once_in_the_order_of_ids(scheduler):
    ids = ["anna", "bob", "caf\udce9", "Worker(salt=1, host=h)", "zoe"]
    for worker in reversed(ids):
        scheduler.add_worker(worker=worker, info={"host": f"host of {worker}"})
    found, cursor = [], None
    while True:
        page = scheduler.workers(limit=2, cursor=cursor)
        found += page["workers"]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert [(each["worker"], each["host"]) for each in found] == [(each, f"host of {each}") for each in sorted(ids)]


def test_a_saved_cursor_goes_on_when_workers_have_come_and_pinged(scheduler, clock):
    for worker in "bdf":
        scheduler.ping(worker=worker)
    first = scheduler.workers(limit=1)
    clock.advance(1)
    for worker in "abdcf":
        scheduler.ping(worker=worker)
    assert [each["worker"] for each in scheduler.workers(cursor=first["cursor"])["workers"]] == ["c", "d", "f"]


def test_a_worker_shows_who_it_is_and_what_it_did_within_the_hour(scheduler, clock):
    scheduler.add_worker(worker="w", info={"workers": 4, "host": "build-7", "version": "0.9", "ping_interval": 1})
    add(scheduler, *[f"t{n}" for n in range(6)])
    for _ in range(2):
        run(scheduler, clock, "w", 1)
    fail(scheduler, clock, "w", "disk full")
    scheduler.get_work(worker="w")
    scheduler.ping(worker="luigi's")
    ours = {each["worker"]: each for each in scheduler.workers()["workers"]}["w"]
    assert ours == {
        "worker": "w",
        "host": "build-7",
        "version": "0.9",
        "state": "active",
        "assistant": False,
        "last_contact": clock.now,
        "started": 1_000_000.0,
        "slots": 4,
        "running": 1,
        "failed_last_hour": 1,
        "done_last_hour": 2,
        "refuses": [],
    }
    luigis = scheduler.worker_details("luigi's")
    assert (luigis["version"], luigis["host"], luigis["slots"], luigis["running_tasks"]) == (None, None, 1, [])
    clock.advance(3700)
    scheduler.ping(worker="w")
    later = {each["worker"]: each for each in scheduler.workers()["workers"]}["w"]
    assert (later["done_last_hour"], later["failed_last_hour"]) == (0, 0)


def test_a_worker_is_silent_when_it_has_missed_pings_and_a_submission_never_is(scheduler, clock):
    scheduler.add_worker(worker="quick", info={"ping_interval": 1})
    scheduler.add_worker(worker="slow", info={"ping_interval": 20})
    scheduler.ping(worker="off")
    scheduler.disable_worker("off")
    scheduler.add_task(worker="later", task_id="s", family="S")
    scheduler.add_submission("later", ["s"])

    def states():
        return {each["worker"]: each["state"] for each in scheduler.workers()["workers"]}

    assert states() == {"quick": "active", "slow": "active", "off": "disabled", "later": "submission"}
    clock.advance(6)
    assert states() == {"quick": "silent", "slow": "active", "off": "silent", "later": "submission"}
    clock.advance(36)
    assert states()["slow"] == "silent"
    scheduler.ping(worker="quick")
    assert states()["quick"] == "active"


def test_details_tell_what_runs_since_when_and_with_how_much_memory(scheduler, clock):
    add(scheduler, "t0", "t1")
    scheduler.get_work(worker="w")
    clock.advance(5)
    scheduler.get_work(worker="w", current_tasks=["t0"])
    scheduler.add_worker(worker="w", info={"task_memory": {"t0": 123_456_789}})
    details = scheduler.worker_details("w")
    assert details["running_tasks"] == [
        {"task_id": "t0", "family": "F", "since": clock.now - 5, "memory": 123_456_789},
        {"task_id": "t1", "family": "F", "since": clock.now, "memory": None},
    ]
    assert scheduler.task_details("t0")["memory"] == 123_456_789
    assert "task_memory" not in details["info"]
    scheduler.add_task(worker="w", task_id="t0", status="DONE")
    assert scheduler.task_details("t0")["memory"] is None


@pytest.mark.parametrize("memory", [3, "x", ["t"], {"t": "7"}, {"t": None}])
def test_memory_that_is_no_number_of_bytes_a_task_is_refused(scheduler, memory):
    with pytest.raises(InvalidArgument, match=r"info\.task_memory"):
        scheduler.add_worker(worker="w", info={"task_memory": memory})


def test_details_tell_what_it_failed_at_and_why_newest_first(scheduler, clock):
    add(scheduler, *[f"t{n}" for n in range(25)])
    for number in range(25):
        fail(scheduler, clock, "w", f"error {number}")
    failures = scheduler.worker_details("w")["failures"]
    assert [failure["error"] for failure in failures] == [f"error {number}" for number in range(24, 4, -1)]
    assert (failures[0]["task_id"], failures[0]["family"], failures[0]["time"]) == ("t24", "F", clock.now)


def test_details_tell_what_it_could_not_load_until_when(scheduler, clock):
    scheduler.add_worker(worker="w", info={"assistant": True, "allow_modules": ["pipe*"]})
    for number, module in enumerate(["pipe.a", "pipe.b:c"]):
        scheduler.add_task(worker="w", task_id=f"t{number}", family="F|1", module=module)
    for scope in ("module", "family"):
        work = scheduler.get_work(worker="w")
        scheduler.refuse_tasks(worker="w", task_ids=[work["task_id"]], reason="no module", scope=scope, seconds=30)
    until = clock.now + 30
    details = scheduler.worker_details("w")
    assert details["refusals"] == [
        {"label": "pipe.a", "until": until},
        {"label": "pipe.b:c:F|1", "until": until},
    ]
    assert details["refuses"] == ["pipe.a", "pipe.b:c:F|1"]
    assert (details["modules"], details["assistant"]) == (["pipe*"], True)
    clock.advance(31)
    details = scheduler.worker_details("w")
    assert (details["refusals"], details["refuses"]) == ([], [])


def test_of_an_unknown_worker_there_are_no_details(scheduler):
    assert scheduler.worker_details("nobody") is None
    assert scheduler.workers() == {"workers": [], "cursor": None}
