"""`bsched audit`: who has asked for which change, straight from Redis and over HTTP."""

from __future__ import annotations

import json

import pexpect

from broker_sched import Scheduler
from broker_sched.this_user import user_at_host
from tests.cli.commands import Bsched, column
from tests.terminals import on_terminal


def test_it_says_who_asked_for_what_and_how_it_ended(board: Scheduler, on: Bsched) -> None:
    assert on("audit").stderr.strip() == "No such records."
    for name in ("a", "b"):
        board.add_task(worker="w", task_id=name, family="A", status="FAILED")
    on("task", "forgive", "a", "b", "--yes")
    on("pause")
    rows = on.rows("audit")
    assert column(rows, "METHOD") == ["change_tasks", "pause"]
    assert column(rows, "WHO") == [user_at_host()] * 2
    assert column(rows, "TASKS") == ["2", "0"]
    assert column(rows, "RESULT") == ["done", "done"]
    assert 'action="forgive"' in rows[1][-1] or "task_ids" in rows[1][-1]
    assert [each["method"] for each in on.json_lines("audit", "--method", "pause")] == ["pause"]
    assert on.json_lines("audit", "--who", "nobody") == on.json_lines("audit", "--result", "refused") == []
    older = on.json_lines("audit", "--before", on.json_lines("audit")[-1]["id"])
    assert [each["method"] for each in older] == ["change_tasks"]
    assert len(on.json_lines("audit", "--since", "1h")) == 2
    assert on.json_lines("audit", "--since", "2999-01-01") == []


def test_making_and_revoking_a_token_is_in_it_and_the_token_is_not(board: Scheduler, on: Bsched) -> None:
    made = on.json("token", "create", "--role", "viewer", "--name", "ci")
    on("token", "revoke", made["id"])
    on("session", "revoke", "--all")
    found = on.json_lines("audit")
    assert [each["method"] for each in found] == ["token create", "token revoke", "session revoke"]
    assert found[0]["arguments"] == {"name": "ci", "role": "viewer"}
    assert made["token"] not in json.dumps(found)


def test_a_repair_is_in_it_and_what_finds_nothing_is_not(board: Scheduler, on: Bsched) -> None:
    board.add_task(worker="w", task_id="t", family="A")
    on("verify")
    on("verify", "--repair")
    assert on.json_lines("audit") == []
    board._client.sadd(board.namespace.key("families"), "nobody's")
    on("verify", "--repair")
    (found,) = on.json_lines("audit")
    assert (found["method"], found["who"], found["kind"]) == ("verify --repair", user_at_host(), "redis")
    assert (found["arguments"], found["result"]) == ({"differences": 1}, "done")


def test_following_shows_what_is_done_meanwhile(board: Scheduler, on: Bsched) -> None:
    board.pause()
    with on_terminal("audit", "--follow", *on.where) as child:
        child.expect("pause")
        board.unpause()
        child.expect("unpause .*done")
        child.sendintr()
        child.expect(pexpect.EOF)


def test_over_http_it_is_the_same(over_http: Bsched) -> None:
    over_http("pause")
    over_http("resume")
    last = over_http.json_lines("audit")[-1]
    assert (last["method"], last["kind"], last["address"]) == ("unpause", "anonymous", "127.0.0.1")
