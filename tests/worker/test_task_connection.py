"""What a worker and a task process say to each other, a byte at a time if need be."""

from __future__ import annotations

import pickle
import socket
import threading
from collections.abc import Iterator

import pytest

from broker_sched.worker.executors import task_connection
from broker_sched.worker.executors.task_connection import LENGTH, TasksEnd, WorkersEnd
from tests.servers import until


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, WorkersEnd]]:
    """The task's socket, and the worker's end."""
    theirs, ours = socket.socketpair()
    worker = WorkersEnd(ours)
    yield theirs, worker
    theirs.close()
    worker.close()


def framed(thing: object) -> bytes:
    data = pickle.dumps(thing)
    return LENGTH.pack(len(data)) + data


def test_messages_arrive_in_order_both_ways(ends: tuple[socket.socket, WorkersEnd]) -> None:
    theirs, worker = ends
    task = TasksEnd(theirs)
    for thing in ("a", {"b": [1]}, None):
        task.send(thing)
        assert worker.send(thing)
    assert list(worker.receive()) == ["a", {"b": [1]}, None]
    assert [task.receive(1), task.receive(1), task.receive(1)] == ["a", {"b": [1]}, None]


def test_half_a_message_is_waited_for_by_nobody(ends: tuple[socket.socket, WorkersEnd]) -> None:
    theirs, worker = ends
    data = framed("x" * 50)
    for position in range(len(data) - 1):
        theirs.send(data[position : position + 1])
        assert list(worker.receive()) == []
    theirs.send(data[-1:] + framed("next")[:5])
    assert list(worker.receive(everything=True)) == ["x" * 50]
    assert not worker.is_at_end


def test_what_was_said_before_the_end_is_received(ends: tuple[socket.socket, WorkersEnd]) -> None:
    theirs, worker = ends
    theirs.send(framed("last words") + framed("half")[:9])
    theirs.close()
    assert list(worker.receive()) == ["last words"]
    assert worker.is_at_end


def test_what_cannot_be_read_is_left_out(ends: tuple[socket.socket, WorkersEnd]) -> None:
    theirs, worker = ends
    theirs.send(LENGTH.pack(3) + b"no!" + framed("read"))
    assert list(worker.receive()) == ["read"]
    assert not worker.is_at_end


def test_a_task_that_never_stops_talking_is_listened_to_in_turns(
    ends: tuple[socket.socket, WorkersEnd], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_connection, "CHUNKS_AT_ONCE", 1)
    monkeypatch.setattr(task_connection, "CHUNK", 100)
    theirs, worker = ends
    one = framed("x" * 20)
    theirs.send(10 * one)
    assert len(list(worker.receive())) == 100 // len(one)
    assert len(list(worker.receive(everything=True))) == 10 - 100 // len(one)


def test_a_task_that_reads_nothing_keeps_nobody_waiting(ends: tuple[socket.socket, WorkersEnd]) -> None:
    theirs, worker = ends
    sent = 0
    while worker.send("x" * 100_000):
        sent += 1
    assert sent * 100_000 > task_connection.MOST_UNSENT
    task, received = TasksEnd(theirs), []
    reading = threading.Thread(target=lambda: received.extend(task.receive(10) for _ in range(sent + 1)))
    reading.start()
    assert until(lambda: worker.send("after"), "there is room again")
    while reading.is_alive():
        worker.flush()
    assert len(received) == sent + 1


def test_nothing_comes_in_time(ends: tuple[socket.socket, WorkersEnd]) -> None:
    with pytest.raises(TimeoutError):
        TasksEnd(ends[0]).receive(0.01)


def test_the_task_learns_that_the_worker_is_gone(ends: tuple[socket.socket, WorkersEnd]) -> None:
    theirs, worker = ends
    worker.close()
    with pytest.raises(OSError, match="closed"):
        TasksEnd(theirs).receive(1)
