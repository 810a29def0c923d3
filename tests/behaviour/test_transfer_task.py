"""transfer_task: a run goes on on another worker, as the same attempt.

A worker that hands its runs to other machines is not the one that runs them. With this call a job there becomes the
runner: it is told of messages, it reports, and it is missed when it is silent.
"""

from __future__ import annotations

from typing import Any

import pytest

from broker_sched.errors import InvalidArgument, NameTaken, Superseded
from broker_sched.redis_backend.script_call import evalsha
from broker_sched.scheduler.operations.work import transfer_task
from tests.behaviour.test_flat_cost import commands_of

OPTIONS = {"retry_delay": 1, "worker_disconnect_delay": 60, "stable_done_cooldown_secs": 0, "send_messages": True}


@pytest.fixture
def scheduler(scheduler_factory: Any) -> Any:
    """Where `supervisor` has scheduled t, and `job` is an assistant on another machine."""
    scheduler = scheduler_factory(**OPTIONS)
    scheduler.update_resources(db=1)
    more = {"family": "F", "module": "m", "params": {"x": "ü"}, "resources": {"db": 1}}
    scheduler.add_task(worker="supervisor", task_id="t", **more)
    scheduler.add_worker(worker="job", info={"assistant": True, "host": "far"}, start_id="s")
    return scheduler


def hand_out(scheduler: Any) -> dict[str, Any]:
    """Who was handed t, and where it goes: the arguments of transfer_task."""
    work = scheduler.get_work(worker="supervisor")
    return {"task_id": work["task_id"], "worker": "supervisor", "to": "job", "attempt": work["attempt"]}


def hand_out_batch(scheduler: Any) -> dict[str, Any]:
    """The same of a batch of three, which the supervisor has begun."""
    scheduler.add_task_batcher(worker="supervisor", task_family="B", batched_args=["day"])
    for day in "123":
        batched = {"family": "B", "priority": 9, "params": {"day": day}, "batchable": True, "module": "m"}
        scheduler.add_task(worker="supervisor", task_id=f"B_{day}", **batched)
    work = scheduler.get_work(worker="supervisor")
    combined = {"task_id": "B_all", "family": "B", "module": "m", "params": {"day": "1,2,3"}, "status": "RUNNING"}
    scheduler.add_task(worker="supervisor", attempt=work["attempt"], batch_id=work["batch_id"], **combined)
    return {"task_id": "B_all", "worker": "supervisor", "to": "job", "attempt": work["attempt"]}


def runners(scheduler: Any) -> dict[str, Any]:
    tasks = {**scheduler.task_list("RUNNING", ""), **scheduler.task_list("BATCH_RUNNING", "")}
    return {task_id: task["worker_running"] for task_id, task in tasks.items()}


def status(scheduler: Any, task_id: str = "t") -> str:
    return scheduler.task_statuses([task_id])[task_id]["status"]  # type: ignore[no-any-return]


def test_the_run_is_the_other_workers_and_the_reply_is_a_hand_out_of_it(scheduler: Any, clock: Any) -> None:
    moved = hand_out(scheduler)
    before = scheduler.task_list("RUNNING", "")["t"]
    clock.advance(3)
    work = scheduler.transfer_task(**moved, host="far", start_id="s")
    assert (work["task_id"], work["task_family"], work["task_module"]) == ("t", "F", "m")
    assert (work["task_params"], work["attempt"]) == ({"x": "ü"}, moved["attempt"])
    assert (work["n_pending_tasks"], work["worker_state"], work["running_tasks"]) == (0, "active", [])
    assert runners(scheduler) == {"t": "job"}
    assert scheduler.task_list("RUNNING", "")["t"] == {**before, "worker_running": "job"}
    assert scheduler.worker_details("job")["running_tasks"][0]["task_id"] == "t"
    assert scheduler.worker_details("supervisor")["running_tasks"] == []
    assert scheduler.count_pending(worker="supervisor")["running_tasks"][0]["worker"] == "job"


