"""The wait for many runs: it ends for the one that has news, also when several share what they are waited for by."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from broker_sched.worker.run_watch import RunWatch
from broker_sched.worker.wakeup_socket import WakeupSocket


class FakeRun:
    """What a RunWatch asks of a run."""

    def __init__(self, *things: Any) -> None:
        self.things = things

    def waitables(self) -> list[Any]:
        return list(self.things)


@pytest.fixture
def sockets() -> Iterator[list[WakeupSocket]]:
    made = [WakeupSocket() for _ in range(3)]
    yield made
    for each in made:
        each.close()


def watching(*runs: Any) -> RunWatch:
    watch = RunWatch()
    for each in runs:
        watch.look_at(each)
    return watch


def test_the_wait_ends_for_the_run_that_has_news(sockets: list[WakeupSocket]) -> None:
    a, b = FakeRun(sockets[0]), FakeRun(sockets[1], sockets[2].fileno())
    watch = watching(a, b)
    sockets[2].wake()
    assert watch.wait(10.0, []) == {b}
    sockets[2].clear()
    assert watch.wait(0.0, []) == set()


def test_what_several_runs_share_wakes_for_all_that_are_left(sockets: list[WakeupSocket]) -> None:
    a, b, c = FakeRun(sockets[0]), FakeRun(sockets[0]), FakeRun(sockets[0])
    watch = watching(a, b, c)
    sockets[0].wake()
    assert watch.wait(10.0, []) == {a, b, c}
    watch.forget(a)
    b.things = (sockets[1],)
    watch.look_at(b)
    assert watch.wait(10.0, []) == {c}


def test_what_is_waited_for_besides_is_no_run_and_only_waited_for_once(sockets: list[WakeupSocket]) -> None:
    watch = watching(FakeRun(sockets[0]))
    sockets[1].wake()
    assert watch.wait(10.0, [sockets[1]]) == set()
    assert watch.wait(0.0, []) == set()


def test_a_run_without_anything_to_wait_for_is_blind_until_it_has(sockets: list[WakeupSocket]) -> None:
    run: Any = FakeRun()
    watch = watching(run)
    assert watch.blind == {run}
    run.things = (sockets[0],)
    watch.look_at(run)
    assert watch.blind == set()


def test_a_file_descriptor_that_was_closed_and_is_used_again_belongs_to_its_new_run() -> None:
    ours, theirs = socket.socketpair()
    number = ours.fileno()
    old: Any = FakeRun(ours)
    watch = watching(old)
    ours.close()
    watch.forget(old)
    again, other = socket.socketpair()
    assert again.fileno() == number
    new: Any = FakeRun(again)
    watch.look_at(new)
    other.send(b"!")
    assert watch.wait(10.0, []) == {new}
    for each in (theirs, again, other):
        each.close()
