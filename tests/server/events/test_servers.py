"""Streams of events at real servers: what they cost, how soon a change is told, and how a page moves to another one."""

from __future__ import annotations

import contextlib
import itertools
import signal
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker_sched import Scheduler
from tests.forwarder import forwarding
from tests.harness import RedisProcess, ServerProcess
from tests.server.events.pages import HTTPPage, merged

Start = Callable[..., ServerProcess]
PAGES = 200
CHANGES_A_SECOND = 100
COST_SECONDS = 3.0


class Source:
    """Makes changes of tasks' statuses, straight in Redis."""

    def __init__(self, redis: RedisProcess, namespace: str) -> None:
        self.scheduler = Scheduler(redis.url, namespace, prune_interval_seconds=None)
        self.key = self.scheduler.namespace.key("events")
        self._client = redis.client
        self._ends = threading.Event()
        self._numbers = itertools.count()

    def fail(self) -> str:
        """Report that another task has failed: one change, by a script."""
        task_id = f"task-{next(self._numbers)}"
        self.scheduler.add_task(worker="w", task_id=task_id, family=f"F{len(task_id)}", status="FAILED")
        return task_id

    @contextlib.contextmanager
    def changing(self, make: Callable[[], Any]) -> Iterator[None]:
        """Make 100 changes a second as long as the block lasts."""

        def go_on() -> None:
            began = time.monotonic()
            for number in itertools.count():
                if self._ends.wait(max(0.0, began + number / CHANGES_A_SECOND - time.monotonic())):
                    return
                make()

        self._ends.clear()
        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ends.set()
            thread.join()

    def put_event(self) -> None:
        """Add what a change adds to the stream, and nothing else: so it is known what Redis was asked for."""
        fields = {"task_id": f"task-{next(self._numbers)}", "family": "F", "from": "PENDING", "to": "DONE"}
        self._client.xadd(self.key, {**fields, "worker": "", "time": "1"}, maxlen=10_000)

    def entries(self, after: str, until_id: str) -> list[Any]:
        """What is in the stream behind one id, up to another."""
        return list(self._client.xrange(self.key, f"({after}", until_id)) if after != until_id else []


@pytest.fixture
def namespace() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def source(own_redis: RedisProcess, namespace: str) -> Iterator[Source]:
    made = Source(own_redis, namespace)
    yield made
    assert made.scheduler.verify() == []
    made.scheduler.close()


def test_a_change_reaches_a_page_within_half_a_second_after_the_script(
    own_redis: RedisProcess, start_server: Start, source: Source, namespace: str
) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", namespace).await_ready()
    page = HTTPPage(server.url)
    page.until(lambda: page.named("start"), "it begins")
    waits = []
    for _ in range(7):
        task_id = source.fail()
        done_at = time.monotonic()

        def event() -> Any:
            return next((each for each in page.named("change") if task_id in each.data["tasks"]), None)  # noqa: B023

        waits.append(page.until(event, "it hears of the change").at - done_at)
    page.close()
    assert statistics.median(waits) < 0.5, waits


def test_a_page_hears_of_each_change_once_though_its_server_is_killed(
    own_redis: RedisProcess, start_server: Start, source: Source, namespace: str
) -> None:
    servers = [start_server("--redis", own_redis.url, "--namespace", namespace).await_ready() for _ in range(2)]
    with forwarding(*(server.url for server in servers)) as front, source.changing(source.fail):
        opened_at = time.monotonic()
        page = HTTPPage(front.url)
        page.until(lambda: len(page.named("change")) > 3, "it hears of changes")
        usual = (
            page.named("change")[0].at - opened_at
        )  # what a page waits for its first change on this machine, as it is
        servers[0].process.kill()
        killed_at = time.monotonic()
        page.until(lambda: page.has_ended, "its connection breaks")
        servers[0].wait()  # while it dies it may still take a connection, and lose it; a browser would come again
        again = HTTPPage(front.url, after=page.last_id)
        again.until(lambda: len(again.named("change")) > 3, "it hears of changes again")
        first = again.named("change")[0]
        again.close()
    assert first.at - killed_at < 3.0 + 5 * usual
    assert again.named("start")[0].data["resumed"] and not again.named("reset")
    places = [page.named("start")[0], *page.named("change"), *again.named("change")]
    for former, event in itertools.pairwise(places):
        assert former.id and event.id
        families, tasks = merged(source.entries(former.id, event.id))
        assert event.data["families"] == families
        assert event.data["tasks"] == tasks
    assert sum(len(event.data["tasks"]) for event in places[1:]) > CHANGES_A_SECOND / 10


