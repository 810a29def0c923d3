"""Calls that only look go to a process of their own once they come often, which ends no answer and shows in none."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import uvloop

from broker_sched.server.app import LOOKS_NICE
from broker_sched.server.large_calls import LargeCalls
from broker_sched.server.responses import RequestRefused
from tests.harness import RedisProcess, Reply, ServerProcess
from tests.server.access.asgi import ANONYMOUS
from tests.servers import until

Start = Callable[..., ServerProcess]


def helpers(server: ServerProcess) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def goes_behind(process: psutil.Process) -> bool:
    group = Path(f"/proc/{process.pid}/autogroup")  # not on every Linux
    is_group_behind = not group.exists() or group.read_text().endswith(f" nice {LOOKS_NICE}\n")
    is_batch = not hasattr(os, "SCHED_BATCH") or os.sched_getscheduler(process.pid) == os.SCHED_BATCH
    return process.nice() == LOOKS_NICE and is_batch and is_group_behind


def without_date_and_id(reply: Reply) -> tuple[int, dict[str, str], bytes]:
    return reply.status, dict(reply.headers) | {"date": "", "x-request-id": ""}, reply.body


def test_one_look_starts_no_process_and_many_do(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "looks").await_ready()
    server.call("add_task", worker="w", task_id="t", family="F")
    asked = [("families", "{}"), ("tasks", '{"family":"F"}'), ("tasks", '{"status":"NO"}'), ("events", "{")]
    here = [without_date_and_id(server.post(method, data)) for method, data in asked]
    server.call("get_work", worker="w")
    assert helpers(server) == []
    until(lambda: bool(server.call("workers") and helpers(server)), "a process is started")
    (helper,) = helpers(server)
    until(lambda: bool(server.call("workers")) and goes_behind(helper), "it goes behind")
    server.call("release_task", task_id="t", worker="w")
    spent = helper.cpu_times().user

    def is_asked() -> bool:
        server.call("overview")
        return helper.cpu_times().user > spent

    until(is_asked, "it answers")
    there = [without_date_and_id(server.post(method, data)) for method, data in asked]
    assert [reply[:2] for reply in there[2:]] == [reply[:2] for reply in here[2:]]
    assert [json.loads(reply[2]).keys() for reply in there] == [json.loads(reply[2]).keys() for reply in here]
    helper.kill()
    until(lambda: bool(server.call("families")["families"]) and helper not in helpers(server), "it has died")
    assert server.call("families")["families"][0]["family"] == "F"
    assert server.stop() == 0


def test_a_server_ends_while_the_process_begins(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "looks").await_ready()
    until(lambda: bool(server.call("workers") and helpers(server)), "a process is started")
    (helper,) = helpers(server)
    assert server.stop() == 0
    until(lambda: not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE, "it has ended, too")


def test_a_process_that_is_ready_for_looks_has_looked_already(own_redis: RedisProcess) -> None:
    async def look_at_once() -> Reply:
        calls = LargeCalls(own_redis.url, "looks", looks=True)
        calls.begin_to_start()
        while not calls.is_ready:
            await asyncio.sleep(0.01)
        own_redis.client.config_resetstat()
        scope = {"method": "GET", "path": "/", "query_string": b"", "headers": [], "state": ANONYMOUS}
        try:
            answer = await calls.answer("overview", scope, [b""])
        finally:
            await calls.close()
        return Reply(answer.status, {}, answer.body)

    assert uvloop.run(look_at_once()).json()["response"]["namespace"] == "looks"
    began = own_redis.client.info("stats")["total_connections_received"]
    commands = set(own_redis.client.info("commandstats"))
    assert "cmdstat_evalsha" in commands and began == 0
    assert not {name for name in commands if name.startswith(("cmdstat_script", "cmdstat_hello", "cmdstat_auth"))}


def test_the_idle_time_of_a_process_that_has_died_does_not_end_the_next_one() -> None:
    async def begin_idle_time_twice() -> tuple[asyncio.TimerHandle | None, asyncio.TimerHandle | None]:
        calls = LargeCalls(None, "looks")
        calls._note_idle()
        first = calls._idle
        calls._note_idle()
        return first, calls._idle

    first, second = asyncio.run(begin_idle_time_twice())
    assert first is not None and first.cancelled()
    assert second is not None and not second.cancelled()


def test_a_call_to_a_process_that_has_just_died_is_refused_before_anybody_has_noticed() -> None:
    async def call_when_its_input_is_closed() -> None:
        calls = LargeCalls(None, "looks")
        scope = {"method": "GET", "path": "/", "query_string": b"", "headers": [], "state": ANONYMOUS}
        process = await calls._started()
        assert calls._reading is not None and process.stdin is not None
        calls._reading.cancel()  # who would notice
        process.kill()
        await process.wait()
        process.stdin.close()
        try:
            with pytest.raises(RequestRefused):
                await calls.answer("families", scope, [b""])
        finally:
            await calls.close()

    uvloop.run(call_when_its_input_is_closed())
