"""Which task ran where, from when to when: told by the tasks that are there, and by the events of those that ended.

Both are read from the end of the time that is asked for on back, and their entries taken in turn, so that what is
returned is in order, and a cursor has a place in each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from broker_sched.contract import timeline_replies
from broker_sched.contract.states import Status
from broker_sched.contract.types import MAX_LISTED
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.family_counts import read_counts
from broker_sched.scheduler.merged_sets import MergedSets
from broker_sched.scheduler.operations.events import EVENT_ID, KEPT
from broker_sched.scheduler.paging import Place, make_cursor, read_paced, read_place
from broker_sched.scheduler.records import ids_of, pairs
from broker_sched.scheduler.stream_pages import Entry, StreamPages
from broker_sched.scheduler.task_runs import FIELDS, RUNNING, TaskRuns, latest_run, read_task_runs

MAX_ENTRIES = 2000  # of the events, in one call
BATCH = 100  # tasks looked at in one go
BEHIND_NUMBERS = "~"  # a member that comes after all numbers of the same score
ENDED = (Status.DONE.value, Status.FAILED.value, Status.DISABLED.value)  # a run may have left a task so
RawEntry: TypeAlias = tuple[str, Any]  # an entry of a stream: its id, and its fields as Redis gives them


class _Asked(NamedTuple):
    """Which runs are wanted: that ended from since to until, on this worker, of this family."""

    since: float | None
    until: float
    worker: str | None
    family: str | None

    def admits(self, run: timeline_replies.Run) -> bool:
        """Return whether it is a run on this worker, of this family."""
        return self.worker in (None, run["worker"]) and self.family in (None, run["family"])


class _Entry(NamedTuple):
    """What a source has at one place, since when, and the run of which it tells, if it tells of one that is wanted."""

    time: float
    place: tuple[str, ...]
    run: timeline_replies.Run | None


class _Source:
    """Entries in their order, the latest first, of which a call looks at no more than `most`.

    ahead: those that were read and not taken. place: of the last one taken. looked_at: how many were read. is_read:
    whether that is all.
    """

    def __init__(self, place: tuple[str, ...], most: int) -> None:
        self.place = place
        self.most = most
        self.ahead: deque[_Entry] = deque()
        self.looked_at = 0
        self.is_read = False

    def read(self) -> Commands[None]:
        """Read some more of them."""
        raise NotImplementedError

    @property
    def is_at_end(self) -> bool:
        """Whether there are no more to be taken."""
        return self.is_read and not self.ahead

    def take(self) -> _Entry:
        """Return the next one."""
        entry = self.ahead.popleft()
        self.place = entry.place
        return entry


class _Tasks(_Source):
    """The tasks that are there and DONE, FAILED or DISABLED, by since when."""

    def __init__(self, namespace: Namespace, asked: _Asked, keys: Sequence[str], place: Place, wanted: int) -> None:
        super().__init__(place, MAX_LISTED)
        self._namespace, self._asked = namespace, asked
        self._merged = MergedSets(namespace, keys, place, reverse=True, least=asked.since, wanted=wanted)

    def read(self) -> Commands[None]:
        """Read the next tasks."""
        members = yield from self._merged.take(BATCH)
        self.looked_at += len(members)
        self.is_read = self._merged.is_at_end
        ids = yield from ids_of(self._namespace, [each.place.member for each in members])
        runs = yield from read_task_runs(self._namespace, ids, attempts=1)
        for _, place in members:
            told, time = runs.get(place.member), float(place.score)
            # It may have changed since its number was read.
            run = _last_run(ids[place.member], told) if told and told.latest.updated == time else None
            self.ahead.append(_Entry(time, place, run if run and self._asked.admits(run) else None))


class _Events(_Source):
    """The events. They tell of the ends of runs, but for those of which a task that is there tells, too.

    before: an id that is after all that are wanted; '' where all may be.
    """

    def __init__(self, namespace: Namespace, asked: _Asked, before: str) -> None:
        super().__init__((before,), MAX_ENTRIES)
        self._namespace, self._asked = namespace, asked
        self._pages = StreamPages(namespace, "events", before=before or None)

    def read(self) -> Commands[None]:
        """Read the next events."""
        page = yield from self._pages.next_page()
        self.looked_at, self.is_read = self._pages.looked_at, self._pages.is_at_end
        runs = [run if run and self._is_wanted(run) else None for run in map(_run_of, page)]
        told = yield from self._told_by_tasks([run for run in runs if run])
        for (entry_id, fields), run in zip(page, runs):
            time = float(fields["time"])
            if self._asked.since is not None and time < self._asked.since:
                self.is_read = True
                return
            is_told = run is not None and (run["task_id"], time, run["outcome"]) in told
            self.ahead.append(_Entry(time, (entry_id,), None if is_told else run))

    def _is_wanted(self, run: timeline_replies.Run) -> bool:
        return run["ended"] is not None and run["ended"] <= self._asked.until and self._asked.admits(run)

    def _told_by_tasks(self, runs: Sequence[timeline_replies.Run]) -> Commands[set[tuple[str, float, str]]]:
        """The tasks of these runs that stand as a run left them, since when, and how: _Tasks has that run."""
        ids = list(dict.fromkeys(run["task_id"] for run in runs))
        replies = yield from read_paced([("HMGET", self._namespace.key("task", each), *FIELDS) for each in ids])
        latest = [(task_id, latest_run(*fields)) for task_id, fields in zip(ids, replies) if fields[0] is not None]
        return {
            (task_id, run.updated, run.status)
            for task_id, run in latest
            if run.status in ENDED and (run.status != Status.DONE or run.done_run(()))
        }


def timeline(
    namespace: Namespace,
    *,
    since: float | None,
    until: float | None,
    worker: str | None,
    family: str | None,
    cursor: str | None,
    limit: int,
) -> Commands[timeline_replies.Timeline]:
    """Return runs, the last ones first. Reads up to 1,000 tasks and 2,000 events, and the heads of families' sets."""
    arguments = [since, until, worker, family]
    now = float((yield Call("read_clock")))
    asked = _Asked(since, now if until is None else until, worker, family)
    running: list[timeline_replies.Run] = []
    all_running = True
    if cursor is None:
        place, before = Place(repr(asked.until), BEHIND_NUMBERS), (yield from _before_which(namespace, asked.until))
        running, all_running = yield from _running(namespace, asked)
    else:
        found, (before,) = read_place("timeline", arguments, cursor, str)
        if found is None or not (before == "" or EVENT_ID.fullmatch(before)):
            raise InvalidArgument("cursor", "is none: give the one of the reply before, or leave it out to begin anew")
        place = found
    keys = yield from _keys(namespace, asked.family, ENDED, since)
    tasks, events = _Tasks(namespace, asked, keys, place, limit), _Events(namespace, asked, before)
    ended = yield from _merge((tasks, events), limit)
    is_all = tasks.is_at_end and events.is_at_end
    return {
        "runs": [*running, *ended],
        "cursor": None if is_all else make_cursor("timeline", arguments, (*tasks.place, *events.place)),
        "now": now,
        "all_running": all_running,
        "whole_since": (yield from _whole_since(namespace)),
    }


