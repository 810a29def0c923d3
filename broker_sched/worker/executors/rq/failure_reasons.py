"""Why a job has ended without returning, in a sentence for people."""

from __future__ import annotations

import os
import re
import signal

from broker_sched.worker.executors.task_process import SIGNALS

ABANDONED = "AbandonedJobError"  # RQ has not heard of the rq worker, nor of its work-horse, for long
WAITPID = re.compile(r"Work-horse terminated unexpectedly; waitpid returned (\d+)")
NOT_IMPORTED = re.compile(r"(ModuleNotFoundError|ImportError|AttributeError|ValueError: Invalid attribute name)\b")


def explain(trace: str, place: str) -> tuple[str, bool]:
    """Say why a job has ended, as the rest of a sentence that begins with the task's id, and whether that is the host's
    fault alone: it never began to run the task.

    trace: what RQ noted, the last line of which tells most; "" for a job that was stopped. place: host and rq worker.
    """
    if not trace.strip():
        return "was stopped through RQ, by someone else than this worker", False
    found = WAITPID.search(trace)
    if found:
        return f"died on {place}: {_end_of_horse(int(found[1]))}", False
    last = trace.strip().splitlines()[-1]
    if ABANDONED in last or "intermediate queue" in last:
        return f"was lost: {place} is gone", True
    if "DeserializationError" in last:
        return f"can't be read by the rq worker on {place}: start it with --serializer json", True
    if "broker_sched" in last and NOT_IMPORTED.match(last):
        hint = "Is broker-sched[rq] installed there, in the same version as here?"
        return f"can't be run on {place}: {last}. {hint}", True
    return f"failed on {place}: {last}", False


def _end_of_horse(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"its work-horse exited with code {code} before the task was through"
    try:
        return re.sub(r"^it\b", "its work-horse", SIGNALS[signal.Signals(-code)])
    except (KeyError, ValueError):
        return f"its work-horse was ended by signal {-code}"
