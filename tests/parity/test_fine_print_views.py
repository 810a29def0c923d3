"""The contract's fine print, items 15 to 20: upstream, workers, views, messages.

Each call goes to Luigi's scheduler and to ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.parity.conversation import Conversation

Both = Callable[..., Conversation]

# 15: upstream


def test_upstream_status_is_the_worst_above(both: Both) -> None:
    talk = both()
    talk.add("top", deps=["left", "right"])
    talk.add("left", deps=["failed", "leaf"])
    talk.add("right", deps=["done", "never_seen"])
    talk.add("leaf")
    talk.add("done", status="DONE")
    talk.fail("failed")
    upstream = ("UPSTREAM_FAILED", "UPSTREAM_MISSING_INPUT", "UPSTREAM_RUNNING", "UPSTREAM_DISABLED")
    found = {name: sorted(talk.task_list(status="PENDING", upstream_status=name)) for name in upstream}
    assert found["UPSTREAM_FAILED"] == ["left", "top"]
    assert found["UPSTREAM_MISSING_INPUT"] == ["leaf"]
    assert found["UPSTREAM_RUNNING"] == found["UPSTREAM_DISABLED"] == []
    assert talk.work() == "leaf"
    assert "left" in talk.task_list(status="", upstream_status="UPSTREAM_FAILED")


# 16: workers


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("count_pending", {}), ("set_worker_processes", {"n": 2}), ("disable_worker", {}), ("add_worker", {"info": {}}),
        ("send_scheduler_message", {"task": "a", "content": 1}), ("get_work", {}), ("ping", {}),
    ],
)  # fmt: skip
def test_call_creates_the_worker(both: Both, method: str, arguments: dict) -> None:
    talk = both()
    if method == "send_scheduler_message":
        arguments = {**arguments, "$label": "message"}
    getattr(talk, method)(worker="new", **arguments)
    assert [worker["name"] for worker in talk.worker_list()] == ["new"]


def test_batcher_and_looking_at_workers_create_none(both: Both) -> None:
    talk = both()
    talk.add_task_batcher(worker="new", task_family="F", batched_args=["a"])
    assert talk.worker_list() == []


def test_count_pending_and_add_worker_do_not_refresh_contact(both: Both) -> None:
    talk = both(worker_disconnect_delay=10)
    talk.ping(worker="w")
    talk.advance(8)
    talk.count_pending(worker="w")
    talk.add_worker(worker="w", info={"workers": 2})
    talk.advance(8)
    assert talk.worker_list() == []


def test_disabled_worker_that_was_pruned_comes_back_enabled(both: Both) -> None:
    talk = both(worker_disconnect_delay=10)
    talk.disable_worker(worker="w")
    talk.advance(11)
    talk.prune()
    talk.add("a")
    assert talk.work() == "a"


# 17: worker_list and limits


def test_worker_list_merges_the_info_and_is_newest_first(both: Both) -> None:
    talk = both()
    talk.add("a", "old")
    talk.add_worker(worker="old", info=[["workers", 3], ["first_task", "a"], ["extra", {"x": [1]}]])
    talk.advance(1)
    talk.ping(worker="new")
    listed = talk.worker_list(include_running=False)
    assert [worker["name"] for worker in listed] == ["new", "old"]
    assert listed[1]["workers"] == 3 and listed[1]["first_task_display_name"] == "F(id=a)"
    assert "running" not in listed[1] and "running" in talk.worker_list()[1]


@pytest.mark.parametrize(
    ("amount", "taken"),
    [(3, True), (0, True), (-1, False), (1.0, False), ("3", False), (None, False), (True, True)],
)
def test_update_resource_takes_only_whole_amounts(both: Both, amount: Any, taken: bool) -> None:
    assert both().update_resource(resource="db", amount=amount) is taken


def test_update_resources_takes_halves_and_negative_limits(both: Both) -> None:
    talk = both()
    talk.update_resources(db=0.5, gpu=-1)
    talk.add("a", resources={"db": 0.5})
    talk.add("b", resources={"gpu": 0})
    assert [talk.work(), talk.work()] == ["a", None]


# 18: views


def test_graph_nodes_other_than_the_root_lack_display_name(both: Both) -> None:
    talk = both()
    talk.add("top", deps=["leaf", "Ghost_1"])
    talk.add("leaf")
    graph = talk.dep_graph(task_id="top")
    assert "display_name" in graph["top"] and "display_name" not in graph["leaf"]
    assert graph["Ghost_1"]["name"] == "Ghost" and graph["Ghost_1"]["start_time"] == "UNKNOWN"
    assert talk.dep_graph(task_id="nobody") == talk.inverse_dep_graph(task_id="nobody") == {}


def test_graph_without_done_ends_at_done_tasks(both: Both) -> None:
    talk = both()
    talk.add("top", deps=["middle"])
    talk.add("middle", deps=["leaf"], status="DONE")
    talk.add("leaf")
    assert list(talk.dep_graph(task_id="top", include_done=False)) == ["top"]
    assert len(talk.inverse_dep_graph(task_id="leaf")) == 3


def test_graph_stops_at_max_graph_nodes_nearest_first(both: Both) -> None:
    talk = both(max_graph_nodes=3)
    talk.add("top", deps=["z", "m"])
    talk.add("m", deps=["a"])
    for task_id in ("z", "a"):
        talk.add(task_id)
    assert sorted(talk.dep_graph(task_id="top")) == ["m", "top", "z"]


def test_missing_dep_is_not_the_root_of_a_graph_even_when_it_was_named_early(both: Both) -> None:
    talk = both()
    talk.add_task(task_id="helped", worker="helper", assistant=True, deps=["x"])
    talk.add("top", deps=["x"])
    assert "display_name" not in talk.graph()["x"]


def test_fetch_error_shows_all_parameters_and_the_views_only_public_ones(both: Both) -> None:
    talk = both()
    params = {"open": "1", "hidden": "2", "private": "3"}
    talk.add("a", params=params, param_visibilities={"hidden": 1, "private": 2})
    assert talk.fetch_error(task_id="a")["taskParams"] == params
    assert talk.task("a")["params"] == {"open": "1"}
    assert talk.get_work(worker="w")["task_params"] == params
    assert talk.fetch_error(task_id="nobody") == {"taskId": "nobody", "error": ""}


def test_display_name_formats_values_as_python_does(both: Both) -> None:
    talk = both()
    talk.add("a", params={"b": None, "a": True, "d": [1, "x", {"y": None}], "c": 1.0, "e": 1e22, "f": "ü"})
    assert talk.task("a")["display_name"] == "F(a=True, b=None, c=1.0, d=[1, 'x', {'y': None}], e=1e+22, f=ü)"


def test_resource_lists_running_goes_by_needs_and_num_used_by_what_is_held(both: Both) -> None:
    talk = both()
    talk.update_resources(db=3, gpu=1)
    talk.add("a", resources={"db": 2})
    talk.work()
    talk.add("a", resources={"gpu": 1}, status="RUNNING")
    listed = {resource["name"]: resource for resource in talk.resource_list()}
    assert (listed["db"]["num_used"], listed["db"]["num_consumer"]) == (2, 0)
    assert (listed["gpu"]["num_used"], listed["gpu"]["num_consumer"]) == (0, 1)


def test_task_reported_running_without_a_hand_out_holds_its_present_needs(both: Both) -> None:
    talk = both()
    talk.update_resources(db=3)
    talk.add("a", resources={"db": 2}, status="RUNNING")
    assert talk.resource_list()[0]["num_used"] == 2
    assert talk.get_running_task_resources(task_id="a")["resources"] is None
    talk.add("a", resources={"db": 1}, status="RUNNING")
    assert talk.resource_list()[0]["num_used"] == 1


# 19: search


@pytest.mark.parametrize(
    ("search", "found"), [("LOAD", 2), ("x=1 load", 1), ("STRASSE", 1), ("straße", 1), ("", 3), ("  ", 3), ("no", 0)]
)
def test_search_matches_every_term_case_folded(both: Both, search: str, found: int) -> None:
    talk = both()
    talk.add("a", family="Load", params={"x": "1"})
    talk.add("b", family="Load", params={"x": "2"})
    talk.add("c", family="Straße", params={})
    assert len(talk.task_list(search=search)) == found


def test_task_search_is_case_sensitive_and_on_the_id(both: Both) -> None:
    talk = both()
    talk.add("Load_1", family="X")
    talk.add("load_2", status="DONE")
    found = talk.task_search(task_str="Load")
    assert list(found) == ["PENDING"] and list(found["PENDING"]) == ["Load_1"]
    assert len(talk.task_search(task_str="")) == 2


# Messages, pause


def test_messages_reach_the_worker_once_and_responses_are_read_once(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.send_scheduler_message(worker="w", task="a", content={"x": 1}, **{"$label": "first"})
    talk.set_worker_processes(worker="w", n=3)
    assert [message["name"] for message in talk.ping(worker="w")["rpc_messages"]] == [
        "dispatch_scheduler_message",
        "set_worker_processes",
    ]
    assert talk.ping(worker="w") == {"rpc_messages": []}
    talk.add_scheduler_message_response(task_id="a", message_id="first", response=[None])
    assert talk.get_scheduler_message_response(task_id="a", message_id="first") == {"response": [None]}
    assert talk.get_scheduler_message_response(task_id="a", message_id="first") == {"response": None}


def test_messages_that_are_off_have_no_id(both: Both) -> None:
    talk = both(send_messages=False)
    talk.add("a", accepts_messages=True)
    assert talk.send_scheduler_message(worker="w", task="a", content=1) == {"message_id": None}
    talk.work()
    assert "accepts_messages" not in talk.task("a")


def test_pause_has_no_effect_where_it_is_not_enabled(both: Both) -> None:
    talk = both(pause_enabled=False)
    talk.pause()
    assert talk.is_paused() == {"paused": False}
    assert talk.is_pause_enabled() == {"enabled": False}


def test_pause_stops_new_work_only_until_unpause(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.pause()
    assert talk.work() is None
    talk.unpause()
    assert talk.work() == "a"
