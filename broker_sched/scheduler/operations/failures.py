"""What failed lately, in groups."""

from __future__ import annotations

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Call, Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.failed_runs import KEPT, STREAM, as_failure
from broker_sched.scheduler.stream_pages import StreamPages

MAX_WORKERS = 20  # named in a group


class _Groups:
    """Failures by family and last line of the error; they are added newest first."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], view_replies.FailureGroup] = {}
        self._tasks: dict[tuple[str, str], set[str]] = {}
        self.total = 0
        self.oldest: float | None = None

    def add(self, failure: view_replies.Failure) -> None:
        name = (failure["family"], failure["error"])
        group = self.found.get(name)
        if group is None:
            group = self.found[name] = _group(failure)
            self._tasks[name] = set()
        group["count"] += 1
        group["first"] = failure["time"]
        self._tasks[name].add(failure["task_id"])
        workers = group["workers"]
        if failure["worker"] and failure["worker"] not in workers and len(workers) < MAX_WORKERS:
            workers.append(failure["worker"])
        self.total += 1
        self.oldest = failure["time"]

    def most_first(self) -> list[view_replies.FailureGroup]:
        for name, group in self.found.items():
            group["tasks"] = len(self._tasks[name])
        return sorted(self.found.values(), key=lambda group: (-group["count"], -group["last"]))


def failures(namespace: Namespace, *, since_seconds: float, limit: int) -> Commands[view_replies.Failures]:
    """Return what failed since then, in groups. Reads up to 10,000 entries of the stream."""
    since = float((yield Call("read_clock"))) - since_seconds
    groups, pages = _Groups(), StreamPages(namespace, STREAM)
    is_reached = False
    while not (is_reached or pages.is_at_end or pages.looked_at >= KEPT):
        page = map(as_failure, (yield from pages.next_page()))
        for failure in page:
            is_reached = is_reached or failure["time"] < since
            if not is_reached:
                groups.add(failure)
    # Nothing was ever dropped from a stream that is shorter than what is kept.
    is_complete = is_reached or pages.looked_at < KEPT
    found = groups.most_first()
    return {
        "failures": found[:limit],
        "groups": len(found),
        "total": groups.total,
        "since": since if is_complete or groups.oldest is None else groups.oldest,
        "complete": is_complete,
    }


def _group(failure: view_replies.Failure) -> view_replies.FailureGroup:
    return {
        "family": failure["family"],
        "error": failure["error"],
        "count": 0,
        "tasks": 0,
        "first": failure["time"],
        "last": failure["time"],
        "example": failure["task_id"],
        "workers": [],
    }
