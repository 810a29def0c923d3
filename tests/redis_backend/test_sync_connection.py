"""The connections of direct calls: threads, forks, broken ones, and pools that are limited."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import redis.exceptions

from broker_sched import Scheduler
from broker_sched.redis_backend import sync_connection as connection_module
from broker_sched.redis_backend.recovery import ReplyError
from broker_sched.redis_backend.sync_connection import OwnConnections

PARENT, CHILD = 100, 200  # process ids


class Connection:
    """Answers every command with itself; notes who used it."""

    def __init__(self) -> None:
        self.is_open = True
        self.uses = 0
        self.failure: Exception | None = None

    def send_packed_command(self, packed: object, check_health: bool) -> None:
        self.uses += 1

    def read_response(self) -> Connection:
        if self.failure:
            raise self.failure
        return self

    def disconnect(self) -> None:
        self.is_open = False


class Pool:
    """Gives out new connections."""

    def __init__(self) -> None:
        self.released: list[Connection] = []

    def get_connection(self) -> Connection:
        return Connection()

    def release(self, connection: Connection) -> None:
        self.released.append(connection)


class Client:
    def __init__(self) -> None:
        self.connection_pool = Pool()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> OwnConnections:
    monkeypatch.setattr("os.getpid", lambda: PARENT)
    return OwnConnections(Client())  # type: ignore[arg-type]  # all of a client that it needs


def ask(made: OwnConnections) -> Any:
    """The reply to a command."""
    (reply,) = made.send([["PING"]])
    return reply


def test_one_thread_uses_one_connection(made: OwnConnections) -> None:
    assert ask(made) is ask(made)


def test_an_error_reply_leaves_the_connection_usable(made: OwnConnections) -> None:
    connection = ask(made)
    connection.failure = redis.exceptions.ResponseError("no such command")
    assert isinstance(ask(made), ReplyError)
    connection.failure = None
    assert ask(made) is connection


def test_after_a_loss_this_and_the_idle_connections_are_closed(made: OwnConnections) -> None:
    first, second = ask(made), Connection()
    made._owned.idle.appendleft(second)
    first.failure = redis.exceptions.ConnectionError("lost")
    with pytest.raises(redis.exceptions.ConnectionError):
        ask(made)
    assert (first.is_open, second.is_open) == (False, False)
    assert ask(made) not in (first, second)


def test_no_thread_of_a_forked_child_uses_its_parents_connection(
    made: OwnConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while another thread is just noticing that this is a child."""
    parents = ask(made)
    monkeypatch.setattr("os.getpid", lambda: CHILD)
    noticing, go_on = threading.Event(), threading.Event()

    def slowly(*args: Any) -> Any:
        noticing.set()
        assert go_on.wait(10)
        return owned(*args)

    owned = connection_module._Owned
    monkeypatch.setattr(connection_module, "_Owned", slowly)
    first = threading.Thread(target=ask, args=(made,))
    first.start()
    assert noticing.wait(10)
    monkeypatch.setattr(connection_module, "_Owned", owned)
    ask(made)
    go_on.set()
    first.join()
    assert parents.uses == 1


@pytest.mark.parametrize("limit", [1, 4])
def test_a_limited_pool_is_enough_for_as_many_threads(real_redis_url: str, limit: int) -> None:
    joiner = "&" if "?" in real_redis_url else "?"
    scheduler = Scheduler(f"{real_redis_url}{joiner}max_connections={limit}", namespace=f"limited-{limit}")
    failures: list[Exception] = []

    def use() -> None:
        try:
            for number in range(20):
                scheduler.ping(worker="w")
                scheduler.add_task(worker="w", task_id=f"t_{number}")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(limit)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(scheduler.task_list()) == 20
    assert scheduler.verify() == []
    for key in list(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*")):
        scheduler._client.delete(key)
    scheduler.close()