def test_a_server_that_ends_sends_its_pages_away_at_once_and_not_all_at_the_same_time(
    own_redis: RedisProcess, start_server: Start, namespace: str
) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", namespace).await_ready()
    pages = [HTTPPage(server.url) for _ in range(10)]
    for page in pages:
        page.until(lambda: page.named("start"), "it begins")  # noqa: B023
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    for page in pages:
        page.until(lambda: page.has_ended, "it ends")  # noqa: B023
    assert server.wait() == 0
    assert time.monotonic() - began < 3.0
    assert [page.events[-1].data for page in pages] == [{"reason": "leaving"}] * 10
    assert len({page.events[-1].retry_ms for page in pages}) > 5


def test_a_page_stays_while_redis_is_away_and_is_told_so(mortal_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", mortal_redis.url, "--namespace", "away").await_ready()
    page = HTTPPage(server.url)
    page.until(lambda: page.named("start"), "it begins")
    server.call("add_task", worker="w", task_id="t", family="F", status="FAILED")
    page.until(lambda: page.counts, "it hears of a change")
    mortal_redis.kill()
    page.until(lambda: page.named("redis"), "it is told that Redis is away")
    late = HTTPPage(server.url, after=page.last_id)
    late.until(lambda: late.named("redis"), "so is who comes now")
    mortal_redis.start()  # empty
    server.call("add_task", worker="w", task_id="u", family="G", status="FAILED")
    for each in (page, late):
        each.until(lambda: each.named("reset"), "it is told to read anew")  # noqa: B023
        assert [event.data["away"] for event in each.named("redis")] == [True, False]
    server.call("add_task", worker="w", task_id="v", family="H", status="FAILED")
    page.until(lambda: "H" in page.counts, "it hears of changes again")
    for each in (page, late):
        each.close()


def test_two_hundred_pages_cost_five_commands_a_second(
    own_redis: RedisProcess, start_server: Start, source: Source, namespace: str
) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", namespace).await_ready()

    with source.changing(source.put_event):
        pages = [HTTPPage(server.url) for _ in range(PAGES)]
        for page in pages:
            page.until(lambda: page.named("change"), "it hears of changes")  # noqa: B023
        heard = [len(page.events) for page in pages]
        sent = _sent(own_redis, COST_SECONDS)
    assert sent["calls"] <= 1 and sent["events"] / COST_SECONDS <= 5.0, sent
    for page, count in zip(pages, heard):
        changes = [event for event in page.events[count:] if event.name == "change"]
        assert len(changes) <= 5 * (COST_SECONDS + 1) and not page.named("reset")
        told = sum(event.data["families"]["F"]["DONE"] for event in changes if event.data["families"])
        assert told > CHANGES_A_SECOND, "changes are told all the while"
        assert page.events[-1].data["pace_seconds"] == 4.0
        page.close()


def _sent(redis: RedisProcess, seconds: float) -> Counter[str]:
    """How many commands Redis is sent over each connection of the server, by the connection's name; none by timers."""
    names = {each["addr"]: each["name"].removeprefix("bsched-") for each in redis.client.client_list()}
    timers = ("EVALSHA", "SCRIPT", "SET", "HSETNX")
    found: Counter[str] = Counter()
    with redis.client.monitor() as monitor:
        until_at = time.monotonic() + seconds
        for command in monitor.listen():
            address = f"{command['client_address']}:{command['client_port']}"
            if time.monotonic() >= until_at:
                return found
            if command["client_type"] == "tcp" and not command["command"].upper().startswith(timers):
                found[names.get(address, "")] += 1
    return found
