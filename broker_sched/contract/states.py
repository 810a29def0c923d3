"""Statuses of a task, who may move it from one to the next, and how severe an upstream is.

Source: luigi.task_status and luigi.scheduler.SimpleTaskState.set_status, 3.8.1.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Status(str, Enum):
    """The status of a task, as stored in Redis and sent over the wire."""

    PENDING = "PENDING"  # to be run once its deps are DONE
    RUNNING = "RUNNING"  # handed out to `worker_running`
    BATCH_RUNNING = "BATCH_RUNNING"  # runs as a member of a batch
    DONE = "DONE"
    FAILED = "FAILED"  # goes back to PENDING after retry_delay
    DISABLED = "DISABLED"  # failed too often, or its worker or people said so
    UNKNOWN = "UNKNOWN"  # a placeholder: named as a dep, not added yet


# A task stands in one state: its status, but PENDING split in three.
PENDING_STATES = (
    "READY",  # no dep is missing
    "WAITING",  # for deps
    "BLOCKED",  # by a dep that is DISABLED, or itself blocked
)
STATES = (*PENDING_STATES, *(status.value for status in Status if status is not Status.PENDING))


def states_of(status: str) -> tuple[str, ...]:
    """Return the states in which tasks of this status are; of a state, that state alone."""
    return PENDING_STATES if status == Status.PENDING else (status,)


def status_of(state: str) -> str:
    """Return the status that a task in this state has."""
    return Status.PENDING.value if state in PENDING_STATES else state


class Transition(NamedTuple):
    """One allowed change of status, and why it is allowed."""

    old: Status
    new: Status
    reason: str


S = Status
TRANSITIONS = (
    Transition(S.UNKNOWN, S.PENDING, "the placeholder is added for real"),
    Transition(S.UNKNOWN, S.DONE, "the placeholder is added, already complete, or people say so"),
    Transition(S.UNKNOWN, S.RUNNING, "a worker reports that it runs it"),
    Transition(S.UNKNOWN, S.FAILED, "a worker reports that it failed"),
    Transition(S.UNKNOWN, S.DISABLED, "a worker reports that it is disabled, or people disable it"),
    Transition(S.PENDING, S.RUNNING, "get_work hands it out"),
    Transition(S.PENDING, S.BATCH_RUNNING, "get_work hands it out as a member of a batch"),
    Transition(S.PENDING, S.DONE, "a worker found it complete, or people say so"),
    Transition(S.PENDING, S.FAILED, "a worker could not schedule it"),
    Transition(S.PENDING, S.DISABLED, "a worker or people disable it, or one failure too many does"),
    Transition(S.PENDING, S.UNKNOWN, "a worker can't tell its state any more"),
    Transition(S.RUNNING, S.DONE, "its worker reports success, or someone marks it as done"),
    Transition(S.RUNNING, S.FAILED, "its worker reports failure, or is dead"),
    Transition(S.RUNNING, S.DISABLED, "a failure too many"),
    Transition(S.RUNNING, S.PENDING, "it found new deps, or its worker gives it back: it leaves, or can't load it"),
    Transition(S.RUNNING, S.UNKNOWN, "it found new deps while running"),
    Transition(S.BATCH_RUNNING, S.DONE, "the combined task is done"),
    Transition(S.BATCH_RUNNING, S.FAILED, "the combined task failed, or its worker is dead"),
    Transition(S.BATCH_RUNNING, S.DISABLED, "a failure too many"),
    Transition(S.BATCH_RUNNING, S.RUNNING, "its worker reports it on its own"),
    Transition(S.BATCH_RUNNING, S.PENDING, "its batch was never started, or its worker can't load it"),
    Transition(S.BATCH_RUNNING, S.UNKNOWN, "it is reported with new deps"),
    Transition(S.DONE, S.PENDING, "it is added again, after the cooldown"),
    Transition(S.DONE, S.RUNNING, "a worker reports that it runs it"),
    Transition(S.DONE, S.FAILED, "a worker reports failure"),
    Transition(S.DONE, S.DISABLED, "a worker or people disable it"),
    Transition(S.DONE, S.UNKNOWN, "a worker can't tell its state any more"),
    Transition(S.FAILED, S.PENDING, "retry_delay has passed, it is added again, retried or forgiven"),
    Transition(S.FAILED, S.RUNNING, "a worker reports that it runs it"),
    Transition(S.FAILED, S.DONE, "a worker found it complete, or someone marks it as done"),
    Transition(S.FAILED, S.DISABLED, "a failure too many, or a worker or people disable it"),
    Transition(S.FAILED, S.UNKNOWN, "a worker can't tell its state any more"),
    Transition(S.DISABLED, S.DONE, "a worker found it complete, or someone marks it as done"),
    Transition(S.DISABLED, S.FAILED, "disable_persist has passed, or it is re-enabled"),
    Transition(S.DISABLED, S.PENDING, "it was disabled by a worker and is added again, or people retry it"),
    Transition(S.DISABLED, S.RUNNING, "it was disabled by a worker, which now runs it"),
    Transition(S.DISABLED, S.UNKNOWN, "it was disabled by a worker that can't tell any more"),
)

# The worst of a PENDING task's deps that are not DONE, mildest first.
UPSTREAM_SEVERITY = (
    "",
    "UPSTREAM_RUNNING",
    "UPSTREAM_MISSING_INPUT",
    "UPSTREAM_FAILED",
    "UPSTREAM_DISABLED",
)

UPSTREAM_OF_STATUS = {
    Status.FAILED: "UPSTREAM_FAILED",
    Status.RUNNING: "UPSTREAM_RUNNING",
    Status.BATCH_RUNNING: "UPSTREAM_RUNNING",
    Status.PENDING: "UPSTREAM_MISSING_INPUT",
    Status.DISABLED: "UPSTREAM_DISABLED",
}