def test_the_resources_stay_in_use_until_the_other_worker_reports(scheduler: Any) -> None:
    moved = hand_out(scheduler)
    scheduler.transfer_task(**moved)
    assert scheduler.resource_list()[0]["num_used"] == 1
    scheduler.add_task(worker="job", task_id="t", status="DONE", attempt=moved["attempt"], assistant=True)
    assert scheduler.resource_list()[0]["num_used"] == 0
    assert status(scheduler) == "DONE"


def test_how_it_ended_is_kept_with_the_other_worker_and_its_host(scheduler: Any, clock: Any) -> None:
    moved = hand_out(scheduler)
    clock.advance(3)
    scheduler.transfer_task(**moved, host="here", start_id="s")
    clock.advance(2)
    scheduler.add_task(worker="job", task_id="t", status="FAILED", attempt=moved["attempt"], assistant=True)
    (run,) = scheduler.task_details("t")["attempts"]
    assert (run["worker"], run["host"], run["attempt"]) == ("job", "here", moved["attempt"])
    assert run["ended"] - run["started"] == 5


def test_messages_to_the_task_reach_the_other_worker(scheduler: Any) -> None:
    scheduler.transfer_task(**hand_out(scheduler))
    scheduler.add_task(worker="job", task_id="t", status="RUNNING", accepts_messages=True, assistant=True)
    assert scheduler.stop_task("t")["worker"] == "job"
    assert scheduler.ping(worker="supervisor") == {"rpc_messages": []}
    assert [each["name"] for each in scheduler.ping(worker="job")["rpc_messages"]] == ["stop_task"]


def test_followers_of_events_are_told(scheduler: Any) -> None:
    scheduler.transfer_task(**hand_out(scheduler))
    event = scheduler.events(limit=1)["events"][0]
    assert (event["task_id"], event["from"], event["to"]) == ("t", "RUNNING", "RUNNING")
    assert (event["worker"], event["asked"], event["refused"]) == ("job", "transfer", None)


def test_what_the_first_worker_reports_afterwards_does_not_count(scheduler: Any) -> None:
    moved = hand_out(scheduler)
    scheduler.transfer_task(**moved)
    with pytest.raises(Superseded, match="runs on job now"):
        scheduler.add_task(worker="supervisor", task_id="t", status="FAILED", attempt=moved["attempt"])
    assert scheduler.release_task("t", "supervisor", attempt=moved["attempt"])["status"] == "RUNNING"
    work = scheduler.get_work(worker="supervisor", current_tasks=[])
    assert work["task_id"] is None  # it is not handed what it does not name


def test_that_the_first_worker_dies_does_not_touch_the_run(scheduler: Any, clock: Any) -> None:
    scheduler.transfer_task(**hand_out(scheduler))
    clock.advance(50)
    scheduler.ping(worker="job")
    clock.advance(50)
    scheduler.prune()
    assert [each["name"] for each in scheduler.worker_list()] == ["job"]
    assert runners(scheduler) == {"t": "job"}


def test_a_run_is_moved_off_a_worker_that_is_dead_already(scheduler: Any, clock: Any) -> None:
    """As long as it was not failed for that. The prune that comes after finds it in good hands."""
    moved = hand_out(scheduler)
    clock.advance(30)
    scheduler.ping(worker="job")
    clock.advance(40)
    scheduler.transfer_task(**moved)
    scheduler.prune()
    assert [each["name"] for each in scheduler.worker_list()] == ["job"]
    assert runners(scheduler) == {"t": "job"}


def test_a_job_that_begins_after_its_supervisor_was_missed_gets_nothing(scheduler: Any, clock: Any) -> None:
    moved = hand_out(scheduler)
    clock.advance(30)
    scheduler.ping(worker="job")
    clock.advance(40)
    scheduler.prune()
    with pytest.raises(Superseded, match="FAILED by now"):
        scheduler.transfer_task(**moved)
    assert scheduler.superseded_reports() == {"count": 1}
    assert scheduler.events(limit=1)["events"][0]["refused"] == "transfer"


