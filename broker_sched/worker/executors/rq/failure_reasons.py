"""Why a job has ended without a result of its task, in a sentence for people."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping

from broker_sched.worker.executors.task_process import SIGNALS

WAITPID = re.compile(r"Work-horse terminated unexpectedly; waitpid returned (\d+)")
STOPPED, CANCELED, DELETED = "stopped", "canceled", ""  # states of RQ's jobs; the last one when there is none


def explain(state: str, trace: str, place: str) -> str:
    """Say why a job has ended without a result, as the rest of a sentence that begins with the task's id.

    state: RQ's name of it. trace: what RQ noted, the last line of which tells most. place: host and rq worker.
    """
    if state == DELETED:
        return "has no RQ job any more: it was deleted, possibly by `rq empty`, before it was through"
    if state in (STOPPED, CANCELED):
        return f"was {state} through RQ, by someone else than this worker"
    found = WAITPID.search(trace)
    if found:
        return f"died on {place}: {_end_of_horse(int(found[1]))}"
    last = trace.strip().splitlines()[-1] if trace.strip() else f"its RQ job is {state}, but left no result"
    if "DeserializationError" in last:
        return f"can't be read by the rq worker on {place}: start it with --serializer json"
    if "broker_sched" in last:
        return f"can't be run on {place}: {last}. Is broker-sched[rq] installed there, in the same version as here?"
    return f"failed on {place}: {last}"


def explain_silence(fields: Mapping[str, str], seconds: float) -> str:
    """Say that a job is lost, of which neither its work-horse nor its rq worker was heard of for so many seconds.

    fields: what run_records.py keeps of the job.
    """
    place = f"{fields.get('host', 'an unknown host')}, pid {fields.get('pid', 'unknown')}"
    return (
        f"was lost: its work-horse ({place}) has not been heard of for {seconds:.0f} s, and its rq worker does not "
        "say that it runs. It was killed, it exited by itself (os._exit?), or its machine is gone"
    )


def _end_of_horse(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"its work-horse exited with code {code} before the task was through"
    try:
        return re.sub(r"^it\b", "its work-horse", SIGNALS[signal.Signals(-code)])
    except (KeyError, ValueError):
        return f"its work-horse was ended by signal {-code}"
