"""What the job supervisor knows of a run and its job."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from broker_sched.worker.executors.rq.messages import result_from_text, tail_from_text
from broker_sched.worker.executors.rq.run import Ended, RqRun

MOST_LINES = 20  # of what a task wrote, in an explanation
MOST_CHARACTERS = 4000


@dataclass(eq=False)
class SupervisedRun:
    """A run and the job that carries it out. id: the job's, empty until it is chosen."""

    run: RqRun
    id: str = ""
    is_enqueued: bool = False
    is_adopted: bool = False  # begun by another supervisor, and not yet seen to live
    is_overdue: bool = False  # RQ's timeout has not ended it
    sign: tuple[str, str] = ("", "")  # of life: changes with each beat
    heard_at: float = field(default_factory=time.monotonic)  # when it changed last
    last_word: Ended | None = None  # why it ended without a result, while its keys are being removed
    tail: str = ""  # the end of what the task wrote, as it was told last
    is_concluded: bool = False  # its result is to be reported; it stays in Redis until that has happened


def last_lines(tail: str) -> str:
    """Return the last MOST_LINES lines of a tail, at most MOST_CHARACTERS, for the explanation of a failure.

    tail: as tail_to_text() writes it.
    """
    return "\n".join(tail_from_text(tail).log.splitlines()[-MOST_LINES:])[-MOST_CHARACTERS:]


def last_word(fields: dict[str, str], tail: str) -> Ended:
    """Make an Ended of the fields in which a job has left its result. tail: as tail_to_text() writes it."""
    try:
        return Ended(result_from_text(fields["result"]), "", last_lines(tail), fields["is_timed_out"] == "1")
    except (ValueError, KeyError, TypeError) as error:
        return Ended(None, f"left a result that can't be read here ({error}): is broker-sched another version there?")
