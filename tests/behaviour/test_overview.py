"""`overview` says in one reply how a namespace stands: what is to be done, who does it, how fast, and until when.

Where something can't be said honestly, it is null, and a reason stands beside it.
"""

import random

import pytest

from broker_sched import Scheduler
from broker_sched.scheduler import estimates
from broker_sched.scheduler.redis_state import redis_state
from tests.behaviour.runs import add, run
from tests.behaviour.test_tasks_listing import add_random_tasks, plain_look
from tests.nightly import by_night
from tests.servers import RunningRedis, embedded_servers, free_port


def test_of_an_empty_namespace_it_says_that_nothing_is_there(scheduler, clock):
    seen = scheduler.overview()
    assert (seen["time"], seen["namespace"]) == (clock.now, scheduler.namespace.name)
    assert set(seen["tasks"].values()) == {0}
    assert (seen["ready"], seen["oldest_ready"], seen["resources"], seen["paused"]) == (0, None, [], False)
    assert seen["upstream"] == {"UPSTREAM_DISABLED": 0, "UPSTREAM_FAILED": {"count": 0, "exact": True}}
    assert seen["estimated_end"] == {"at": None, "reason": "nothing is left to be done"}
    assert seen["workers"] == dict(active=0, disabled=0, silent=0, submissions=0, slots=0, slots_in_use=0)
    assert seen["throughput"]["hour"] == {"done_per_second": 0.0, "failed_per_second": 0.0}


@pytest.mark.parametrize("seed", range(by_night(12, 4)))
def test_its_counts_are_those_of_a_plain_look_at_every_task(scheduler, clock, seed):
    add_random_tasks(scheduler, clock, random.Random(seed), 80)
    everything = plain_look(scheduler)
    seen = scheduler.overview()
    by_state = {state: sum(task["state"] == state for task in everything) for state in seen["tasks"]}
    assert seen["tasks"] == by_state
    assert sum(by_state.values()) == len(everything)
    assert seen["ready"] == by_state["READY"]
    since = [task["since"] for task in everything if task["state"] == "READY"]
    assert seen["oldest_ready"] == min(since, default=None)
    for upstream in ("UPSTREAM_DISABLED", "UPSTREAM_FAILED"):
        waiting = scheduler.task_list("PENDING", upstream)
        count = seen["upstream"][upstream]
        assert count == (len(waiting) if upstream == "UPSTREAM_DISABLED" else {"count": len(waiting), "exact": True})


def test_of_what_waits_for_failed_tasks_it_looks_at_a_thousand_and_says_so(scheduler):
    add(scheduler, "bad")
    scheduler.add_task(worker="w", task_id="bad", status="FAILED")
    for start in range(0, 1100, 100):
        tasks = [{"task_id": f"t{n}", "deps": ["bad"]} for n in range(start, start + 100)]
        scheduler.add_tasks(worker="w", tasks=tasks)
        seen = scheduler.overview()["upstream"]["UPSTREAM_FAILED"]
        if start + 100 < 1000:
            assert seen == {"count": start + 100, "exact": True}
    assert not seen["exact"]
    assert 990 <= seen["count"] <= 1000


def test_of_a_long_chain_behind_a_failed_task_it_says_at_least_so_many(scheduler):
    add(scheduler, "t0")
    scheduler.add_task(worker="w", task_id="t0", status="FAILED")
    scheduler.add_tasks(worker="w", tasks=[{"task_id": f"t{n}", "deps": [f"t{n - 1}"]} for n in range(1, 80)])
    seen = scheduler.overview()["upstream"]["UPSTREAM_FAILED"]
    assert not seen["exact"]
    assert 40 <= seen["count"] < 79


def test_workers_are_counted_by_what_can_be_expected_of_them(scheduler, clock):
    add(scheduler, "t0", "t1")
    for worker, slots in (("w", 3), ("busy", 2), ("off", 5), ("gone", 7)):
        scheduler.add_worker(worker=worker, info={"workers": slots, "version": "1.2", "ping_interval": 1})
    scheduler.add_worker(worker="slow", info={"ping_interval": 20})
    scheduler.disable_worker("off")
    scheduler.add_task(worker="later", task_id="s", family="S")
    scheduler.add_submission("later", ["s"])
    scheduler.get_work(worker="w")
    clock.advance(30)
    for worker in ("w", "busy", "off"):
        scheduler.ping(worker=worker)
    seen = scheduler.overview()
    assert seen["workers"] == dict(active=3, disabled=1, silent=1, submissions=1, slots=6, slots_in_use=1)
    assert seen["versions"]["workers"] == {"1.2": 4, "": 1}


def test_no_more_slots_are_in_use_than_there_are(scheduler, clock):
    add(scheduler, *[f"t{n}" for n in range(4)])
    scheduler.add_worker(worker="w", info={"workers": 2})
    scheduler.add_worker(worker="off", info={"workers": 2})
    scheduler.add_task(worker="off", task_id="own", family="F")
    for _ in range(4):  # a stock worker may ask for more than it told
        scheduler.get_work(worker="w")
    assert scheduler.get_work(worker="off")["task_id"] == "own"
    scheduler.disable_worker("off")
    seen = scheduler.overview()
    assert seen["tasks"]["RUNNING"] == 5
    assert (seen["workers"]["slots"], seen["workers"]["slots_in_use"]) == (2, 2)


