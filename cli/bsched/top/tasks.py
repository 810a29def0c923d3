"""The tab of tasks: the newest first, filtered by the scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broker_sched.contract.states import STATES, Status
from bsched.output import duration, number, text
from bsched.top.base_tab import BaseTab, Column, Row
from bsched.top.calls import Calls

SHOWN = 100
STATUSES = frozenset({*STATES, *(status.value for status in Status)})
FIELDS = ("family", "worker", "error")


def filters_of(typed: str) -> dict[str, Any]:
    """Return the arguments of `tasks` for what was typed: `FAILED family=Load error=timeout day=3 words`.

    A status or state stands alone; family=, worker= and error= are what they say, any other NAME=VALUE is a parameter,
    all else are words of the name. A blank in a value is written `\\ `.
    """
    arguments: dict[str, Any] = {}
    params: dict[str, str] = {}
    words = []
    for word in typed.replace("\\ ", "\0").split():
        word = word.replace("\0", " ")
        name, equals, value = word.partition("=")
        if word.upper() in STATUSES:
            arguments["status"] = word.upper()
        elif equals and name in FIELDS:
            arguments[name] = value
        elif equals and name:
            params[name] = value
        else:
            words.append(word)
    return {**arguments, **({"params": params} if params else {}), **({"text": " ".join(words)} if words else {})}


def in_filter(value: str) -> str:
    """Return a value as it is typed in a filter."""
    return value.replace(" ", "\\ ")


class TasksTab(BaseTab):
    """The 100 tasks that changed last, of those that the filter lets through."""

    TITLE = "Tasks"
    KEY = "task_id"
    FILTER = "FAILED family=F worker=W error=text parameter=value words"
    COLUMNS = (
        Column("State", lambda row, now: row["state"]),
        Column("Since", lambda row, now: duration(max(0.0, now - row["since"])), is_number=True),
        Column("Task", lambda row, now: row["display_name"]),
        Column("Priority", lambda row, now: number(row["priority"]), is_number=True),
        Column("Worker", lambda row, now: text(row["worker"])),
        Column("Error", lambda row, now: text(row["error"])),
    )

    looked_at = of = 0

    async def ask(self, calls: Calls) -> Sequence[Row]:
        """Ask for the tasks that the filter lets through."""
        reply = await calls.call("tasks", limit=SHOWN, **filters_of(self.filter_input.value))
        self.looked_at, self.of = reply["looked_at"], reply["of"]
        return list(reply["tasks"])

    def filtered(self) -> list[Row]:
        """Return all rows: the scheduler has filtered them."""
        return list(self.rows)

    def state(self) -> str:
        """Say how many are shown, and how far the listing got."""
        return f"{len(self.rows):,} shown, newest first; looked at {self.looked_at:,} of {self.of:,}"