@pytest.mark.parametrize("hand", [hand_out, hand_out_batch])
def test_that_the_other_worker_dies_fails_the_run(scheduler: Any, clock: Any, hand: Any) -> None:
    moved = hand(scheduler)
    scheduler.transfer_task(**moved)
    clock.advance(50)
    scheduler.ping(worker="supervisor")
    clock.advance(50)
    scheduler.prune()
    assert runners(scheduler) == {}
    for task_id in ("t",) if hand is hand_out else ("B_1", "B_2", "B_3"):
        assert status(scheduler, task_id) == "FAILED"
        assert "Worker job (host far) was silent" in scheduler.fetch_error(task_id)["error"]


def test_a_repeated_request_gets_the_same_reply_and_changes_nothing(scheduler: Any, clock: Any) -> None:
    moved = hand_out(scheduler)
    first = scheduler.transfer_task(**moved)
    events = scheduler.events()
    clock.advance(1)
    assert scheduler.transfer_task(**moved) == first
    assert scheduler.events() == events


def test_a_late_request_moves_nothing(scheduler: Any) -> None:
    """Neither a run that went on to a third worker, nor one that has ended, nor a later attempt."""
    moved = hand_out(scheduler)
    scheduler.transfer_task(**moved)
    scheduler.add_worker(worker="third", info={"assistant": True})
    scheduler.transfer_task(**{**moved, "worker": "job", "to": "third"})
    with pytest.raises(Superseded, match="runs on third now"):
        scheduler.transfer_task(**moved)
    assert scheduler.release_task("t", "third", attempt=moved["attempt"])["status"] == "PENDING"
    with pytest.raises(Superseded, match="PENDING by now"):
        scheduler.transfer_task(**moved)
    assert scheduler.get_work(worker="supervisor")["attempt"] > moved["attempt"]
    with pytest.raises(Superseded, match="runs on supervisor now"):
        scheduler.transfer_task(**moved)
    with pytest.raises(Superseded, match="no such task"):
        scheduler.transfer_task(**{**moved, "task_id": "nobody's"})
    assert runners(scheduler) == {"t": "supervisor"}


def test_only_the_worker_that_runs_it_can_be_named_as_the_first(scheduler: Any) -> None:
    moved = hand_out(scheduler)
    with pytest.raises(Superseded, match="runs on supervisor now"):
        scheduler.transfer_task(**{**moved, "worker": "somebody"})


def test_a_worker_that_can_not_run_it_is_refused_with_what_to_do(scheduler: Any) -> None:
    moved = hand_out(scheduler)
    scheduler.add_worker(worker="off", info={"assistant": True})
    scheduler.disable_worker("off")
    scheduler.add_worker(worker="plain", info={})
    scheduler.add_task(worker="nightly", task_id="other")
    scheduler.add_submission("nightly", ["other"])
    for to, why in {
        "unknown": "add_worker first",
        "off": "off is disabled",
        "plain": "no assistant and has no stake",
        "nightly": "is a submission",
    }.items():
        with pytest.raises(InvalidArgument, match=f"^to: .*{why}"):
            scheduler.transfer_task(**{**moved, "to": to})
        assert runners(scheduler) == {"t": "supervisor"}
    with pytest.raises(NameTaken, match="name job"):
        scheduler.transfer_task(**moved, start_id="of an earlier start")
    assert scheduler.superseded_reports() == {"count": 0}


def test_one_that_is_no_assistant_but_has_a_stake_may_run_it(scheduler: Any) -> None:
    moved = hand_out(scheduler)
    scheduler.add_task(worker="plain", task_id="t", status="PENDING")
    scheduler.transfer_task(**{**moved, "to": "plain"})
    scheduler.prune()
    assert runners(scheduler) == {"t": "plain"}


