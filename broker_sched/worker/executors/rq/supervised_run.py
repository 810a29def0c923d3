"""What an attendant knows of a run that it carries out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from broker_sched.worker.executors.rq.messages import outcome_from, tail_from
from broker_sched.worker.executors.rq.run import Ended, RqRun

MOST_LINES = 20  # of what a task wrote, in an explanation
MOST_CHARACTERS = 4000


@dataclass(eq=False)
class SupervisedRun:
    """A run and its job. id: empty until it is chosen."""

    run: RqRun
    id: str = ""
    is_enqueued: bool = False
    is_adopted: bool = False  # begun by another supervisor, and not yet seen to live
    is_overdue: bool = False  # RQ's timeout has not ended it
    sign: tuple[str, str] = ("", "")  # of life: changes with each beat
    heard_at: float = field(default_factory=time.monotonic)  # when it changed last
    last_word: Ended | None = None  # why it ended without an outcome, while its keys are being removed
    tail: str = ""  # the end of what the task wrote, as it was told last
    is_concluded: bool = False  # its outcome is to be reported; it stays in Redis until that has happened


def last_lines(tail: str) -> str:
    """Of what the task wrote, for its explanation."""
    return "\n".join(tail_from(tail).log.splitlines()[-MOST_LINES:])[-MOST_CHARACTERS:]


def last_word(fields: dict[str, str], tail: str) -> Ended:
    """The outcome that a job has left on the board."""
    try:
        return Ended(outcome_from(fields["outcome"]), "", last_lines(tail), fields["is_timed_out"] == "1")
    except (ValueError, KeyError, TypeError) as error:
        return Ended(None, f"left an outcome that can't be read here ({error}): is broker-sched another version there?")
