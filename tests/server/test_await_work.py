"""Waiting for work over HTTP: a long poll that any server answers when any other has the news."""

from __future__ import annotations

import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from broker_sched import InvalidArgument, RemoteScheduler
from tests.harness import RedisProcess, ServerProcess
from tests.server.raw import CLOSE, answers, connected, post, until_closed
from tests.servers import until

Start = Callable[..., ServerProcess]


class Waiting:
    """A call of await_work under way."""

    def __init__(self, url: str, worker: str, seconds: float = 30, assistant: bool = False) -> None:
        self.answer: Any = None
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._wait, args=(url, worker, seconds, assistant))
        self._thread.start()

    def _wait(self, url: str, worker: str, seconds: float, assistant: bool) -> None:
        started = time.monotonic()
        with RemoteScheduler(url) as scheduler:
            self.answer = scheduler.await_work(worker=worker, assistant=assistant, seconds=seconds)
        self.seconds = time.monotonic() - started

    def ended(self) -> Any:
        """Its answer."""
        self._thread.join(45)
        return self.answer


def how_many_wait(redis: RedisProcess, namespace: str) -> int:
    return int(redis.client.zcard(f"bsched:{{{namespace}}}:idle"))


@pytest.fixture
def two(own_redis: RedisProcess, start_server: Start) -> list[RemoteScheduler]:
    """Two servers on one namespace."""
    servers = [start_server("--redis", own_redis.url, "--namespace", "waiting").await_ready() for _ in range(2)]
    return [RemoteScheduler(server.url) for server in servers]


def test_the_news_may_come_through_another_server(own_redis: RedisProcess, two: list[RemoteScheduler]) -> None:
    here, there = two
    here.add_task(worker="own", task_id="task", deps=["dep"])
    waiting = Waiting(here.url, "own")
    until(lambda: how_many_wait(own_redis, "waiting") == 1, "it waits")
    there.add_task(worker="other", task_id="dep", status="DONE")
    assert waiting.ended() == {"ready": True}
    assert waiting.seconds < 25


def test_without_news_it_ends_in_time(two: list[RemoteScheduler]) -> None:
    waiting = Waiting(two[0].url, "nobody", seconds=0.5)
    assert waiting.ended() == {"ready": False}
    assert 0.4 < waiting.seconds < 20


def test_fifty_wait_at_once_and_calls_are_answered_meanwhile(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "fifty").await_ready()
    scheduler = RemoteScheduler(server.url)
    everybody = [Waiting(server.url, f"w{number}") for number in range(50)]
    until(lambda: how_many_wait(own_redis, "fifty") == 50, "all wait")
    scheduler.add_task(worker="w7", task_id="task")
    assert everybody[7].ended() == {"ready": True}
    assert how_many_wait(own_redis, "fifty") == 49
    assert server.stop() == 0
    assert [each.ended() for each in everybody] == [{"ready": True}] * 50
    assert max(each.seconds for each in everybody) < 25


def test_a_server_that_ends_answers_those_who_wait(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "ending").await_ready()
    waiting = Waiting(server.url, "w")
    until(lambda: how_many_wait(own_redis, "ending") == 1, "it waits")
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert waiting.ended() == {"ready": True}
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("is_half_closed", [False, True])
def test_a_client_that_goes_waits_no_more(own_redis: RedisProcess, start_server: Start, is_half_closed: bool) -> None:
    namespace = f"gone-{is_half_closed}"
    server = start_server("--redis", own_redis.url, "--namespace", namespace).await_ready()
    with connected(server) as link:
        link.sendall(post(b"/api/await_work", b'{"worker":"w","seconds":30}'))
        until(lambda: how_many_wait(own_redis, namespace) == 1, "it waits")
        if is_half_closed:
            link.shutdown(socket.SHUT_WR)
            (said,) = answers(until_closed(link))
            assert said.body == b'{"response":{"ready":false}}'
        else:
            link.close()
        until(lambda: how_many_wait(own_redis, namespace) == 0, "it waits no more")


def test_work_that_woke_a_client_which_has_gone_wakes_another(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "passed-on").await_ready()
    scheduler = RemoteScheduler(server.url)
    for worker in ("gone", "here"):
        scheduler.add_task(worker=worker, task_id="task", deps=["dep"])
    with connected(server) as link:
        link.sendall(post(b"/api/await_work", b'{"worker":"gone","seconds":30}'))
        until(lambda: how_many_wait(own_redis, "passed-on") == 1, "the first waits")
        waiting = Waiting(server.url, "here", seconds=25)
        until(lambda: how_many_wait(own_redis, "passed-on") == 2, "both wait")
    scheduler.add_task(worker="other", task_id="dep", status="DONE")
    assert waiting.ended() == {"ready": True}
    assert waiting.seconds < 20


def test_a_redis_that_goes_away_ends_the_wait(mortal_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", mortal_redis.url, "--namespace", "gone").await_ready()
    waiting = Waiting(server.url, "w")
    until(lambda: how_many_wait(mortal_redis, "gone") == 1, "it waits")
    RemoteScheduler(server.url).count_pending(worker="w")  # replies come in order: the server, too, knows that it waits
    mortal_redis.kill()
    assert waiting.ended() == {"ready": True}, "it shall ask, and find out"
    assert waiting.seconds < 25


def test_it_works_without_a_redis_server(start_server: Start) -> None:
    server = start_server("--redis", "memory:").await_ready()
    scheduler = RemoteScheduler(server.url)
    started = time.monotonic()
    with connected(server) as link:
        link.sendall(post(b"/api/await_work", b'{"worker":"own","seconds":30}', CLOSE))
        for _ in range(2):  # calls are taken in order: after these the server, too, knows that it waits
            scheduler.count_pending(worker="own")
        assert not select.select([link], [], [], 0)[0], "it waits"
        scheduler.add_task(worker="own", task_id="task")
        (said,) = answers(until_closed(link))
    assert said.body == b'{"response":{"ready":true}}'
    assert time.monotonic() - started < 25


@pytest.mark.parametrize("seconds", [-1, 31, float("nan"), "soon"])
def test_a_wrong_time_is_named(two: list[RemoteScheduler], seconds: Any) -> None:
    with pytest.raises(InvalidArgument, match="seconds"):
        two[0].await_work(worker="w", seconds=seconds)


def test_many_tasks_come_in_one_call(two: list[RemoteScheduler]) -> None:
    tasks = [{"task_id": f"bulk{number}", "deps": [f"bulk{number - 1}"] if number else []} for number in range(300)]
    two[0].add_tasks(worker="bulk", tasks=tasks)
    assert two[1].count_pending(worker="bulk")["n_pending_tasks"] == 300
    with pytest.raises(InvalidArgument, match=r"tasks\[1\]\.priority"):
        two[0].add_tasks(worker="bulk", tasks=[{"task_id": "new"}, {"task_id": "x", "priority": "high"}])
    assert "new" not in two[0].task_list(limit=False)
