"""The wire, as Luigi's clients and browsers use it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.scheduler.async_scheduler import VIEWS
from tests.harness import ServerProcess

JSON_TYPE = {"Content-Type": "application/json"}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}


def test_form_field_carries_the_arguments(server: ServerProcess) -> None:
    body = urlencode({"data": json.dumps({"worker": "w1"})}).encode()
    reply = server.request("POST", "/api/ping", body, FORM_TYPE)
    assert (reply.status, reply.json()) == (200, {"response": {"rpc_messages": []}})
    assert reply.headers["content-type"] == "application/json; charset=UTF-8"


def test_get_carries_the_arguments_in_the_query(server: ServerProcess) -> None:
    reply = server.request("GET", "/api/ping?data=" + quote('{"worker": "w1"}'))
    assert (reply.status, reply.json()) == (200, {"response": {"rpc_messages": []}})


def test_json_body_carries_the_arguments(server: ServerProcess) -> None:
    reply = server.request("POST", "/api/ping", b'{"worker": "w1"}', JSON_TYPE)
    assert (reply.status, reply.json()) == (200, {"response": {"rpc_messages": []}})


def test_content_type_may_have_parameters_and_capitals(server: ServerProcess) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert server.request("POST", "/api/ping", b'{"worker": "w1"}', headers).status == 200


def test_post_may_carry_the_arguments_in_the_query_as_with_luigi(server: ServerProcess) -> None:
    assert server.request("POST", "/api/ping?data=" + quote('{"worker": "w1"}')).status == 200


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_missing_data_means_no_arguments(server: ServerProcess, verb: str) -> None:
    reply = server.request(verb, "/api/is_pause_enabled")
    assert (reply.status, reply.json()) == (200, {"response": {"enabled": True}})


def test_method_that_returns_nothing_answers_null(server: ServerProcess) -> None:
    assert server.post("add_worker", '{"worker": "w1", "info": []}').body == b'{"response":null}'


def test_infinity_is_accepted_as_luigi_sends_it(server: ServerProcess) -> None:
    data = '{"worker": "w1", "task_family": "F", "batched_args": ["a"], "max_batch_size": Infinity}'
    assert server.post("add_task_batcher", data).status == 200


def test_text_that_is_not_ascii_survives(server: ServerProcess) -> None:
    task_id = "Größe_日本_🦊"
    server.call("add_task", worker="w1", task_id=task_id, params={"p": "żółć\u0000\n\"'{}"}, family="Ärger")
    shown = server.call("task_search", task_str="日本")["PENDING"][task_id]
    assert (shown["params"], shown["name"]) == ({"p": "żółć\u0000\n\"'{}"}, "Ärger")


def test_integers_beyond_64_bits_survive(server: ServerProcess) -> None:
    server.call("add_task", worker="w1", task_id="big", params={"n": 10**30})
    assert server.call("task_search", task_str="big")["PENDING"]["big"]["params"] == {"n": 10**30}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_a_route(server: ServerProcess, name: str) -> None:
    server.call("add_worker", worker="smallest", info=[])  # what a submission is made of
    reply = server.post(name, json.dumps(_smallest_arguments(name)))
    if name == "transfer_task":  # there is no such run
        assert reply.json()["error"]["type"] == "Superseded", reply
        return
    assert reply.status == 200, reply
    assert set(reply.json()) == {"response"}


def test_every_view_is_a_method() -> None:
    assert set(METHODS) >= VIEWS


def test_unknown_method_is_404(server: ServerProcess) -> None:
    reply = server.post("fly", "{}")
    assert (reply.status, reply.json()["error"]["type"]) == (404, "UnknownMethod")


@pytest.mark.parametrize("name", ["_invoke", "__init__", "config", "verify", "close", "", "ping/", "Ping"])
def test_nothing_but_the_contract_is_reachable(server: ServerProcess, name: str) -> None:
    assert server.post(name, "{}").status == 404


@pytest.mark.parametrize("verb", ["PUT", "DELETE", "PATCH", "HEAD"])
def test_other_verbs_are_405(server: ServerProcess, verb: str) -> None:
    reply = server.request(verb, "/api/ping")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, POST, OPTIONS")


def test_options_grants_nothing_to_foreign_pages(server: ServerProcess) -> None:
    reply = server.request("OPTIONS", "/api/ping", headers={"Origin": "http://evil.example"})
    assert reply.status == 204
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_body_over_32_mb_is_413_and_the_connection_stays_usable(server: ServerProcess) -> None:
    reply = server.request("POST", "/api/ping", b"data=" + b"x" * (32 * 1024 * 1024), FORM_TYPE)
    assert (reply.status, reply.json()["error"]["type"]) == (413, "TooLarge")
    assert server.call("is_pause_enabled") == {"enabled": True}


def test_body_over_32_mb_in_chunks_is_413(server: ServerProcess) -> None:
    connection = server._connection()
    chunks = (b"data=" if not n else b"x" * 1024 * 1024 for n in range(34))
    connection.request("POST", "/api/ping", chunks, {**FORM_TYPE, "Transfer-Encoding": "chunked"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_head_of_the_root_is_204_for_load_balancers(server: ServerProcess) -> None:
    reply = server.request("HEAD", "/")
    assert (reply.status, reply.body) == (204, b"")


def test_root_is_a_page_with_relative_links(server: ServerProcess) -> None:
    reply = server.request("GET", "/")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert b'href="api/task_list"' in reply.body


def test_elsewhere_is_404_in_json(server: ServerProcess) -> None:
    reply = server.request("GET", "/elsewhere")
    assert (reply.status, reply.json()["error"]["type"]) == (404, "NotFound")


def test_long_listing_is_complete_json(server: ServerProcess) -> None:
    for n in range(1203):  # more than twice what is encoded in one go
        server.call("add_task", worker="w1", task_id=f"long_{n}", family="Long")
    found = server.call("task_search", task_str="long_")["PENDING"]
    assert list(found) == [f"long_{n}" for n in range(1203)]
    assert len(server.call("task_list", search="Long")) == 1203


# Pages of other sites


BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"}
EVIL_GET: list[dict[str, str]] = [  # of an image, over plain http
    BROWSER,  # the page holds back the Referer
    {**BROWSER, "Referer": "http://evil.example/scheduler.example/"},
    {**BROWSER, "Referer": "about:blank"},
]
EVIL: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://scheduler.example"},
]
PROGRAMS: list[dict[str, str]] = [{}, {"User-Agent": "curl/8.5.0"}]
OWN: list[dict[str, str]] = [
    *PROGRAMS,
    {**BROWSER, "Referer": "http://scheduler.example/"},
    {**BROWSER, "Origin": "http://scheduler.example"},
    {**BROWSER, "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://scheduler.example"},
    {"Origin": "http://scheduler.example:80"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://proxy.example"},
]


@pytest.mark.parametrize(
    ("headers", "verb"),
    [*((headers, verb) for headers in EVIL for verb in ("GET", "POST")), *((headers, "GET") for headers in EVIL_GET)],
)
def test_page_of_another_site_can_change_nothing(server: ServerProcess, headers: dict[str, str], verb: str) -> None:
    server.call("unpause")
    reply = server.request(verb, "/api/pause", headers={"Host": "scheduler.example", **headers})
    assert (reply.status, reply.json()["error"]["type"]) == (403, "CrossSite")
    assert server.call("is_paused") == {"paused": False}


@pytest.mark.parametrize("headers", OWN)
def test_own_page_and_plain_clients_may_post(server: ServerProcess, headers: dict[str, str]) -> None:
    assert server.request("POST", "/api/unpause", headers={"Host": "scheduler.example", **headers}).status == 200


@pytest.mark.parametrize("headers", OWN)
def test_a_browser_changes_nothing_by_get_and_other_programs_may(
    server: ServerProcess, headers: dict[str, str]
) -> None:
    """Luigi's contract has GET for everything; a link in a mail comes from no page (Sec-Fetch-Site: none)."""
    server.call("unpause")
    reply = server.request("GET", "/api/pause", headers={"Host": "scheduler.example", **headers})
    if headers in PROGRAMS:
        assert (reply.status, server.call("is_paused")) == (200, {"paused": True})
        return
    assert (reply.status, reply.headers["allow"]) == (405, "POST, OPTIONS"), reply
    assert server.call("is_paused") == {"paused": False}
    assert server.request("GET", "/api/is_paused", headers={"Host": "scheduler.example", **headers}).status == 200


def test_a_script_that_calls_itself_a_browser_may_post(server: ServerProcess) -> None:
    """PowerShell does."""
    assert server.request("POST", "/api/unpause", headers={"Host": "scheduler.example", **BROWSER}).status == 200


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_views_may_be_linked_to_from_anywhere(server: ServerProcess, name: str) -> None:
    data = quote(json.dumps(_smallest_arguments(name)))
    assert server.request("GET", f"/api/{name}?data={data}", headers={"Sec-Fetch-Site": "cross-site"}).status == 200


def _smallest_arguments(name: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "info": [],
        "batched_args": [],
        "deps": [],
        "task_ids": ["smallest"],
        "decrease_resources": {},
        "n": 1,
        "progress_percentage": 1,
        "action": "retry",
        "options": {},
        "amount": 1,
        "attempt": 1,
        "params": {},
        "size": 1,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tasks": [{"task_id": "smallest"}] if name == "add_tasks" else [],
    }
    required = [p.name for p in METHODS[name].parameters if p.default is p.empty]
    required += ["task_id"] if name == "critical_path" else []  # which takes one of two
    return {each: values.get(each, "smallest") for each in required}
