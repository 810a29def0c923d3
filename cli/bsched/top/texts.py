"""A task, the reason why it does not run, and its log, as text for a dialog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from broker_sched.plain_text import shown
from bsched.output import duration, number, text
from bsched.top.calls import Calls

MAX_CAUSES = 20  # told


def distance(now: float, moment: float) -> str:
    """Return how far a moment is from another one: `5 min ago`, `in 2 h 3 min`."""
    told = duration(round(abs(moment - now)))
    return f"in {told}" if moment > now else f"{told} ago"


async def details_of(calls: Calls, task_id: str, now: float) -> str:
    """Return all that is known of a task."""
    task = await calls.call("task_details", task_id=task_id)
    if task is None:
        return f"{task_id} is not there any more, or never was."
    return shown("\n".join(_details(task, now)))


async def why_of(calls: Calls, task_id: str) -> str:
    """Return why a task does not run, or how it stands: a sentence, and the causes down to the root."""
    reply = await calls.call("why", task_id=task_id)
    lines = [reply["sentence"]]
    causes = [cause for cause in reply["causes"] if cause["sentence"] != reply["sentence"]]
    if causes:
        lines += ["", *(f"- {cause['sentence']}" for cause in causes[:MAX_CAUSES])]
    left_out = reply["other_causes"] + max(0, len(causes) - MAX_CAUSES)
    if left_out:
        lines.append(f"… and {left_out:,} more.")
    return shown("\n".join(lines))


async def log_of(calls: Calls, task_id: str) -> str:
    """Return the end of what a task's latest run wrote."""
    reply = await calls.call("task_log", task_id=task_id)
    if reply["log"] is None:
        return "No log is kept of its latest run. Workers keep it that capture output, as bsched worker does."
    return shown(reply["log"]) or "It has written nothing so far."


def _details(task: dict[str, Any], now: float) -> Iterator[str]:
    facts = {
        "id": task["task_id"],
        "state": f"{task['state']} for {duration(max(0.0, now - task['since']))}",
        "worker": text(task["worker"]),
        "may be run by": f"{number(task['n_workers'])} workers: {text(task['workers'])}",
        "priority": number(task["priority"]),
        "resources": text(task["resources"]),
        "deps": f"{number(task['n_deps'])}, of which {number(task['n_unmet'])} are not DONE",
        "dependents": number(task["n_dependents"]),
        "module": text(task["module"]),
        "retry": "" if task["retry_at"] is None else distance(now, task["retry_at"]),
        "enabled again": "" if task["disabled_until"] is None else distance(now, task["disabled_until"]),
        "message": task["message"] or "",
        "progress": "" if task["progress"] is None else f"{number(task['progress'])} %",
        "memory": "" if task["memory"] is None else f"{number(task['memory'] / 1e6)} MB",
        "tracking url": task["tracking_url"] or "",
    }
    yield task["display_name"]
    yield ""
    for name, value in facts.items():
        if value:
            yield f"{name:>14}  {value}"
    if task["attempts"]:
        yield from ("", "Its last runs:")
        for each in reversed(task["attempts"]):
            took = None if each["started"] is None else each["ended"] - each["started"]
            ended = distance(now, each["ended"])
            yield f"  {each['outcome']} {ended}, after {duration(took)}, on {each['worker']}  {each['error'] or ''}"
    if task["error"]:
        yield from ("", task["error"])
