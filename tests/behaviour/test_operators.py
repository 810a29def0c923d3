"""People have workers leave, or forgotten, take limits away, and set options; who set one can be seen.

A worker that is asked to leave finishes what it runs. One that is forgotten is gone at once, as if it had been silent
for too long: what it ran has failed, and the reason says who removed it.
"""

from __future__ import annotations

import json

import pytest

from broker_sched import Scheduler
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Await
from broker_sched.scheduler.operations.work import awaiting
from tests.behaviour.test_first_steps import status
from tests.behaviour.test_once import losing
from tests.conftest import FakeClock, SchedulerFactory


def runs_two(scheduler: Scheduler, **info: object) -> None:
    """The worker `w` runs `a` and a batch, and has `b` to do."""
    scheduler.add_worker(worker="w", info={"host": "h1", **info}, start_id="s")
    scheduler.add_task_batcher(worker="w", task_family="B", batched_args=["p"])
    for number in range(2):
        batched = {"params": {"p": str(number)}, "batchable": True, "priority": 9}
        scheduler.add_task(worker="w", task_id=f"member {number}", family="B", **batched)
    for name in "ab":
        scheduler.add_task(worker="w", task_id=name)
    scheduler.get_work(worker="w")
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_a_worker_that_is_forgotten_is_gone_at_once_and_what_it_ran_has_failed(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    runs_two(scheduler)
    clock.advance(5.5)
    told = scheduler.forget_worker("w", by="ann@host")
    assert told == {"worker": "w", "forgotten": True, "tasks": 3, "reason": None}
    assert scheduler.worker_list() == []
    assert [status(scheduler, name) for name in ("a", "member 0", "member 1", "b")] == ["FAILED"] * 3 + ["PENDING"]
    reason = json.loads(scheduler.fetch_error("a")["error"])
    assert reason.startswith("Worker w (host h1) was removed by ann@host at 1970-01-12 13:46:45 UTC while it ran")
    assert "was heard of last at 1970-01-12 13:46:40 UTC" in reason
    assert scheduler.forget_worker("w") == {
        "worker": "w",
        "forgotten": False,
        "tasks": 0,
        "reason": "There is no such worker.",
    }


@pytest.mark.parametrize(("info", "enough"), [({}, 5), ({"ping_interval": 1.0}, 5), ({"ping_interval": 10}, 31)])
def test_a_worker_that_was_heard_of_within_three_pings_is_forgotten_only_by_force(
    scheduler: Scheduler, clock: FakeClock, info: dict[str, float], enough: float
) -> None:
    runs_two(scheduler, **info)
    clock.advance(enough)
    told = scheduler.forget_worker("w")
    assert (told["forgotten"], told["tasks"]) == (False, 0)
    assert f"was heard of {enough}.0 s ago" in str(told["reason"])
    assert f"silent for {enough} s" in str(told["reason"])
    assert status(scheduler, "a") == "RUNNING"
    assert scheduler.forget_worker("w", force=True)["forgotten"]
    assert "removed by an operator" in scheduler.fetch_error("a")["error"]


def test_a_live_worker_that_was_forgotten_comes_back(scheduler: Scheduler) -> None:
    runs_two(scheduler)
    assert losing(scheduler).forget_worker("w", force=True)["tasks"] == 3
    scheduler.ping(worker="w")
    scheduler.add_task(worker="w", task_id="b")
    assert scheduler.get_work(worker="w")["task_id"] == "b"


def test_a_submission_is_neither_forgotten_nor_drained(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="s", task_id="a")
    scheduler.add_submission("s", ["a"])
    for call in (scheduler.forget_worker, scheduler.drain_worker):
        with pytest.raises(InvalidArgument, match="cancel_submission"):
            call("s")


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (None, {"name": "stop_asking", "kwargs": {}}),
        (30, {"name": "drain", "kwargs": {"seconds": 30.0}}),
    ],
)
def test_a_worker_is_asked_to_leave_by_its_next_ping(
    scheduler: Scheduler, seconds: float | None, message: dict[str, object]
) -> None:
    runs_two(scheduler)
    assert scheduler.drain_worker("w", seconds) == {"worker": "w", "asked": True, "disabled": False}
    assert scheduler.ping(worker="w", start_id="s")["rpc_messages"] == [message]
    assert scheduler.get_work(worker="w")["task_id"] == "b", "whoever has its name next is given work"


