"""Malformed calls: each is refused with a 4xx that names the field, or works as with Luigi. Nothing changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from broker_sched import Scheduler
from tests.harness import FORM, RedisProcess, Reply, ServerProcess

MEGABYTE = "x" * 1_000_000
DEEP = "[" * 10_000 + "]" * 10_000
HUGE = "9" * 400
JSON_TYPE = "application/json"


class Bad(NamedTuple):
    """A call that must be refused, and what the answer must name."""

    method: str
    data: str  # JSON, or what pretends to be
    field: str
    status: int = 400


def task(**arguments: Any) -> str:
    return json.dumps({"worker": "w1", "task_id": "bad", "family": "Bad", **arguments})


BAD = [
    # missing and unknown names
    Bad("add_task", "{}", "task_id"),
    Bad("add_task", '{"task_id": "bad"}', "worker"),
    Bad("add_task", '{"worker": "w1"}', "task_id"),
    Bad("get_work", "{}", "worker"),
    Bad("get_work", '{"host": "h"}', "worker"),
    Bad("ping", "{}", "worker"),
    Bad("ping", '{"Worker": "w1"}', "worker"),
    Bad("add_worker", '{"worker": "w1"}', "info"),
    Bad("count_pending", "{}", "worker"),
    Bad("disable_worker", "{}", "worker"),
    Bad("dep_graph", "{}", "task_id"),
    Bad("task_search", "{}", "task_str"),
    Bad("fetch_error", "{}", "task_id"),
    Bad("set_worker_processes", '{"worker": "w1"}', "n"),
    Bad("announce_scheduling_failure", '{"task_name": "t"}', "family"),
    Bad("count_pending", '{"worker": "w1", "speed": 1}', "speed"),
    Bad("prune", '{"now": true}', "now"),
    Bad("pause", '{"seconds": 5}', "seconds"),
    Bad("re_enable_task", '{"task_id": "t", "force": true}', "force"),
    Bad("add_task_batcher", '{"worker": "w1", "task_family": "F", "batched_args": [], "x": 1}', "x"),
    # wrong types, argument by argument
    Bad("add_task", task(task_id=7), "task_id"),
    Bad("add_task", task(task_id=None), "task_id"),
    Bad("add_task", task(task_id=["a"]), "task_id"),
    Bad("add_task", task(worker=7), "worker"),
    Bad("add_task", task(worker=None), "worker"),
    Bad("add_task", task(worker={"id": "w"}), "worker"),
    Bad("add_task", task(status=7), "status"),
    Bad("add_task", task(status="FINISHED"), "status"),
    Bad("add_task", task(status="pending"), "status"),
    Bad("add_task", task(status=""), "status"),
    Bad("add_task", task(status="BATCH_RUNNING"), "status"),
    Bad("add_task", task(runnable="yes"), "runnable"),
    Bad("add_task", task(deps="a"), "deps"),
    Bad("add_task", task(deps={"a": 1}), "deps"),
    Bad("add_task", task(deps=[1, 2]), "deps"),
    Bad("add_task", task(deps=["a", None]), "deps"),
    Bad("add_task", task(deps=["a", ""]), "deps"),
    Bad("add_task", task(new_deps=7), "new_deps"),
    Bad("add_task", task(new_deps=[["a", "b"]]), "new_deps"),
    Bad("add_task", task(resources=["db"]), "resources"),
    Bad("add_task", task(resources={"db": "1"}), "resources"),
    Bad("add_task", task(resources={"db": None}), "resources"),
    Bad("add_task", task(resources={"db": -1}), "resources"),
    Bad("add_task", task(resources={"db": -0.5}), "resources"),
    Bad("add_task", task(resources={"db": [1]}), "resources"),
    Bad("add_task", task(priority="high"), "priority"),
    Bad("add_task", task(priority=None), "priority"),
    Bad("add_task", task(priority=[1]), "priority"),
    Bad("add_task", task(family=["F"]), "family"),
    Bad("add_task", task(module=7), "module"),
    Bad("add_task", task(params=["p"]), "params"),
    Bad("add_task", task(params="p=1"), "params"),
    Bad("add_task", task(param_visibilities={"p": 9}), "param_visibilities"),
    Bad("add_task", task(param_visibilities={"p": "public"}), "param_visibilities"),
    Bad("add_task", task(accepts_messages="no"), "accepts_messages"),
    Bad("add_task", task(tracking_url=7), "tracking_url"),
    Bad("add_task", task(batchable="maybe"), "batchable"),
    Bad("add_task", task(batch_id=7), "batch_id"),
    Bad("add_task", task(retry_policy_dict=[3]), "retry_policy_dict"),
    Bad("add_task", task(retry_policy_dict={"retry_count": "3"}), "retry_policy_dict"),
    Bad("add_task", task(retry_policy_dict={"patience": 3}), "retry_policy_dict"),
    Bad("get_work", '{"worker": "w1", "current_tasks": "bad"}', "current_tasks"),
    Bad("get_work", '{"worker": "w1", "current_tasks": [7]}', "current_tasks"),
    Bad("get_work", '{"worker": "w1", "host": 7}', "host"),
    Bad("get_work", '{"worker": "w1", "assistant": "x"}', "assistant"),
    Bad("add_worker", '{"worker": "w1", "info": 7}', "info"),
    Bad("add_worker", '{"worker": "w1", "info": "workers=2"}', "info"),
    Bad("add_worker", '{"worker": "w1", "info": [["workers"]]}', "info"),
    Bad("add_worker", '{"worker": "w1", "info": [[1, 2, 3]]}', "info"),
    Bad("set_worker_processes", '{"worker": "w1", "n": "two"}', "n"),
    Bad("set_worker_processes", '{"worker": "w1", "n": 1.5}', "n"),
    Bad("add_task_batcher", '{"worker": "w1", "task_family": 7, "batched_args": []}', "task_family"),
    Bad("add_task_batcher", '{"worker": "w1", "task_family": "F", "batched_args": "a"}', "batched_args"),
    Bad("add_task_batcher", '{"worker": "w1", "task_family": "F", "batched_args": [1]}', "batched_args"),
    Bad(
        "add_task_batcher",
        '{"worker": "w1", "task_family": "F", "batched_args": [], "max_batch_size": "all"}',
        "max_batch_size",
    ),
    Bad("set_task_status_message", '{"task_id": "t", "status_message": ["x"]}', "status_message"),
    Bad("set_task_progress_percentage", '{"task_id": "t", "progress_percentage": "half"}', "progress_percentage"),
    Bad("decrease_running_task_resources", '{"task_id": "t", "decrease_resources": {"db": "x"}}', "decrease_resources"),
    Bad("decrease_running_task_resources", '{"task_id": "t", "decrease_resources": 1}', "decrease_resources"),
    Bad("update_resources", '{"db": "3"}', "db"),
    Bad("update_resources", '{"db": null}', "db"),
    Bad("update_resources", '{"db": true}', "db"),
    Bad("update_resources", '{"db": [3]}', "db"),
    Bad("task_list", '{"limit": "yes"}', "limit"),
    Bad("task_list", '{"search": 7}', "search"),
    Bad("task_list", '{"max_shown_tasks": "many"}', "max_shown_tasks"),
    Bad("dep_graph", '{"task_id": "t", "include_done": "x"}', "include_done"),
    Bad("worker_list", '{"include_running": 7}', "include_running"),
    # empty and endless ids
    Bad("add_task", task(task_id=""), "task_id"),
    Bad("add_task", task(worker=""), "worker"),
    Bad("ping", '{"worker": ""}', "worker"),
    Bad("get_work", '{"worker": ""}', "worker"),
    Bad("add_task", task(task_id=MEGABYTE), "task_id"),
    Bad("ping", json.dumps({"worker": MEGABYTE}), "worker"),
    # numbers that are none, or too many digits
    Bad("add_task", '{"worker": "w1", "task_id": "bad", "priority": NaN}', "priority"),
    Bad("add_task", '{"worker": "w1", "task_id": "bad", "priority": Infinity}', "priority"),
    Bad("add_task", '{"worker": "w1", "task_id": "bad", "priority": 1e300}', "priority"),
    Bad("add_task", f'{{"worker": "w1", "task_id": "bad", "priority": {HUGE}}}', "priority"),
    Bad("add_task", '{"worker": "w1", "task_id": "bad", "priority": ' + "9" * 5000 + "}", "data"),
    Bad("add_task", '{"worker": "w1", "task_id": "bad", "resources": {"db": NaN}}', "resources"),
    Bad("add_task", '{"worker": "w1", "task_id": "bad", "resources": {"db": Infinity}}', "resources"),
    Bad("add_task", f'{{"worker": "w1", "task_id": "bad", "resources": {{"db": {HUGE}}}}}', "resources"),
    Bad("add_task", '{"worker": "w1", "task_id": "bad", "params": {"p": NaN}}', "params"),
    Bad("add_worker", '{"worker": "w1", "info": {"load": -Infinity}}', "info"),
    Bad("update_resources", '{"db": NaN}', "db"),
    Bad("update_resources", '{"db": Infinity}', "db"),
    Bad(
        "add_task_batcher",
        '{"worker": "w1", "task_family": "F", "batched_args": [], "max_batch_size": NaN}',
        "max_batch_size",
    ),
    Bad("set_task_progress_percentage", '{"task_id": "t", "progress_percentage": NaN}', "progress_percentage"),
    # nesting
    Bad("add_task", f'{{"worker": "w1", "task_id": "bad", "params": {{"p": {DEEP}}}}}', "data"),
    Bad("add_worker", f'{{"worker": "w1", "info": {{"a": {DEEP}}}}}', "data"),
    Bad("add_task", '{"worker": "w1", "task_id": "bad", "params": {"p": ' + "[" * 500 + "]" * 500 + "}}", "params"),
    Bad("ping", DEEP, "data"),
    # not an object, not JSON
    Bad("ping", "[]", "data"),
    Bad("ping", '["w1"]', "data"),
    Bad("ping", '"w1"', "data"),
    Bad("ping", "7", "data"),
    Bad("ping", "null", "data"),
    Bad("ping", "true", "data"),
    Bad("ping", "", "data"),
    Bad("ping", " ", "data"),
    Bad("ping", '{"worker": "w1"', "data"),
    Bad("ping", "{'worker': 'w1'}", "data"),
    Bad("ping", '{"worker": "w1"} {}', "data"),
    Bad("ping", '{"worker": "w1",}', "data"),
    Bad("ping", '{"worker": "a\x00b"}', "data"),  # a bare control character is no JSON
    Bad("ping", "\ufeff{}", "data"),
    # methods that do not exist
    Bad("", "{}", "", 404),
    Bad("addtask", "{}", "", 404),
    Bad("add_task%00", "{}", "", 404),
    Bad("__class__", "{}", "", 404),
    Bad("../healthz", "{}", "", 404),
]


class BadRequest(NamedTuple):
    """The same for requests whose form is wrong."""

    name: str
    body: bytes
    content_type: str | None
    status: int
    path: str = "/api/ping"


GOOD = b'{"worker": "w1"}'
BAD_REQUESTS = [
    BadRequest("form of invalid UTF-8", b"data=%7B%22worker%22%3A%22%ff%22%7D", FORM, 400),
    BadRequest("form of raw bytes", b'data={"worker":"\xff\xfe"}', FORM, 400),
    BadRequest("form of latin-1", 'data={"worker":"é"}'.encode("latin-1"), FORM, 400),
    BadRequest("form with data twice", b"data={}&data=" + GOOD, FORM, 400),
    BadRequest("form with a broken escape", b"data=%7", FORM, 400),
    BadRequest("form without data", b"worker=w1", FORM, 400),
    BadRequest("form with data in capitals", b"DATA=" + GOOD, FORM, 400),
    BadRequest("empty form", b"", FORM, 400),
    BadRequest("form with an empty field", b"data=", FORM, 400),
    BadRequest("JSON in a form's place", GOOD, FORM, 400),
    BadRequest("form in JSON's place", b"data=" + GOOD, JSON_TYPE, 400),
    BadRequest("empty JSON body", b"", JSON_TYPE, 400),
    BadRequest("JSON of invalid UTF-8", b'{"worker": "\xff"}', JSON_TYPE, 400),
    BadRequest("JSON in UTF-16", '{"worker": "w1"}'.encode("utf-16"), JSON_TYPE, 400),
    BadRequest("JSON with a byte order mark", b"\xef\xbb\xbf" + GOOD, JSON_TYPE, 400),
    BadRequest("JSON, compressed", b"\x1f\x8b\x08\x00", JSON_TYPE, 400),
    BadRequest("CBOR half of a surrogate", b'{"worker": "\xed\xa0\x80"}', JSON_TYPE, 400),
    BadRequest("multipart", b'--x\r\nContent-Disposition: form-data; name="data"\r\n', "multipart/form-data", 415),
    BadRequest("plain text", GOOD, "text/plain", 415),
    BadRequest("XML", b"<worker/>", "application/xml", 415),
    BadRequest("nonsense type", GOOD, "???", 415),
    BadRequest("data twice in the query", b"", None, 400, "/api/ping?data={}&data={}"),
    BadRequest("bad escape in the query", b"", None, 400, "/api/ping?data=%ff"),
    BadRequest("null in the query", b"", None, 400, "/api/ping?data=null"),
]

# Odd, and right: Luigi takes them too.
ODD_IDS = [
    "with space",
    "with{braces}",
    "bsched:{x}:task",
    "two\nlines",
    "nul\x00byte",
    "tab\tand\x1b[31m",
    "ünïcödé 日本 🦊",
    "*?[a]",
    "a|b|c",
    "a,b",
    "=",
    "'\"\\",
    "../../etc/passwd",
    "x" * 8000,
]


@pytest.fixture(scope="module")
def victim(own_redis: RedisProcess) -> Iterator[ServerProcess]:
    """A server with a little state that must stay as it is; in the end its indexes must all be right."""
    server = ServerProcess("--redis", own_redis.url, "--namespace", "victim").await_ready()
    server.call("add_worker", worker="w1", info={"workers": 2})
    server.call("update_resources", db=2)
    server.call("add_task", worker="w1", task_id="t1", family="T", params={"p": "1"}, resources={"db": 1})
    server.call("add_task", worker="w1", task_id="t2", family="T", deps=["t1"])
    server.call("get_work", worker="w1", current_tasks=[])
    yield server
    assert server.stop() == 0
    scheduler = Scheduler(own_redis.url, "victim", prune_interval_seconds=None)
    assert [str(difference) for difference in scheduler.verify()] == []
    scheduler.close()


def state_of(server: ServerProcess) -> Any:
    """What the contract shows, but for the times of contact."""
    workers = server.call("worker_list")
    for worker in workers:
        del worker["last_active"]
    return server.call("graph"), server.call("resource_list"), workers


def check_refusal(reply: Reply, status: int, field: str) -> None:
    assert reply.status == status, reply
    error = reply.json()["error"]
    assert set(error) <= {"type", "message", "field"}
    assert len(reply.body) < 8000
    assert b"Traceback" not in reply.body
    assert field in error["message"]
    if field:
        assert error["field"].startswith(field)


@pytest.fixture(scope="module")
def before(victim: ServerProcess) -> Any:
    """Its state, which no test here may change."""
    return state_of(victim)


@pytest.mark.parametrize("bad", BAD, ids=[f"{n}-{bad.method}-{bad.field}" for n, bad in enumerate(BAD)])
def test_bad_arguments_are_refused_by_name_and_change_nothing(victim: ServerProcess, before: Any, bad: Bad) -> None:
    """In a form, as JSON, and in a query, where there is room for it."""
    check_refusal(victim.post(bad.method, bad.data.encode("utf-8", "surrogatepass")), bad.status, bad.field)
    check_refusal(
        victim.request(
            "POST",
            f"/api/{bad.method}",
            # A JSON body without content stands for no arguments, as a form without data does.
            bad.data.encode("utf-8", "surrogatepass") or b" ",
            {"Content-Type": JSON_TYPE},
        ),
        bad.status,
        bad.field,
    )
    if len(bad.data) < 5000:
        check_refusal(victim.request("GET", f"/api/{bad.method}?data={quote(bad.data)}"), bad.status, bad.field)
    assert state_of(victim) == before


@pytest.mark.parametrize("bad", BAD_REQUESTS, ids=[bad.name for bad in BAD_REQUESTS])
def test_bad_requests_are_refused_and_change_nothing(victim: ServerProcess, before: Any, bad: BadRequest) -> None:
    headers = {"Content-Type": bad.content_type} if bad.content_type else {}
    check_refusal(victim.request("POST", bad.path, bad.body, headers), bad.status, "")
    assert state_of(victim) == before


@pytest.mark.parametrize("odd", ODD_IDS, ids=[ascii(odd)[:20] for odd in ODD_IDS])
def test_odd_ids_are_just_ids(victim: ServerProcess, odd: str) -> None:
    worker = f"worker of {odd}"[:8192]
    victim.call("add_worker", worker=worker, info=[["workers", 1]])
    victim.call("add_task", worker=worker, task_id=odd, family="Odd", params={odd: odd}, resources={odd: 1}, expl=odd)
    dependent = f"d{odd}"
    victim.call("add_task", worker=worker, task_id=dependent, family="Odd", deps=[odd])
    work = victim.call("get_work", worker=worker, current_tasks=[])
    assert (work["task_id"], work["task_params"]) == (odd, {odd: odd})
    assert victim.call("fetch_error", task_id=odd)["error"] == odd
    assert set(victim.call("dep_graph", task_id=dependent)) == {odd, dependent}
    assert victim.call("get_running_task_resources", task_id=odd)["resources"] == {odd: 1}
    victim.call("add_task", worker=worker, task_id=odd, status="DONE")
    assert victim.call("get_work", worker=worker, current_tasks=[])["task_id"] == dependent
    victim.call("add_task", worker=worker, task_id=dependent, status="DONE")


def test_megabyte_of_parameters_and_explanation_is_kept(victim: ServerProcess) -> None:
    victim.call("add_task", worker="w9", task_id="large", family="L", params={"p": MEGABYTE}, expl=MEGABYTE)
    error = victim.call("fetch_error", task_id="large")
    assert (error["taskParams"], error["error"]) == ({"p": MEGABYTE}, MEGABYTE)


def test_unknown_arguments_are_ignored_where_luigi_ignores_them(victim: ServerProcess) -> None:
    victim.call("ping", worker="w9", colour="red")
    victim.call("add_task", worker="w9", task_id="extra", status="DONE", attempt=3)
    assert victim.call("get_work", worker="w9", current_tasks=[], speed={"a": [1]})["task_id"] != "extra"


def test_float_resources_are_amounts(victim: ServerProcess) -> None:
    victim.call("update_resources", **{"half": 0.5})
    victim.call("add_task", worker="w8", task_id="halves", family="H", resources={"half": 0.5})
    assert victim.call("get_work", worker="w8", current_tasks=[])["task_id"] == "halves"
    assert victim.call("get_running_task_resources", task_id="halves")["resources"] == {"half": 0.5}


@pytest.mark.parametrize("amount", ["-1", "1.5", '"3"', "null", "[]"])
def test_update_resource_answers_false_to_what_is_no_amount(victim: ServerProcess, amount: str) -> None:
    reply = victim.post("update_resource", f'{{"resource": "db", "amount": {amount}}}')
    assert (reply.status, reply.json()) == (200, {"response": False})


def test_table_is_as_long_as_promised() -> None:
    assert len(BAD) >= 60
