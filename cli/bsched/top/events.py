"""The tab of events: each change of a task's status, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bsched.output import text
from bsched.top.base_tab import BaseTab, Column, Row
from bsched.top.calls import Calls

KEPT = 200


class EventsTab(BaseTab):
    """The last 200 events. They are not asked for: the app follows them anyhow."""

    TITLE = "Events"
    KEY = "id"
    COLUMNS = (
        Column("Time", lambda row, now: datetime.fromtimestamp(row["time"]).strftime("%H:%M:%S")),
        Column("From", lambda row, now: text(row["from"])),
        Column("To", lambda row, now: f"({row['refused']} refused)" if row.get("refused") else text(row["to"])),
        Column("Task", lambda row, now: row["task_id"]),
        Column("Worker", lambda row, now: text(row["worker"])),
    )

    async def ask(self, calls: Calls) -> Sequence[Row]:
        """Return the events that are known: the app has them already."""
        return self.rows

    def add(self, events: Sequence[Row]) -> None:
        """Put events, oldest first, above those that are known."""
        self.rows = [*reversed(events), *self.rows][:KEPT]
        self.is_stale = True