def test_resources_show_their_limit_and_what_is_held(scheduler):
    scheduler.update_resources(db=2, idle=3)
    add(scheduler, "t0", resources={"db": 1.5, "unlimited": 1})
    scheduler.get_work(worker="w")
    assert scheduler.overview()["resources"] == [
        {"name": "db", "limit": 2, "used": 1.5},
        {"name": "idle", "limit": 3, "used": 0},
        {"name": "unlimited", "limit": 1, "used": 1},
    ]


def test_throughput_is_what_ended_divided_by_the_seconds_that_were_looked_at(scheduler_factory, clock):
    scheduler = scheduler_factory(retry_count=1)
    clock.now = 1_000_000.0  # a multiple of 20 s
    add(scheduler, *[f"t{n}" for n in range(12)])
    for _ in range(3):
        run(scheduler, clock, "w", 1)
    clock.now += 1797
    for _ in range(5):
        run(scheduler, clock, "w", 1)
    for _ in range(2):
        run(scheduler, clock, "w", 1, status="FAILED")  # which disables it, and is a failure all the same
    clock.now = 1_001_850.0
    rates = scheduler.overview()["throughput"]
    assert rates["minute"] == {"done_per_second": 5 / 50, "failed_per_second": 2 / 50}
    assert rates["ten_minutes"] == {"done_per_second": 5 / 590, "failed_per_second": 2 / 590}
    assert rates["hour"] == {"done_per_second": 8 / 3590, "failed_per_second": 2 / 3590}
    clock.now += 3600
    assert set(scheduler.overview()["throughput"]["hour"].values()) == {0.0}


def test_the_estimated_end_is_what_is_left_times_the_usual_run_time_by_the_slots(scheduler, clock):
    add(scheduler, *[f"a{n}" for n in range(5)], family="A")
    add(scheduler, "b0", "b1", family="B", priority=9)
    add(scheduler, "b2", family="B", deps=["a4"])
    scheduler.add_worker(worker="w", info={"workers": 2})
    for seconds in (30, 10, 4):
        run(scheduler, clock, "w", seconds)  # b0 and b1, whose mean is 20 s, and a0
    scheduler.get_work(worker="w")
    end = scheduler.overview()["estimated_end"]
    assert end == {"at": clock.now + (3 * 4 + 4 / 2 + 20) / 2, "reason": None}


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("no run of the family New was DONE yet", lambda on: add(on, "n", family="New")),
        ("handing out is paused", lambda on: on.pause()),
        ("no worker is active", lambda on: on.disable_worker("w")),
        ("the family F is paused", lambda on: on.pause_family("F")),
    ],
)
def test_there_is_no_estimated_end_where_nobody_can_know_and_it_says_why(scheduler, clock, reason, spoil):
    add(scheduler, "t0", "t1")
    run(scheduler, clock, "w", 5)
    assert scheduler.overview()["estimated_end"]["at"] == clock.now + 5
    spoil(scheduler)
    end = scheduler.overview()["estimated_end"]
    assert end["at"] is None
    assert end["reason"].startswith(reason)


def test_there_is_no_estimated_end_where_too_many_families_have_tasks_left(scheduler, monkeypatch):
    for family in "ABC":
        add(scheduler, family, family=family)
    for most, reason in ((2, "3 families have tasks left"), (3, "no run of the family")):
        monkeypatch.setattr(estimates, "MOST_FAMILIES", most)
        end = scheduler.overview()["estimated_end"]
        assert end["at"] is None
        assert end["reason"].startswith(reason)


def test_what_only_waits_for_failed_tasks_has_no_estimated_end(scheduler, clock):
    add(scheduler, "t0", "t1")
    add(scheduler, "t2", deps=["t1"])
    run(scheduler, clock, "w", 5)
    scheduler.add_task(worker="w", task_id="t1", status="FAILED")
    end = scheduler.overview()["estimated_end"]
    assert end["at"] is None
    assert end["reason"].startswith("nothing is READY or RUNNING")


def test_redis_tells_its_version_memory_and_persistence(real_scheduler):
    told = real_scheduler.overview()["redis"]
    assert told["version"].count(".") == 2
    assert 10**5 < told["used_memory"] < 10**11
    assert (told["max_memory"], told["persistence"]) == (0, "no aof")
    assert told["last_save_ok"] in (True, False)
    assert told["last_save"] > 1_700_000_000


def test_a_user_of_redis_who_may_not_ask_sees_all_the_rest(real_redis_kind, tmp_path):
    server = RunningRedis(embedded_servers()[real_redis_kind], tmp_path / "redis", free_port())
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "bsched", "on", ">p", "~*", "+@all", "-info")
    scheduler = Scheduler(f"redis://bsched:p@127.0.0.1:{server.port}")
    add(scheduler, "t0")
    seen = scheduler.overview()
    assert set(seen["redis"].values()) == {None}
    assert seen["ready"] == 1
    scheduler.close()
    server.kill()


def test_a_failed_write_to_the_disk_is_told():
    persistence = "rdb_last_bgsave_status:ok\r\naof_enabled:1\r\naof_last_write_status:err\r\n"
    told = redis_state("redis_version:7.2.4\r\n", "", persistence)
    assert (told["version"], told["persistence"], told["last_save_ok"]) == ("7.2.4", "aof", False)
    assert told["used_memory"] is None
