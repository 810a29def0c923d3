"""The contract's fine print, items 1 to 6: pruning, placeholders, what an add replaces.

Each call goes to Luigi's scheduler and to ours.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.parity.conversation import Conversation

Both = Callable[..., Conversation]
NEVER = 999999999

# 1: when pruning happens


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("prune", {}), ("graph", {}), ("dep_graph", {"task_id": "a"}), ("inverse_dep_graph", {"task_id": "a"}),
        ("task_list", {}), ("worker_list", {}), ("resource_list", {}), ("task_search", {"task_str": "a"}),
    ],
)  # fmt: skip
def test_call_prunes(both: Both, method: str, arguments: dict) -> None:
    talk = both(retry_delay=5, worker_disconnect_delay=1000)
    talk.fail("a")
    talk.add("a", "w2", status="FAILED")
    talk.advance(6)
    getattr(talk, method)(**arguments)
    assert talk.forgive_failures(task_id="a")["status"] == "PENDING"
    talk.add("b")
    talk.work()


@pytest.mark.parametrize("enabled", [False, True])
def test_get_work_prunes_only_with_prune_on_get_work(both: Both, enabled: bool) -> None:
    talk = both(retry_delay=5, worker_disconnect_delay=1000, prune_on_get_work=enabled)
    talk.add("a")
    talk.fail("a")
    talk.advance(6)
    assert talk.work() == ("a" if enabled else None)


def test_count_pending_and_ping_do_not_prune(both: Both) -> None:
    talk = both(retry_delay=0)
    talk.add("a")
    talk.fail("a")
    talk.advance(10)
    talk.count_pending(worker="w")
    talk.ping(worker="w")
    assert talk.work() is None


def test_dead_runner_fails_its_task_and_the_retry_waits_for_the_delay(both: Both) -> None:
    talk = both(worker_disconnect_delay=60, retry_delay=5)
    talk.add("a")
    talk.add("a", "w2")
    assert talk.work() == "a"
    talk.advance(61)
    talk.ping(worker="w2")
    assert talk.status("a") == "FAILED"
    talk.advance(5)
    assert talk.status("a") == "FAILED"
    talk.advance(0.25)
    assert talk.status("a") == "PENDING"


def test_with_no_retry_delay_a_dead_runners_task_is_retried_one_prune_later(both: Both) -> None:
    talk = both(worker_disconnect_delay=60, retry_delay=0)
    talk.add("a")
    talk.add("a", "w2")
    talk.work()
    talk.advance(61)
    talk.ping(worker="w2")
    assert talk.status("a") == "FAILED"
    talk.advance(0.25)
    assert talk.status("a") == "PENDING"


# 2: strict edges


def test_worker_is_dead_only_after_the_delay(both: Both) -> None:
    talk = both(worker_disconnect_delay=60)
    talk.add("a")
    talk.advance(60)
    assert len(talk.worker_list()) == 1
    talk.advance(0.25)
    assert talk.worker_list() == []


def test_disable_ends_only_after_disable_persist(both: Both) -> None:
    talk = both(retry_count=1, disable_persist=10, worker_disconnect_delay=1000)
    talk.fail("a")
    talk.advance(10)
    assert talk.status("a") == "DISABLED"
    talk.advance(0.25)
    assert talk.status("a") == "FAILED"


def test_removal_comes_at_the_very_moment(both: Both) -> None:
    talk = both(remove_delay=20, worker_disconnect_delay=5)
    talk.add("a")
    talk.advance(6)
    talk.prune()
    talk.advance(19.75)
    assert talk.task("a") is not None
    talk.advance(0.25)
    assert talk.task("a") is None


@pytest.mark.parametrize(("apart", "status"), [(10, "DISABLED"), (10.25, "FAILED")])
def test_failure_counts_at_the_edge_of_the_window(both: Both, apart: float, status: str) -> None:
    talk = both(retry_count=2, disable_window=10, worker_disconnect_delay=1000)
    talk.fail("a")
    talk.advance(apart)
    talk.fail("a")
    assert talk.status("a") == status


@pytest.mark.parametrize(("later", "status"), [(9.75, "DONE"), (10, "PENDING")])
def test_cooldown_ends_at_its_very_moment(both: Both, later: float, status: str) -> None:
    talk = both(stable_done_cooldown_secs=10)
    talk.add("a", status="DONE")
    talk.advance(later)
    talk.add("a")
    assert talk.status("a") == status


def test_negative_retry_delay_never_retries(both: Both) -> None:
    talk = both(retry_delay=-1, worker_disconnect_delay=1000000)
    talk.fail("a")
    talk.advance(90000)
    assert talk.status("a") == "FAILED"


def test_remove_delay_of_zero_removes_in_the_same_prune(both: Both) -> None:
    talk = both(remove_delay=0, worker_disconnect_delay=5)
    talk.add("a")
    talk.advance(6)
    assert talk.task("a") is None


# 3: the early limit of task_list


def test_task_list_over_its_limit_does_not_prune(both: Both) -> None:
    talk = both(max_shown_tasks=1, remove_delay=0, worker_disconnect_delay=5)
    talk.add("a")
    talk.add("b")
    talk.advance(6)
    assert talk.task_list() == {"num_tasks": 2}
    assert talk.task_list(upstream_status="UPSTREAM_FAILED") == {"num_tasks": -1}
    assert talk.task_list(limit=False) == {}


def test_with_a_search_the_limit_is_checked_after_filtering(both: Both) -> None:
    talk = both(max_shown_tasks=1)
    for task_id in ("a", "b", "c"):
        talk.add(task_id)
    assert list(talk.task_list(search="id=a")) == ["a"]
    assert talk.task_list(search="id=") == {"num_tasks": 3}
    assert talk.task_list(max_shown_tasks=2) == {"num_tasks": 3}
    assert len(talk.task_list(max_shown_tasks=3)) == 3


# 4: dead runners


def test_dead_runner_that_is_an_assistant_no_more_fails_its_task_while_it_lives(both: Both) -> None:
    talk = both()
    talk.add("a", "owner")
    assert talk.work("helper", assistant=True) == "a"
    assert talk.status("a") == "RUNNING"
    talk.add_worker(worker="helper", info={"assistant": False})
    assert talk.status("a") == "FAILED"


def test_dead_assistants_task_fails(both: Both) -> None:
    talk = both(worker_disconnect_delay=60)
    talk.add("a", "owner")
    talk.work("helper", assistant=True)
    talk.advance(61)
    talk.ping(worker="owner")
    assert talk.status("a") == "FAILED"
    assert talk.task("a")["worker_running"] is None


def test_dead_runners_failure_counts(both: Both) -> None:
    talk = both(worker_disconnect_delay=60, retry_count=1)
    talk.add("a", "owner")
    talk.work("helper", assistant=True)
    talk.advance(61)
    talk.ping(worker="owner")
    assert talk.status("a") == "DISABLED"


# 5: placeholders


def test_placeholder_keeps_its_creation_time_and_the_parents_priority(both: Both) -> None:
    talk = both()
    talk.add("late", deps=["early"], priority=3)
    talk.add("between", priority=3)
    talk.add("early")
    assert talk.task("early")["priority"] == 3
    assert [talk.work(), talk.work()] == ["early", "between"]


def test_placeholders_rank_in_the_order_of_deps(both: Both) -> None:
    talk = both()
    deps = ["d3", "d1", "d2", "d9", "d0"]
    talk.add("top", deps=deps)
    for task_id in sorted(deps):
        talk.add(task_id)
    assert [talk.work() for _ in deps] == deps


def test_placeholders_for_deps_named_earlier_come_after_those_this_call_names(both: Both) -> None:
    talk = both()
    talk.add("top", "helper", assistant=True, deps=["z", "m", "b"])
    talk.add("top", new_deps=["y", "c"])
    for task_id in ("b", "c", "m", "y", "z"):
        talk.add(task_id)
    assert [talk.work() for _ in range(5)] == ["y", "c", "z", "m", "b"]


def test_only_enabled_workers_that_do_not_assist_make_placeholders(both: Both) -> None:
    talk = both()
    talk.add("a", assistant=True, deps=["x"])
    assert talk.task("x") is None
    talk.add("a", deps=["x"])
    assert talk.status("x") == "UNKNOWN"
    talk.add("b")
    talk.work()
    talk.disable_worker(worker="w")
    talk.add("b", deps=["y"], status="RUNNING")
    assert talk.task("y") is None


def test_missing_dep_blocks_until_it_is_added_and_done(both: Both) -> None:
    talk = both()
    talk.add("a", assistant=True, deps=["x"])
    talk.add("x", "other", status="DONE")
    assert talk.work() == "a"


# 6: what an add replaces


def test_null_deps_leave_empty_deps_clear_new_deps_add(both: Both) -> None:
    talk = both()
    talk.add("a", deps=["x"])
    talk.add("a")
    assert talk.graph()["a"]["deps"] == ["x"]
    talk.add("a", new_deps=["y"])
    assert sorted(talk.graph()["a"]["deps"]) == ["x", "y"]
    talk.add("a", deps=["z"], new_deps=["y"])
    assert sorted(talk.graph()["a"]["deps"]) == ["y", "z"]
    talk.add("a", deps=[])
    assert talk.graph()["a"]["deps"] == []


def test_resources_are_replaced_at_every_call(both: Both) -> None:
    talk = both()
    talk.add("a", resources={"db": 2})
    assert talk.work() is None
    talk.add("a")
    assert talk.task("a")["resources"] == {}
    assert talk.work() == "a"


def test_family_and_parameters_are_set_only_while_empty(both: Both) -> None:
    talk = both()
    talk.add_task(task_id="a", worker="w")
    talk.add("a", family="First", module="m1", params={"p": "1", "q": "2"}, param_visibilities={"q": 1})
    talk.add("a", family="Second", module="m2", params={"p": "9"}, param_visibilities={"p": 1})
    assert talk.task("a")["display_name"] == "First(p=1)"
    assert talk.get_work(worker="w")["task_params"] == {"p": "1", "q": "2"}


def test_this_failure_is_judged_by_the_old_policy(both: Both) -> None:
    talk = both(retry_count=2)
    talk.fail("a", retry_policy_dict={"retry_count": 1})
    assert talk.status("a") == "FAILED"
    talk.fail("a")
    assert talk.status("a") == "DISABLED"


def test_policy_is_overwritten_at_every_call(both: Both) -> None:
    talk = both(retry_count=2)
    talk.add("a", retry_policy_dict={"retry_count": 1})
    talk.add("a")
    talk.fail("a")
    assert talk.status("a") == "FAILED"


def test_retry_count_of_zero_counts_as_set_and_null_does_not(both: Both) -> None:
    talk = both(retry_count=NEVER)
    talk.add("a", retry_policy_dict={"retry_count": 0})
    talk.add("b", retry_policy_dict={"retry_count": None})
    talk.fail("a")
    talk.fail("b")
    assert (talk.status("a"), talk.status("b")) == ("DISABLED", "FAILED")


def test_priority_rises_below_and_never_falls(both: Both) -> None:
    talk = both()
    talk.add("a", deps=["b"], priority=1)
    talk.add("b", deps=["c"], priority=7)
    talk.add("c", priority=-5)
    talk.add("a", priority=4.5)
    talk.add("a", priority=2)
    shown = talk.task_list(limit=False)
    assert [shown[task_id]["priority"] for task_id in "abc"] == [4.5, 7, 7]
