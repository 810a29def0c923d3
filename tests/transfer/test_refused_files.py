"""A file that is not whole, not as it was written, or newer is refused, and nothing is changed; so is a namespace that
is not empty. An import that ends half-way shows nothing of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from broker_sched import RedisUnavailable, Scheduler
from broker_sched.errors import ImportRefused
from broker_sched.redis_backend.commands import Call
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler.transfer import importing
from broker_sched.scheduler.transfer.importing import Import
from tests.conftest import FakeClock, SchedulerFactory
from tests.transfer.moving import exported, imported, keys_in, lines_in, maintenance_of


@pytest.fixture
def content(scheduler: Scheduler) -> bytes:
    """An export of a few tasks."""
    scheduler.update_resources(db=3)
    scheduler.add_worker(worker="w", info={"workers": 1})
    for number in range(8):
        scheduler.add_task(worker="w", task_id=f"t{number}", deps=[f"t{number - 1}"] if number else [], family="F")
    scheduler.get_work(worker="w")
    return exported(scheduler)


def signed(lines: list[dict[str, object]]) -> bytes:
    """A file of these lines, with a last line that fits them."""
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    counts = {kind: sum(line["line"] == kind[:-1] for line in lines) for kind in ("tasks", "workers")}
    end = {"line": "end", "lines": len(lines), "sha256": hashlib.sha256(data).hexdigest(), **counts}
    return data + json.dumps(end).encode() + b"\n"


def changed(content: bytes, change: Callable[[list[dict[str, object]]], None]) -> bytes:
    """The file with other lines, and a checksum that fits."""
    lines = [json.loads(line) for line in content.splitlines()][:-1]
    change(lines)
    return signed(lines)


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda content: b"", "is empty"),
    "half": (lambda content: content[: len(content) // 2], "is truncated"),
    "no last line": (lambda content: content[: content.rindex(b'{"line":"end"')], "is truncated: it ends after line"),
    "no last line feed": (lambda content: content[:-1], "truncated: its last line has no end"),
    "a line less": (
        lambda content: b"".join(line for line in content.splitlines(True) if b'"id":"t3"' not in line),
        r"altered or damaged on its way: it has \d+ lines, and should have",
    ),
    "a digit": (lambda content: content.replace(b'"priority":0', b"", 1).replace(b'"t3"', b'"t9"', 1), "checksum"),
    "two files": (lambda content: content * 2, "two files in one"),
    "no export": (lambda content: b'{"a": 1}\n', "no file that `bsched export` wrote"),
    "a picture": (lambda content: b"\x89PNG\r\n\x1a\n\xff\xfe\n", "no file that `bsched export` wrote"),
    "a newer format": (lambda c: changed(c, lambda lines: lines[0].update(format=2)), "format 2 .* reads format 1"),
    "a newer schema": (lambda c: changed(c, lambda lines: lines[0].update(schema="99")), "schema 99"),
    "an unknown field": (lambda c: changed(c, lambda lines: lines[2].update(colour="red")), "Line 3 .*colour"),
    "a wrong type": (lambda c: changed(c, lambda lines: lines[2].update(priority="high")), "Line 3 .*priority"),
    "an unknown status": (lambda c: changed(c, lambda lines: lines[2].update(status="LOST")), "Line 3 .*status"),
    "an unknown option": (
        lambda c: changed(c, lambda lines: lines[0].update(options={"speed": 1})),
        "no option 'speed'",
    ),
    "a run on nobody": (
        lambda c: changed(c, lambda lines: lines[2].update(status="RUNNING", worker_running=None)),
        "is RUNNING, and has no worker_running",
    ),
    "a disable without its time": (
        lambda c: changed(c, lambda lines: lines[2].update(status="DISABLED", disabled_by="ann@host")),
        "has disabled_by, and no disabled_at",
    ),
    "the same task twice": (lambda c: changed(c, lambda lines: lines.append(lines[4])), "two lines about task t"),
}


@pytest.mark.parametrize("damage", sorted(DAMAGE))
def test_a_file_that_is_not_as_it_was_written_changes_nothing(
    damage: str, content: bytes, scheduler_factory: SchedulerFactory
) -> None:
    change, told = DAMAGE[damage]
    other = scheduler_factory(retry_delay=7)
    other.update_resources(db=9)
    before = keys_in(other)
    with pytest.raises((ImportRefused, ValueError), match=told):
        imported(other, change(content))
    assert (keys_in(other), other.config().retry_delay) == (before, 7.0)
    assert other.resource_list()[0]["num_total"] == 9
    imported(other, content)
    assert lines_in(exported(other))[1:] == lines_in(content)[1:]


def test_a_namespace_that_is_not_empty_is_left_as_it_is(
    scheduler: Scheduler, scheduler_factory: SchedulerFactory
) -> None:
    source = scheduler_factory()
    source.add_task(worker="w", task_id="a")
    scheduler.add_task(worker="v", task_id="b")
    before = exported(scheduler)
    with pytest.raises(ImportRefused, match=r"not empty \(1 tasks\), so nothing was imported.*bsched namespace delete"):
        imported(scheduler, exported(source))
    assert lines_in(exported(scheduler)) == lines_in(before)


class Interrupted(Exception):
    """In the place of Ctrl-C, or of a kill."""


@pytest.fixture
def after_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import is interrupted when it has sent two parts."""
    monkeypatch.setattr(importing, "WORDS_AT_ONCE", 1)
    sent, send = [], Import._send

    def interrupted(self: Import, words: list[str]) -> int:
        sent.append(words)
        if len(sent) == 3:
            raise Interrupted
        return send(self, words)

    monkeypatch.setattr(Import, "_send", interrupted)


