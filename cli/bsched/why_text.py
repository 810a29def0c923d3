"""The answer of the method `why` as the lines that `bsched task why` prints."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from broker_sched.contract.why_replies import Cause, Why

MOST_SHOWN = 10  # causes, and workers and holders of each
MOST_NAMED = 3  # of those, in the sentence


def why_lines(reply: Why) -> list[str]:
    """Return the lines, without their ends: what the answer is, below it each cause, and what can be done about it."""
    if reply["code"] != "deps":
        return [reply["sentence"], *_below(reply["causes"][0], "  ")]
    deps = "1 dep that is" if reply["unmet"] == 1 else f"{reply['unmet']:,} deps that are"
    lines = [f"{reply['task_id']} waits for {deps} not DONE. At the root:" if reply["unmet"] else reply["sentence"]]
    for cause in reply["causes"][:MOST_SHOWN]:
        lines += [f"- {cause['sentence']}", *_below(cause, "    ")]
    left = sum(cause["others"] + 1 for cause in reply["causes"][MOST_SHOWN:]) + reply["other_causes"]
    if left:
        lines.append(f"- and {left:,} more at the root, for other reasons")
    if not reply["complete"]:
        lines.append(f"Only {reply['looked_at']:,} tasks were looked at; there are more, so counts are lower bounds.")
    return lines


def _below(cause: Cause, indent: str) -> Iterator[str]:
    if cause["others"]:
        yield f"{indent}and {cause['others']:,} {'other' if cause['others'] == 1 else 'others'} for the same reason"
    for worker in cause.get("workers", [])[MOST_NAMED:MOST_SHOWN]:
        where = f" on {worker['host']}" if worker.get("host") else ""
        yield f"{indent}worker {worker['worker'] or '(name not kept)'}{where}: {worker['state']}"
    for holder in cause.get("holders", [])[MOST_NAMED:MOST_SHOWN]:
        yield f"{indent}{holder['amount']:g} of {cause['resource']}: {holder['task_id']} on {holder['worker']}"
    if command := _command(cause):
        yield f"{indent}→ {command}"


def _command(cause: Cause) -> str:
    """The command that mends it, where one does."""
    task = shlex.quote(cause["task_id"])
    commands = {
        "failed": f"bsched task retry {task}",
        "disabled": f"bsched task enable {task}",
        "paused": "bsched resume",
        "family_paused": f"bsched resume {shlex.quote(cause.get('family', ''))}",
        "over_limit": f"bsched resource set {shlex.quote(cause.get('resource', ''))} {cause.get('wanted', 0):g}",
        "deps": f"bsched task why {task}",
        "external": f"bsched task done {task}",
    }
    return commands.get(cause["code"], "")