def _merge(sources: Sequence[_Source], limit: int) -> Commands[list[timeline_replies.Run]]:
    """Take what the sources have in the order of time, so many runs at the most."""
    found: list[timeline_replies.Run] = []
    while len(found) < limit:
        for source in sources:
            while not source.ahead and not source.is_read:
                if source.looked_at >= source.most:
                    return found
                yield from source.read()
        left = [source for source in sources if source.ahead]
        if not left:
            break
        entry = max(left, key=lambda source: source.ahead[0].time).take()
        if entry.run is not None:
            found.append(entry.run)
    return found


def _running(namespace: Namespace, asked: _Asked) -> Commands[tuple[list[timeline_replies.Run], bool]]:
    """The runs that have not ended, those that began last first, and whether all were looked at."""
    keys = yield from _keys(namespace, asked.family, RUNNING)
    place = Place(repr(asked.until), BEHIND_NUMBERS)
    merged = MergedSets(namespace, keys, place, reverse=True, least=None, wanted=MAX_LISTED)
    found: list[timeline_replies.Run] = []
    for _ in range(MAX_LISTED // BATCH):
        members = yield from merged.take(BATCH)
        ids = yield from ids_of(namespace, [each.place.member for each in members])
        runs = yield from read_task_runs(namespace, ids, attempts=1)
        for n, (latest, _) in runs.items():
            if latest.runs:
                run = _run(ids[n], latest.family, latest.worker, latest.started or latest.updated, None, latest.status)
                found += [run] if asked.admits(run) else []
        if merged.is_at_end:
            break
    return found, merged.is_at_end


def _last_run(task_id: str, told: TaskRuns) -> timeline_replies.Run | None:
    """The run by which a task became what it is; None where that was no run."""
    latest, attempts = told
    last = latest.done_run(attempts)
    if last is None and attempts and latest.status != Status.DONE and attempts[-1]["ended"] == latest.updated:
        last = attempts[-1]
    if last is None:
        return None
    return _run(task_id, latest.family, last["worker"], last["started"], last["ended"], last["outcome"])


def _run_of(entry: Entry) -> timeline_replies.Run | None:
    """The run that ended by this event; None where none did."""
    _, fields = entry
    old, new = fields["from"], fields["to"]
    if old not in RUNNING or new in RUNNING:  # what changes no status is told with twice the same
        return None
    started = float(fields["started"]) if "started" in fields else None
    return _run(fields["task_id"], fields.get("family", ""), fields.get("worker"), started, float(fields["time"]), new)


def _run(
    task_id: str, family: str, worker: str | None, started: float | None, ended: float | None, outcome: str
) -> timeline_replies.Run:
    return {
        "task_id": task_id,
        "family": family,
        "worker": worker or None,
        "started": started,
        "ended": ended,
        "outcome": outcome,
    }


def _keys(
    namespace: Namespace, family: str | None, states: Sequence[str], least: float | None = None
) -> Commands[list[str]]:
    """The sorted sets of these states that have entries."""
    counts = yield from read_counts(namespace, None if family is None else [family], states, least)
    return [namespace.key("tasks", state, each) for each, by_state in counts.items() for state in by_state]


def _before_which(namespace: Namespace, until: float) -> Commands[str]:
    """An id before which are all events up to this moment, by halving; '' where no event is later.

    An id is by Redis's clock and the time of an event by the scheduler's, which may differ; their order is the same.
    """
    key = namespace.key("events")
    first, last = yield Read([("XRANGE", key, "-", "+", "COUNT", "1"), ("XREVRANGE", key, "+", "-", "COUNT", "1")])
    if not last or _time(last[0]) <= until:
        return ""
    least, most = _milliseconds(first[0]), _milliseconds(last[0])
    while least < most:
        middle = (least + most) // 2
        (found,) = yield Read([("XRANGE", key, f"{middle}-0", "+", "COUNT", "1")])
        if found and _time(found[0]) <= until:
            least = middle + 1
        else:
            most = middle
    return f"{most + 1}-0"


def _whole_since(namespace: Namespace) -> Commands[float | None]:
    """Since when all events are there; None: since the first one."""
    key = namespace.key("events")
    size, first = yield Read([("XLEN", key), ("XRANGE", key, "-", "+", "COUNT", "1")])
    return _time(first[0]) if first and size >= KEPT else None


def _time(entry: RawEntry) -> float:
    return float(pairs(entry[1])["time"])


def _milliseconds(entry: RawEntry) -> int:
    return int(entry[0].partition("-")[0])
