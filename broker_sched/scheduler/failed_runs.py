"""The stream `failed_runs`, read from the newest entry on."""

from __future__ import annotations

from typing import Any

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.records import pairs

PAGE = 100  # entries read together
KEPT = 10_000  # so many are kept at least


class FailedRuns:
    """Failures, newest first, read a page at a time. looked_at: how many were. is_at_end: whether that is all."""

    def __init__(self, namespace: Namespace) -> None:
        self._key = namespace.key("failed_runs")
        self._before: str | None = None  # the id of the last entry that was read
        self.is_at_end = False
        self.looked_at = 0

    def next_page(self) -> Commands[list[view_replies.Failure]]:
        """Return the next failures; fewer than PAGE only at the end."""
        start, count = (self._before, PAGE + 1) if self._before else ("+", PAGE)
        (entries,) = yield Read([("XREVRANGE", self._key, start, "-", "COUNT", str(count))])
        self.is_at_end = len(entries) < count
        fresh = [entry for entry in entries if entry[0] != self._before]
        if fresh:
            self._before = fresh[-1][0]
        self.looked_at += len(fresh)
        return [_failure(pairs(fields)) for _, fields in fresh]


def _failure(fields: dict[str, Any]) -> view_replies.Failure:
    return {
        "task_id": fields["task_id"],
        "family": fields.get("family", ""),
        "worker": fields.get("worker", ""),
        "host": fields.get("host") or None,
        "attempt": int(fields["attempt"]) if fields.get("attempt") else None,
        "status": fields["status"],
        "error": fields.get("error", ""),
        "time": float(fields["time"]),
    }
