"""The contract's fine print, items 11 to 14: get_work, the starvation guard, batches.

Each call goes to Luigi's scheduler and to ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.parity.conversation import Conversation

Both = Callable[..., Conversation]

# 11: lost tasks


def test_lost_task_comes_before_all_else_the_best_ranked_first(both: Both) -> None:
    talk = both()
    for task_id, priority in (("a", 1), ("b", 3), ("c", 2)):
        talk.add(task_id, priority=priority)
    assert [talk.work(), talk.work()] == ["b", "c"]
    talk.add("d", priority=9)
    assert talk.work(current_tasks=[]) == "b"
    assert talk.work(current_tasks=["b"]) == "c"
    assert talk.work(current_tasks=["b", "c"]) == "d"


def test_lost_task_is_handed_out_when_paused_and_resources_are_gone(both: Both) -> None:
    talk = both()
    talk.add("a", resources={"db": 1})
    talk.work()
    talk.pause()
    talk.update_resources(db=0)
    talk.advance(5)
    assert talk.work(current_tasks=[]) == "a"
    assert talk.work(current_tasks=["a"]) is None


def test_lost_tasks_resources_and_time_start_anew(both: Both) -> None:
    talk = both()
    talk.update_resources(db=4)
    talk.add("a", resources={"db": 3})
    talk.work()
    talk.decrease_running_task_resources(task_id="a", decrease_resources={"db": 2})
    assert talk.get_running_task_resources(task_id="a")["resources"] == {"db": 1}
    talk.advance(5)
    talk.work(current_tasks=[])
    assert talk.get_running_task_resources(task_id="a")["resources"] == {"db": 3}


def test_without_current_tasks_nothing_is_reconciled(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.work()
    assert talk.work() is None
    assert talk.work(current_tasks=["a", "foreign"]) is None


def test_another_workers_running_task_is_not_lost(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.add("a", "w2")
    talk.work()
    assert talk.work("w2", current_tasks=[]) is None


# 12: the starvation guard


def _contest(talk: Conversation, slots: Any = None) -> None:
    """`greedy` asks first and gets nothing; then it has the better-ranked task, `poor` the other one."""
    if slots is not None:
        talk.add_worker(worker="greedy", info=[["workers", slots]])
    talk.work("greedy")
    talk.add("high", "greedy", priority=5, resources={"db": 1})
    talk.add("low", "poor", resources={"db": 1})


@pytest.mark.parametrize(("slots", "given"), [(None, None), (1, None), (3, None), (0, "low")])
def test_resource_is_kept_for_a_better_task_whose_worker_has_a_slot(both: Both, slots: Any, given: str | None) -> None:
    talk = both()
    _contest(talk, slots)
    assert talk.work("poor") == given


@pytest.mark.parametrize(("silent", "given"), [(59.75, None), (60, "low")])
def test_slots_count_only_where_get_work_was_lately(both: Both, silent: float, given: str | None) -> None:
    talk = both(worker_disconnect_delay=60)
    _contest(talk)
    talk.advance(silent)
    talk.ping(worker="greedy")
    assert talk.work("poor") == given


def test_worker_that_never_asked_for_work_keeps_nothing_from_others(both: Both) -> None:
    talk = both()
    talk.add("high", "shy", priority=5, resources={"db": 1})
    talk.add("low", "poor", resources={"db": 1})
    assert talk.work("poor") == "low"


@pytest.mark.parametrize(("priority", "given"), [(9, "low"), (1, None)])
def test_running_task_uses_up_its_workers_slot_if_it_ranks_higher(both: Both, priority: int, given: str | None) -> None:
    talk = both()
    talk.add("other", "greedy", priority=priority)
    assert talk.work("greedy") == "other"
    talk.add("high", "greedy", priority=5, resources={"db": 1})
    talk.add("low", "poor", resources={"db": 1})
    assert talk.work("poor") == given


@pytest.mark.parametrize(("silent", "given"), [(59.75, "low"), (60, None)])
def test_better_task_gives_way_only_if_what_holds_it_up_runs_where_get_work_was_lately(
    both: Both, silent: float, given: str | None
) -> None:
    talk = both(worker_disconnect_delay=60)
    talk.add("held up by", "busy", priority=9, resources={"gpu": 1})
    assert talk.work("busy") == "held up by"
    talk.advance(silent)
    talk.ping(worker="busy")
    talk.work("greedy")
    talk.add("high", "greedy", priority=5, resources={"gpu": 1, "db": 1})
    talk.add("low", "poor", resources={"db": 1})
    assert talk.work("poor") == given


def test_task_without_resources_passes_the_guard(both: Both) -> None:
    talk = both()
    _contest(talk)
    talk.add("free", "poor", priority=-1)
    assert talk.work("poor") == "free"


def test_limit_of_zero_is_legal_and_unset_limits_are_one(both: Both) -> None:
    talk = both()
    talk.update_resources(db=0)
    talk.add("a", resources={"db": 1})
    talk.add("b", resources={"gpu": 2})
    talk.add("c", resources={"gpu": 1})
    talk.add("d", resources={"db": 0})
    assert [talk.work(), talk.work(), talk.work()] == ["c", "d", None]


def test_half_resources_add_up(both: Both) -> None:
    talk = both()
    for task_id in ("a", "b", "c"):
        talk.add(task_id, resources={"db": 0.5})
    assert [talk.work(), talk.work(), talk.work()] == ["a", "b", None]


# 13: assistants and replies


def test_assistant_runs_only_runnable_tasks_of_others(both: Both) -> None:
    talk = both()
    talk.add("external", "owner", runnable=False, priority=9)
    talk.add("a", "owner")
    assert talk.work("helper") is None
    assert talk.work("helper", assistant=True) == "a"
    assert talk.work("helper", assistant=True) is None
    listed = {worker["name"]: worker for worker in talk.worker_list()}
    assert listed["helper"]["assistant"] is True and "assistant" not in listed["owner"]


def test_disabled_workers_reply_lacks_one_count(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.disable_worker(worker="w")
    reply = talk.get_work(worker="w")
    assert reply["worker_state"] == "disabled"
    assert "n_pending_last_scheduled" not in reply


def test_empty_reply_has_no_family(both: Both) -> None:
    talk = both()
    reply = talk.get_work(worker="w", host="h", unknown="ignored")
    assert reply["task_id"] is None
    assert not {"task_family", "task_module", "task_params"} & set(reply)


def test_counts_are_taken_before_the_hand_out(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.add("a", "w2")
    talk.add("b")
    reply = talk.get_work(worker="w")
    counts = [reply[f"n_{name}"] for name in ("pending_tasks", "unique_pending", "pending_last_scheduled")]
    assert counts == [2, 1, 1]


def test_count_leaves_out_tasks_below_a_disabled_one(both: Both) -> None:
    talk = both()
    talk.add("a", deps=["b"])
    talk.add("b", deps=["c"])
    talk.add("c", status="DISABLED")
    talk.add("d", status="FAILED", runnable=False)
    assert talk.count_pending(worker="w")["n_pending_tasks"] == 0
    talk.add("c")
    assert talk.count_pending(worker="w")["n_pending_tasks"] == 3


def test_running_tasks_carry_the_runners_info(both: Both) -> None:
    talk = both()
    talk.add("a", "w1")
    talk.add("a", "w2")
    talk.add_worker(worker="w1", info=[["host", "h"], ["workers", 2]])
    talk.work("w1")
    running = talk.get_work(worker="w2")["running_tasks"]
    assert running == [{"task_id": "a", "worker": "w1", "host": "h", "workers": 2}]


# 14: batches


def _batch(talk: Conversation, **arguments: Any) -> dict[str, Any]:
    """Two batchable tasks with a hidden parameter, handed out together to `w`."""
    talk.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for task_id in ("a", "b"):
        params = {"day": task_id, "key": "k"}
        talk.add(task_id, params=params, param_visibilities={"key": 1}, batchable=True, **arguments)
    return talk.get_work(worker="w", current_tasks=[])  # type: ignore[no-any-return]


def _start(talk: Conversation, reply: dict[str, Any]) -> None:
    talk.add("ab", status="RUNNING", batch_id=reply["batch_id"], params=reply["task_params"])


def test_batch_is_named_by_its_members_and_has_a_list_per_batched_parameter(both: Both) -> None:
    reply = _batch(both())
    assert reply["task_id"] is None
    assert reply["batch_task_ids"] == ["a", "b"]
    assert reply["batch_id"] == hashlib.md5(b"a|b").hexdigest()
    assert reply["task_params"] == {"day": ["a", "b"], "key": "k"}


@pytest.mark.parametrize("status", ["DONE", "FAILED"])
def test_combined_tasks_end_is_the_members_end(both: Both, status: str) -> None:
    talk = both(retry_delay=1000)
    _start(talk, _batch(talk))
    talk.add("ab", status=status, expl="why")
    assert talk.status("a") == talk.status("b") == status
    assert talk.fetch_error(task_id="a")["error"] == "why"
    assert talk.status("ab") == (None if status == "FAILED" else status)


def test_failing_batch_is_a_failure_of_each_member(both: Both) -> None:
    talk = both(retry_count=1)
    _start(talk, _batch(talk))
    talk.fail("ab")
    assert talk.status("a") == talk.status("b") == "DISABLED"


def test_dead_runner_is_forgotten_by_every_member_of_a_long_batch(both: Both) -> None:
    talk = both(worker_disconnect_delay=60)
    talk.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    members = [f"member-{number}" for number in range(60)]  # more than one part of a prune
    for task_id in members:
        talk.add(task_id, params={"day": task_id}, batchable=True)
    _start(talk, talk.get_work(worker="w"))
    talk.advance(61)
    shown = talk.task_list(limit=False)
    assert {shown[task_id]["worker_running"] for task_id in members} == {None}


def test_notes_pass_on_to_members(both: Both) -> None:
    talk = both()
    _start(talk, _batch(talk))
    talk.set_task_status_message(task_id="ab", status_message="half")
    talk.set_task_progress_percentage(task_id="ab", progress_percentage=50)
    talk.add("ab", status="RUNNING", tracking_url="http://x")
    member = talk.task("b")
    assert (member["status_message"], member["progress_percentage"], member["tracking_url"]) == ("half", 50, "http://x")


def test_start_of_a_batch_resets_the_members_tracking_urls(both: Both) -> None:
    talk = both()
    reply = _batch(talk, tracking_url="http://x")
    assert talk.task("a")["tracking_url"] == "http://x"
    _start(talk, reply)
    assert talk.task("a")["tracking_url"] is None


def test_batch_holds_its_resources_once(both: Both) -> None:
    talk = both()
    talk.update_resources(db=4)
    _start(talk, _batch(talk, resources={"db": 2}))
    assert talk.resource_list()[0]["num_used"] == 2
    talk.decrease_running_task_resources(task_id="ab", decrease_resources={"db": 3})
    assert talk.resource_list()[0]["num_used"] == 0
    assert talk.get_running_task_resources(task_id="a")["resources"] == {"db": 0}


def test_a_combined_task_that_was_reported_before_its_batch_gives_back_nothing(both: Both) -> None:
    talk = both()
    talk.update_resources(db=4)
    batch_id = _batch(talk, resources={"db": 2})["batch_id"]
    talk.add_task(worker="w", task_id="ab", status="RUNNING")
    talk.add_task(worker="w", task_id="ab", batch_id=batch_id)
    talk.decrease_running_task_resources(task_id="ab", decrease_resources={"db": 1})
    assert talk.get_running_task_resources(task_id="a")["resources"] == {"db": 2}


def test_members_go_back_when_the_batch_was_never_started(both: Both) -> None:
    talk = both()
    _batch(talk)
    assert talk.status("a") == "BATCH_RUNNING"
    assert talk.get_work(worker="w", current_tasks=[])["batch_task_ids"] == ["a", "b"]
    _start(talk, {"batch_id": hashlib.md5(b"a|b").hexdigest(), "task_params": {}})
    assert talk.work(current_tasks=["ab"]) is None
    assert talk.status("a") == "BATCH_RUNNING"


def test_members_are_this_workers_own_also_when_resources_are_at_stake(both: Both) -> None:
    """Which is our rule, see DIFFERENCES."""
    talk = both()
    talk.update_resources(db=9)
    talk.add("b", "other", params={"day": "b"}, batchable=True, resources={"db": 1})
    talk.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    talk.add("a", params={"day": "a"}, batchable=True, resources={"db": 1}, priority=1)
    assert talk.get_work(worker="w")["task_id"] == "a"


def test_worker_without_resources_batches_only_its_own(both: Both) -> None:
    talk = both()
    talk.add("b", "other", params={"day": "b"}, batchable=True)
    talk.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    talk.add("a", params={"day": "a"}, batchable=True)
    assert talk.work() == "a"


def test_batch_stops_at_its_maximum(both: Both) -> None:
    talk = both()
    talk.add_task_batcher(worker="w", task_family="F", batched_args=["day"], max_batch_size=2)
    for task_id in ("a", "b", "c"):
        talk.add(task_id, params={"day": task_id}, batchable=True)
    assert talk.get_work(worker="w")["batch_task_ids"] == ["a", "b"]
    assert talk.work() == "c"


def test_batchers_registration_outlives_the_workers_pruning(both: Both) -> None:
    talk = both(worker_disconnect_delay=10)
    talk.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    talk.ping(worker="w")
    talk.advance(11)
    assert talk.worker_list() == []
    for task_id in ("a", "b"):
        talk.add(task_id, params={"day": task_id}, batchable=True)
    assert talk.get_work(worker="w")["batch_task_ids"] == ["a", "b"]


def test_tasks_that_differ_in_other_parameters_or_resources_do_not_join(both: Both) -> None:
    talk = both()
    talk.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    talk.add("a", params={"day": "1", "key": "x"}, batchable=True)
    talk.add("b", params={"day": "2", "key": "y"}, batchable=True)
    talk.add("c", params={"day": "3", "key": "x"}, batchable=True, resources={"db": 0})
    talk.add("d", params={"day": "4", "key": "x"}, batchable=False)
    assert talk.work() == "a"


def test_batched_parameter_the_task_lacks_makes_no_batch(both: Both) -> None:
    talk = both()
    talk.add_task_batcher(worker="w", task_family="F", batched_args=["absent"])
    for task_id in ("a", "b"):
        talk.add(task_id, params={"day": "1"}, batchable=True)
    assert talk.work() == "a"
