"""Putting indexes right while others work: each of them waits for the moment, so that nothing changes meanwhile."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from broker_sched.errors import RedisUnavailable, Unreachable
from broker_sched.redis_backend.commands import Call
from broker_sched.scheduler.integrity.check import TASK_INDEX_FIELDS, AtLeast, Difference

MARK_SECONDS = 10.0  # others wait so long when a repair dies
RENEW_SECONDS = 2.0
TURN_SECONDS = 60.0  # a second repair waits so long for the first
MAX_ATTEMPTS = 50  # attempts to begin when no deferred step waits; then it begins anyway
WORDS = 1500  # written by one script
PASSES = 5

Command = tuple[str, ...]  # name, key without the namespace's prefix, further words


class Repair:
    """A context in which this repair alone changes the namespace.

    run: sends a script. run_deferred: has so many deferred steps done that wait. Raises RedisUnavailable when another
    repair does not end, or when this one was silent for too long: then others have gone on, and what it was about to
    write is not written.
    """

    def __init__(self, run: Callable[[Call], Any], run_deferred: Callable[[int], None]) -> None:
        self._run = run
        self._run_deferred = run_deferred
        self._token = uuid.uuid4().hex
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="repair", daemon=True)

    def __enter__(self) -> Repair:
        deadline = time.monotonic() + TURN_SECONDS
        attempts = 0
        while True:
            has_turn, deferred_steps = self._do("begin" if attempts < MAX_ATTEMPTS else "anyway")
            if has_turn:
                break
            attempts += 1
            if deferred_steps and attempts <= MAX_ATTEMPTS:
                self._run_deferred(deferred_steps)
            elif time.monotonic() > deadline:
                raise RedisUnavailable("Another repair of this namespace goes on; try again when it has ended.")
            else:
                time.sleep(0.2)
        self._renewing.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._renewing.join()
        self._do("end")

    def write(self, commands: Iterable[Command]) -> None:
        """Send the commands to Redis, some with each script.

        Raises RedisUnavailable when this repair was silent for too long.
        """
        words: list[str] = []
        for command in commands:
            words += [str(len(command)), *command]
            if len(words) >= WORDS:
                self._write(words)
                words = []
        if words:
            self._write(words)

    def _write(self, words: list[str]) -> None:
        has_turn, _ = self._do("write", words)
        if not has_turn:
            raise RedisUnavailable("The repair stood still for too long, and others have gone on; run it again.")

    def _renew(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            try:
                self._do("renew")
            except Unreachable:  # the next one may be answered; without the mark nothing is written
                continue

    def _do(self, action: str, words: Sequence[str] = ()) -> tuple[int, int]:
        has_turn, deferred_steps = self._run(
            Call("repair", token=self._token, action=action, seconds=repr(MARK_SECONDS), words=words)
        )
        return has_turn, deferred_steps


def commands(differences: Iterable[Difference]) -> Iterator[Command]:
    """Yield the commands that put the differences right: only what lacks is added, only what does not belong is
    removed."""
    for key, expected, found in differences:
        name, _, field = key.rpartition("#")
        if field in TASK_INDEX_FIELDS and name.startswith("task:"):
            yield ("HDEL", name, field) if expected is None else ("HSET", name, field, expected)
        elif isinstance(expected, (set, frozenset)) and isinstance(found, (set, frozenset, type(None))):
            yield from _members(key, set(expected), set(found or ()), removes=not isinstance(found, AtLeast))
        elif isinstance(expected, dict) and isinstance(found, (dict, type(None))) and _is_same_kind(expected, found):
            yield from _fields(key, expected, found or {})
        else:  # not wanted at all, or of another type
            yield ("DEL", key)
            if isinstance(expected, dict):
                yield from _fields(key, expected, {})
            elif isinstance(expected, (set, frozenset)):
                yield from _members(key, set(expected), set(), removes=False)


def _is_same_kind(expected: dict[str, Any], found: dict[str, Any] | None) -> bool:
    """Return whether both contents are those of hashes, or both those of sorted sets."""
    return not expected or not found or _is_scored(expected) == _is_scored(found)


def _is_scored(content: dict[str, Any]) -> bool:
    return isinstance(next(iter(content.values())), float)


def _members(key: str, expected: set[str], found: set[str], removes: bool) -> Iterator[Command]:
    yield from (("SADD", key, member) for member in sorted(expected - found))
    if removes:
        yield from (("SREM", key, member) for member in sorted(found - expected))


def _fields(key: str, expected: dict[str, Any], found: dict[str, Any]) -> Iterator[Command]:
    is_scored = _is_scored(expected or found) if expected or found else False
    for name, value in expected.items():
        if found.get(name) != value:
            yield ("ZADD", key, repr(value), name) if is_scored else ("HSET", key, name, value)
    yield from (("ZREM" if is_scored else "HDEL", key, name) for name in found if name not in expected)
