"""The critical path: of all chains of deps that end with a task, the one that takes longest.

No chain can be run faster than one task after the other, so nothing is sooner done by making others faster. How long a
task takes is what its runs have taken so far, and for a run to come the mean of its family.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from broker_sched.contract.graph_replies import CriticalPath, PathStep
from broker_sched.contract.states import Status
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.graph_walk import LOOKED_AT, MISSING, Walk, numbers_of, walk_from
from broker_sched.scheduler.run_times import mean, read_run_times
from broker_sched.scheduler.task_runs import MAX_ATTEMPTS, TaskRuns, read_task_runs

MAX_FAMILIES = 500  # whose run times are read
MAX_NAMED = 20  # families and missing deps


class TimeOf(NamedTuple):
    """Seconds that a task has taken, and will take: what its runs took, and what is to come; None: nobody knows."""

    spent: float
    expected: float | None


def critical_path(
    namespace: Namespace, *, task_id: str | None, submission: str | None, by: str
) -> Commands[CriticalPath | None]:
    """Return the chain of deps that takes longest. Reads up to 1,000 tasks, three or four keys of each."""
    ids = yield from _ends(namespace, task_id, submission)
    if ids is None:
        return None
    first = yield from numbers_of(namespace, ids[:LOOKED_AT])
    if not first and task_id is not None:
        return None
    walk = yield from walk_from(namespace, first, "deps", levels=LOOKED_AT)
    now = float((yield Call("read_clock")))
    runs = yield from read_task_runs(namespace, {n: task.task_id for n, task in walk.tasks.items()}, MAX_ATTEMPTS)
    usual = yield from _usual_times(namespace, walk)
    times = {n: _time_of(runs.get(n), usual.get(task.family), now) for n, task in walk.tasks.items()}
    chain, ring = longest_chain(walk, {n: _seconds(times[n], by) for n in walk.tasks}, first)
    steps = [_step(walk, n, runs.get(n), times[n]) for n in chain]
    missing = [task.task_id for task in walk.tasks.values() if task.state == MISSING]
    unknown = sorted({walk.tasks[n].family for n, time in times.items() if time.expected is None})
    further = sum(walk.further.values()) + len(ids[LOOKED_AT:])
    return {
        "task_id": steps[-1]["task_id"] if steps else None,
        "steps": steps,
        "spent_seconds": sum(step["spent_seconds"] for step in steps),
        "expected_seconds": sum(step["expected_seconds"] or 0.0 for step in steps),
        "looked_at": len(walk.tasks),
        "complete": not further,
        "further": further,
        "unknown_families": unknown[:MAX_NAMED],
        "n_unknown_families": len(unknown),
        "missing": missing[:MAX_NAMED],
        "n_missing": len(missing),
        "cycle": [walk.tasks[n].task_id for n in ring],
    }


def _ends(namespace: Namespace, task_id: str | None, submission: str | None) -> Commands[Sequence[str] | None]:
    """The tasks with which a chain may end; None for an unknown submission."""
    if (task_id is None) == (submission is None):
        raise InvalidArgument("task_id", "give either the task with which the chain ends, or a submission")
    if task_id is not None:
        return [task_id]
    (tasks,) = yield Read([("HGET", namespace.key("submission", submission or ""), "tasks")])
    return None if tasks is None else list(dict.fromkeys(json.loads(tasks)))


def _usual_times(namespace: Namespace, walk: Walk) -> Commands[dict[str, float]]:
    """How long the runs of each family take, where tasks have runs to come and that is known."""
    families = dict.fromkeys(task.family for task in walk.tasks.values() if task.status != Status.DONE)
    found = yield from read_run_times(namespace, list(islice(families, MAX_FAMILIES)))
    usual = {family: mean(seconds) for family, seconds in found.items()}
    return {family: seconds for family, seconds in usual.items() if seconds is not None}


def _time_of(runs: TaskRuns | None, usual: float | None, now: float) -> TimeOf:
    """What a task has taken and will take. usual: what a run of its family takes. runs: None of a missing dep."""
    if runs is None:
        return TimeOf(0.0, usual)
    latest = runs.latest
    spent = sum(
        max(0.0, run["ended"] - run["started"])
        for run in latest.ended_runs(runs.attempts)
        if run["started"] is not None
    )
    if latest.status == Status.DONE:
        return TimeOf(spent, 0.0)
    if not latest.runs or latest.started is None:
        return TimeOf(spent, usual)
    so_far = max(0.0, now - latest.started)
    return TimeOf(spent + so_far, None if usual is None else max(0.0, usual - so_far))


def _seconds(time: TimeOf, by: str) -> float:
    return (time.spent if by != "expected" else 0.0) + (time.expected or 0.0 if by != "spent" else 0.0)


def longest_chain(walk: Walk, seconds: Mapping[str, float], ends: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the chain of tasks that takes longest and ends with one of these, and a ring of deps if there is one.

    Of chains that take equally long it is one with most tasks. In a ring the dep that closes it is left out.
    """
    deps: dict[str, list[str]] = {n: [] for n in walk.tasks}
    for n, needed in walk.edges:
        deps[n].append(needed)
    longest: dict[str, tuple[float, int]] = {}  # of each task that was left: the chain that ends with it
    behind: dict[str, str | None] = {}  # the task before it in that chain
    ring: list[str] = []
    for end in ends:
        path: dict[str, Iterator[str]] = {}
        if end in deps and end not in longest:
            path[end] = iter(deps[end])
        while path:
            n = next(reversed(path))
            dep = next((each for each in path[n] if each not in longest), None)
            if dep is None:
                best = max((each for each in deps[n] if each in longest), key=longest.__getitem__, default=None)
                before = (0.0, 0) if best is None else longest[best]
                longest[n], behind[n] = (before[0] + seconds[n], before[1] + 1), best
                del path[n]
            elif dep in path:
                ring = ring or [*path][[*path].index(dep) :]
            else:
                path[dep] = iter(deps[dep])
    at = max((end for end in ends if end in longest), key=longest.__getitem__, default=None)
    chain: list[str] = []
    while at is not None:
        chain.append(at)
        at = behind[at]
    return chain[::-1], ring


def _step(walk: Walk, n: str, runs: TaskRuns | None, time: TimeOf) -> PathStep:
    task = walk.tasks[n]
    ended = runs.latest.ended_runs(runs.attempts) if runs else []
    last = ended[-1] if ended else None
    if runs is not None and runs.latest.runs:
        started, end, worker = runs.latest.started, None, runs.latest.worker
    elif last is not None:
        started, end, worker = last["started"], last["ended"], last["worker"] or None
    else:
        started, end, worker = None, None, None
    return {
        "task_id": task.task_id,
        "family": task.family,
        "status": task.status,
        "state": task.state,
        "worker": worker,
        "started": started,
        "ended": end,
        "spent_seconds": time.spent,
        "expected_seconds": time.expected,
    }