def test_a_name_that_is_disabled_stays_so_for_a_new_start_until_it_is_forgotten(scheduler: Scheduler) -> None:
    scheduler.add_worker(worker="w", info={}, start_id="first")
    scheduler.disable_worker("w")
    for forgets, state in ((False, "disabled"), (True, "active")):
        if forgets:
            scheduler.forget_worker("w", force=True)
        scheduler.add_worker(worker="w", info={}, start_id=f"next {state}")
        assert scheduler.get_work(worker="w", start_id=f"next {state}")["worker_state"] == state


def test_a_worker_of_luigis_is_disabled_instead_and_an_unknown_one_is_not_made(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="luigis", task_id="a")
    assert scheduler.drain_worker("luigis") == {"worker": "luigis", "asked": False, "disabled": True}
    assert scheduler.get_work(worker="luigis")["worker_state"] == "disabled"
    assert scheduler.drain_worker("nobody") == {"worker": "nobody", "asked": False, "disabled": False}
    assert [each["name"] for each in scheduler.worker_list()] == ["luigis"]


def test_a_resource_without_a_limit_has_one(scheduler: Scheduler) -> None:
    scheduler.update_resources(db=2.5)
    for number in range(3):
        scheduler.add_task(worker="w", task_id=f"t{number}", resources={"db": 1})
    scheduler.get_work(worker="w")
    assert scheduler.remove_resource("db") == {"resource": "db", "removed": True, "limit": 2.5}
    assert scheduler.get_work(worker="w")["task_id"] is None
    assert scheduler.remove_resource("db") == {"resource": "db", "removed": False, "limit": None}
    assert scheduler.resource_list() == []


def test_who_waits_for_a_resource_that_there_was_none_of_is_woken(scheduler: Scheduler) -> None:
    scheduler.update_resources(db=0)
    scheduler.add_task(worker="w", task_id="a", resources={"db": 1})
    assert scheduler._run(awaiting(Await("w", False, 1000), "w"))[0] == 0
    scheduler.remove_resource("db")
    assert scheduler._client.lpop(scheduler.namespace.key("wake", "w")) == "w"
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_an_option_says_who_set_it_and_when(scheduler: Scheduler, clock: FakeClock) -> None:
    before = {each["name"]: each for each in scheduler.option_list()}
    assert before["retry_delay"] == {
        "name": "retry_delay",
        "value": 900.0,
        "default": 900.0,
        "set_at": None,
        "set_by": None,
        "meaning": "a FAILED task goes back to PENDING after this",
        "takes": "a number of seconds (negative: never)",
    }
    (told,) = scheduler.update_options({"retry_delay": "7"}, by="ann@host")
    assert told == {**before["retry_delay"], "value": 7.0, "set_at": clock.now, "set_by": "ann@host"}
    assert scheduler.config().retry_delay == 7
    assert scheduler.update_options({"retry_delay": 8})[0]["set_by"] is None, "who did it last is not known"
    assert scheduler.update_options({"retry_delay": None}, by="ann@host") == [before["retry_delay"]]
    assert {each["name"]: each for each in scheduler.option_list()} == before
    version = scheduler._client.hget(scheduler.namespace.key("config"), "version")
    scheduler.update_options({"retry_delay": 900, "retry_count": None})
    assert scheduler._client.hget(scheduler.namespace.key("config"), "version") == version, "nothing has changed"
    scheduler.update_options({"retry_delay": 901, "retry_count": None})
    assert int(scheduler._client.hget(scheduler.namespace.key("config"), "version")) == int(version) + 1


def test_options_are_set_together_or_not_at_all(scheduler: Scheduler) -> None:
    for wrong in ({"retry_dely": 3}, {"retry_delay": "soon"}, {"record_task_history": True}, {"unknown": None}):
        with pytest.raises(InvalidArgument) as error:
            scheduler.update_options({"retry_count": 1, **wrong})
        assert error.value.field == f"options.{next(iter(wrong))}"
    assert scheduler.config().retry_count == 999999999


def test_an_option_that_a_process_brings_along_is_its_users(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(retry_count=3)
    by = {each["name"]: each["set_by"] for each in scheduler.option_list() if each["set_by"]}
    assert list(by) == ["retry_count"]
    assert "@" in str(by["retry_count"])
    scheduler.update_options({"retry_count": 4}, by="ann@host")
    again = scheduler_factory(namespace=scheduler.namespace.name, retry_count=4)
    assert {each["name"]: each["set_by"] for each in again.option_list()}["retry_count"] == "ann@host"