def test_a_disabled_worker_that_has_it_already_is_told_so_again(scheduler: Any) -> None:
    moved = hand_out(scheduler)
    scheduler.transfer_task(**moved)
    scheduler.disable_worker("job")
    assert scheduler.transfer_task(**moved)["worker_state"] == "disabled"


def test_a_batch_moves_as_a_whole_and_ends_as_one(scheduler: Any) -> None:
    moved = hand_out_batch(scheduler)
    work = scheduler.transfer_task(**moved)
    assert (work["task_id"], work["task_params"], work["attempt"]) == ("B_all", {"day": "1,2,3"}, moved["attempt"])
    assert work["batch_task_ids"] == ["B_1", "B_2", "B_3"]
    assert runners(scheduler) == dict.fromkeys(("B_all", "B_1", "B_2", "B_3"), "job")
    assert scheduler.transfer_task(**moved) == work
    assert scheduler.verify() == []
    assert scheduler.get_work(worker="supervisor", current_tasks=[])["task_id"] == "t"  # and gets no member back
    scheduler.add_task(worker="job", task_id="B_all", status="DONE", attempt=moved["attempt"], assistant=True)
    assert {status(scheduler, task_id) for task_id in ("B_1", "B_2", "B_3")} == {"DONE"}


def test_a_member_of_a_batch_does_not_move_alone(scheduler: Any) -> None:
    moved = hand_out_batch(scheduler)
    with pytest.raises(InvalidArgument, match=r"^task_id: is part of the batch .*: give the task that runs the batch"):
        scheduler.transfer_task(**{**moved, "task_id": "B_2"})
    assert set(runners(scheduler).values()) == {"supervisor"}


def test_it_costs_the_same_however_many_tasks_there_are(real_scheduler: Any) -> None:
    scheduler, counts = real_scheduler, []
    scheduler.add_worker(worker="job", info={"assistant": True})
    for size in (10, 500):
        scheduler.add_tasks(worker="supervisor", tasks=[{"task_id": f"{size}_{n}"} for n in range(size)])
        moved = hand_out(scheduler)
        counts.append(commands_of(scheduler, lambda: scheduler.transfer_task(**moved)))  # noqa: B023  # called at once
    assert counts[0] == counts[1] < 25, counts


@pytest.mark.parametrize("mark", ["", "!"])
def test_a_late_copy_moves_nothing_that_has_moved_on_since(scheduler: Any, mark: str) -> None:
    """A run went to `job`, and back. The first request arrives once more: by then nobody awaits its answer."""
    moved = hand_out(scheduler)
    namespace = scheduler.namespace
    call = next(transfer_task(namespace, **moved, host=None, start_id=None))
    first, copy = (evalsha(namespace, None, call, f"caller:5{each}")[1] for each in ("", mark))
    told = scheduler._connection.send([first])
    assert told == scheduler._connection.send([copy])  # still there: the first answer
    scheduler.transfer_task(**{**moved, "worker": "job", "to": "supervisor"})
    [late] = scheduler._connection.send([copy])
    assert late == ["superseded"] if mark else str(late) == "BSCHED_LATE 5"
    assert runners(scheduler) == {"t": "supervisor"}


def test_a_repeated_transfer_is_answered_without_what_others_run(scheduler: Any) -> None:
    moved = hand_out(scheduler)
    scheduler.add_task(worker="job", task_id="u", family="F")
    scheduler.get_work(worker="job")
    namespace = scheduler.namespace
    call = next(transfer_task(namespace, **moved, host=None, start_id=None))
    requests = [evalsha(namespace, None, call, f"caller:5{mark}")[1] for mark in ("", "!")]
    [first], [again] = (scheduler._connection.send([each]) for each in requests)
    assert first[2:] == again[2:]
    assert first[1][:4] == again[1][:4]
    assert again[1][4:] == [[], []]
