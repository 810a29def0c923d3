"""Failures, as the stream `failed_runs` has them."""

from __future__ import annotations

from broker_sched.contract import view_replies
from broker_sched.scheduler.stream_pages import Entry

STREAM = "failed_runs"
KEPT = 10_000  # so many are kept at least


def as_failure(entry: Entry) -> view_replies.Failure:
    """Return the failure that an entry of the stream is."""
    _, fields = entry
    return {
        "task_id": fields["task_id"],
        "family": fields["family"],
        "worker": fields["worker"],
        "host": fields["host"] or None,
        "attempt": int(fields["attempt"]) if fields["attempt"] else None,
        "status": fields["status"],
        "error": fields["error"],
        "time": float(fields["time"]),
    }
