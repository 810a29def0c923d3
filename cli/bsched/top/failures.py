"""The tab of failures: what failed within the hour, by family and error."""

from __future__ import annotations

from collections.abc import Sequence

from bsched.output import number, text
from bsched.top.base_tab import BaseTab, Column, Row
from bsched.top.calls import Calls
from bsched.top.texts import distance

FAILED = ("FAILED", "DISABLED")


class FailuresTab(BaseTab):
    """Failures of the last hour, most of a kind first."""

    TITLE = "Failures"
    KEY = "key"
    COLUMNS = (
        Column("Count", lambda row, now: number(row["count"]), is_number=True),
        Column("Tasks", lambda row, now: number(row["tasks"]), is_number=True),
        Column("Family", lambda row, now: row["family"]),
        Column("Last", lambda row, now: distance(now, row["last"]), is_number=True),
        Column("Error", lambda row, now: text(row["error"])),
        Column("On", lambda row, now: text(row["workers"])),
    )

    total = 0
    complete = True

    async def ask(self, calls: Calls) -> Sequence[Row]:
        """Ask for the failures of the last hour."""
        reply = await calls.call("failures")
        self.total, self.complete = reply["total"], reply["complete"]
        return [{**group, "key": f"{group['family']}\0{group['error']}"} for group in reply["failures"]]

    def is_touched_by(self, events: Sequence[Row]) -> bool:
        """Return whether a task failed in one of these events."""
        return any(event["to"] in FAILED for event in events)

    def task_of(self, row: Row) -> str | None:
        """Return the task that failed last in this way."""
        return str(row["example"])

    async def tasks_of(self, row: Row, calls: Calls) -> list[str]:
        """Return the tasks that stand failed in this way, at most 1,000."""
        wanted = {"family": row["family"], "error": row["error"], "failed_since": row["first"] - 1, "limit": 1000}
        found = (await calls.call("tasks", **wanted))["tasks"]
        return [task["task_id"] for task in found if (task["error"] or "") == row["error"]]

    def state(self) -> str:
        """Say how many failures there were, and whether all are kept."""
        return f"within the hour: {self.total:,}" + ("" if self.complete else "; older ones are not kept")