def test_an_import_that_is_interrupted_leaves_the_namespace_as_it_was(
    content: bytes, scheduler_factory: SchedulerFactory, after_two_parts: None
) -> None:
    other = scheduler_factory(retry_delay=7)
    before = keys_in(other)
    with pytest.raises(Interrupted):
        imported(other, content)
    assert (keys_in(other), other.config().retry_delay) == (before, 7.0)
    imported(other, content)
    assert len(other.task_list()) == 8


def test_where_there_was_no_namespace_an_interrupted_import_leaves_none(
    content: bytes, scheduler_factory: SchedulerFactory, after_two_parts: None
) -> None:
    other = scheduler_factory()
    other._client.delete(*keys_in(other))
    with pytest.raises(Interrupted):
        imported(other, content)
    assert keys_in(other) == set()


def test_an_import_that_is_killed_shows_nothing_and_the_next_one_begins_anew(
    content: bytes, scheduler_factory: SchedulerFactory, clock: FakeClock, after_two_parts: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    other = scheduler_factory()
    with monkeypatch.context() as killed:
        killed.setattr(Import, "_give_up", lambda self: None)
        with pytest.raises(Interrupted):
            imported(other, content)
    assert other._client.exists(other.namespace.key("ids"))
    for call in (other.task_list, lambda: other.get_work(worker="w"), lambda: other.ping(worker="w")):
        with pytest.raises(RedisUnavailable, match=r"import into this namespace.*was broken off.*bsched import"):
            call()
    with pytest.raises(ImportRefused, match=r"Another import .* goes on.* may begin in 60 s"):
        imported(other, content)
    clock.advance(61)
    imported(other, content)
    tasks = [[line for line in lines_in(each) if line["line"] == "task"] for each in (exported(other), content)]
    assert tasks[0] == tasks[1]
    assert len(tasks[0]) == 8


def test_an_import_that_gave_way_to_another_one_changes_nothing_more(
    content: bytes, scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    other = scheduler_factory()
    maintenance = maintenance_of(other)
    begin = {"seconds": "60", "last_number": "1000000000", "paused_families": ""}
    assert maintenance._run(Call("begin_import", token="first", **begin)) == ["begun", 0]
    assert maintenance._run(Call("begin_import", token="second", **begin))[0] == "busy"
    clock.advance(61)
    assert maintenance._run(Call("begin_import", token="second", **begin))[0] in ("begun", "left")
    with pytest.raises(RedisUnavailable):
        maintenance._run(Call("import_records", token="first", words=[]))
    fields = {"tasks": "0", "note": "{}", "option_count": "0", "fields": []}
    maintenance._run(Call("end_import", token="second", outcome="given_up", **fields))
    assert other._client.hget(other.namespace.key("config"), "schema") == SCHEMA_VERSION
    maintenance.close()


def test_options_and_limits_of_the_file_hold_after_an_import(
    scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    source = scheduler_factory(retry_delay=5, batch_emails=True)
    source.update_resources(db=2.5)
    source.add_task(worker="w", task_id="a", family="F")
    source.pause_family(family="F")
    source.pause()
    other = scheduler_factory(retry_delay=9, remove_delay=8)
    imported(other, exported(source))
    assert other.config() == source.config()
    assert other.resource_list() == source.resource_list()
    assert other.is_paused() == {"paused": True}
    other.unpause()
    assert other.get_work(worker="w")["task_id"] is None
    other.unpause_family(family="F")
    assert other.get_work(worker="w")["task_id"] == "a"
