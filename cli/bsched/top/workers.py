"""The tab of workers: who is alive, what each does, who fails."""

from __future__ import annotations

from collections.abc import Sequence

from bsched.output import number, text
from bsched.top.base_tab import BaseTab, Column, Row
from bsched.top.calls import Calls
from bsched.top.texts import distance


def _last_contact(row: Row, now: float) -> str:
    return "-" if row["last_contact"] is None else distance(now, row["last_contact"])


class WorkersTab(BaseTab):
    """Up to 200 workers and submissions."""

    TITLE = "Workers"
    KEY = "worker"
    COLUMNS = (
        Column("Worker", lambda row, now: row["worker"]),
        Column("State", lambda row, now: row["state"]),
        Column("Runs", lambda row, now: f"{number(row['running'])}/{number(row['slots'])}", is_number=True),
        Column("Heard of", _last_contact, is_number=True),
        Column("Done/h", lambda row, now: number(row["done_last_hour"]), is_number=True),
        Column("Failed/h", lambda row, now: number(row["failed_last_hour"]), is_number=True),
        Column("Host", lambda row, now: text(row["host"])),
        Column("Version", lambda row, now: text(row["version"])),
        Column("Refuses", lambda row, now: text(row["refuses"])),
    )

    has_more = False

    async def ask(self, calls: Calls) -> Sequence[Row]:
        """Ask for the workers; those that are sick come first."""
        reply = await calls.call("workers")
        self.has_more = reply["cursor"] is not None
        order = {"silent": 0, "disabled": 1, "active": 2}
        return sorted(reply["workers"], key=lambda row: order.get(row["state"], 3))

    def state(self) -> str:
        """Say whether these are all workers."""
        return f"the first {len(self.rows)} workers by name" if self.has_more else ""
