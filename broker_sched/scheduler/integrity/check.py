"""The self-check: every index compared with what the tasks say it should hold, and mended on request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from broker_sched.scheduler.integrity.expected_indexes import NOBODY, RUNNING_STATUSES, ExpectedIndexes, sum_of_text
from broker_sched.scheduler.integrity.snapshot import Snapshot
from broker_sched.scheduler.keys import KEPT, KEYS, RECOMPUTED

DERIVED = frozenset(key.pattern.partition(":")[0] for key in KEYS if key.check == RECOMPUTED)
FACTS = frozenset(key.pattern.partition(":")[0] for key in KEYS if key.check == KEPT)  # read, but not derived
OF_A_TASK = ("deps", "failures", "attempts")  # <kind>:<n>: leaked when there is no such task
WORKERS_OWN = ("worker_info", "messages", "refusals", "refusal_reasons")  # <kind>:<worker_id>: likewise


class Difference(NamedTuple):
    """An index in Redis that is not as the tasks say it should be."""

    key: str  # without the namespace's prefix; a task's field as task:<task_id>#<field>
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.key}: expected {_short(self.expected)}, found {_short(self.found)}"


def compare(snapshot: Snapshot) -> list[Difference]:
    """Return all differences between the indexes in a snapshot and those that follow from its tasks; none when all is
    right."""
    indexes = ExpectedIndexes(snapshot)
    differences = [
        *_derived(snapshot, indexes),
        *_task_fields(indexes),
        *_due(snapshot, indexes),
        *_interned(snapshot),
        *_leaks(snapshot, indexes),
    ]
    return sorted(differences, key=lambda each: each.key)


TASK_INDEX_FIELDS = ("tally", "counted", "ready", "batched", "blocked", "ready_since", "date")


class AtLeast(set[str]):
    """The content that was found of an index that may hold more than it must: only what lacks is added."""


def _derived(snapshot: Snapshot, indexes: ExpectedIndexes) -> Iterator[Difference]:
    names = {name for name in snapshot.content if _kind(name) in DERIVED and not _is_worker_set_fact(name)}
    for name in names | set(indexes.expected):
        expected, found = indexes.expected.get(name), snapshot.content.get(name)
        if name.startswith("runner_set:") and isinstance(found, dict) and name.count(":") == 1:
            found = {field: value for field, value in found.items() if value != "0" or field in ("size", "key")}
        if name == "used":
            expected, found = _exact(expected), _exact(found)
        if expected != found:
            yield Difference(name, indexes.expected.get(name), snapshot.content.get(name))


def _is_worker_set_fact(name: str) -> bool:
    """Return whether the key holds the members of a runner set or stakeholder set.

    A worker that left can't be told from the tasks, so these are taken as facts.
    """
    return name.startswith(("runner_set:", "stakeholder_set:")) and name.endswith(":workers")


def _exact(amounts: dict[str, str] | None) -> dict[str, Fraction | str]:
    exact: dict[str, Fraction | str] = dict(amounts or {})
    for name, text in (amounts or {}).items():
        with contextlib.suppress(ValueError):  # what is no number stays as it is, and differs
            exact[name] = sum_of_text(text)
    return exact


def _task_fields(indexes: ExpectedIndexes) -> Iterator[Difference]:
    for task_id, wanted in indexes.fields.items():
        for field, expected in wanted.items():
            found = indexes.tasks[task_id].get(field) or None  # '' is nowhere, too
            if expected != found:
                yield Difference(f"task:{task_id}#{field}", expected, found)


def _due(snapshot: Snapshot, indexes: ExpectedIndexes) -> Iterator[Difference]:
    """Due times, and what the next prune must look at (it may look at more)."""
    by_status: dict[str, set[str]] = {}
    for task in indexes.tasks.values():
        by_status.setdefault(task["status"], set()).add(task["n"])
    retry = snapshot.content.get("due:retry") or {}
    failed = by_status.get("FAILED", set())
    if set(retry) != failed:
        yield Difference("due:retry", {n: retry.get(n, 0.0) for n in failed}, retry)
    for name in ("due:enable", "due:postponed"):
        times = indexes.expected.pop(name, None) or {}
        if times != (snapshot.content.get(name) or {}):
            yield Difference(name, times, snapshot.content.get(name))
    remove = snapshot.content.get("due:remove") or {}
    if gone := set(remove) - set(indexes.by_number):
        yield Difference("due:remove", {n: t for n, t in remove.items() if n not in gone}, remove)
    without_stakeholders = {
        task["n"]
        for task in indexes.tasks.values()
        if task.get("stakeholder_set", NOBODY) == NOBODY
        and task["status"] != "RUNNING"
        and "disabled_by" not in task
        and task["n"] not in remove
    }
    orphaned_runs = {task["n"] for task in indexes.tasks.values() if _is_orphaned_run(snapshot, task)}
    for name, needed in (("without_stakeholders", without_stakeholders), ("orphaned_runs", orphaned_runs)):
        found = snapshot.members(name)
        if needed - found:
            yield Difference(name, needed, AtLeast(found))


def _is_orphaned_run(snapshot: Snapshot, task: dict[str, str]) -> bool:
    if task["status"] not in RUNNING_STATUSES or not task.get("worker_running"):
        return False
    runner = snapshot.hash(f"worker:{task['worker_running']}")
    if runner.get("assistant") == "1":
        return False
    return runner.get("w") not in snapshot.members(f"stakeholder_set:{task.get('stakeholder_set', NOBODY)}:workers")


def _interned(snapshot: Snapshot) -> Iterator[Difference]:
    """An entry of `runner_sets` or `stakeholder_sets` must name a worker set that has this key and size."""
    for kind in ("runner_set", "stakeholder_set"):
        entries = snapshot.hash(f"{kind}s")
        right = {}
        for key, entry in entries.items():
            worker_set, size = entry.split(" ")
            found = snapshot.hash(f"{kind}:{worker_set}")
            if found.get("key") == key and found.get("size") == size:
                right[key] = entry
        if right != entries:
            yield Difference(f"{kind}s", right, entries)


def _leaks(snapshot: Snapshot, indexes: ExpectedIndexes) -> Iterator[Difference]:
    records = dict(snapshot.named("worker"))
    workers = set(records)
    callers = {name for name, worker in records.items() if "submission" not in worker}
    if callers != snapshot.members("workers"):
        contacts = snapshot.content.get("workers") or {}
        lost = {name: float(records[name].get("last_get_work", records[name].get("started", "0"))) for name in callers}
        yield Difference("workers", {name: contacts.get(name, since) for name, since in lost.items()}, contacts)
    for name, found in snapshot.content.items():
        kind, _, rest = name.partition(":")
        unknown = kind not in DERIVED and kind not in FACTS
        taskless = (kind in OF_A_TASK and rest not in indexes.by_number) or (
            kind == "detail" and rest not in indexes.tasks
        )
        workerless = kind in WORKERS_OWN and rest not in workers
        if unknown or taskless or workerless:
            yield Difference(name, None, found)


def _kind(name: str) -> str:
    return name.partition(":")[0]


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"
