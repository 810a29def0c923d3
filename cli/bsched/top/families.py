"""The tab of families: how many tasks stand where, how long they run, what failed."""

from __future__ import annotations

from collections.abc import Sequence

from bsched.output import duration, number, text
from bsched.top.base_tab import BaseTab, Column, Row
from bsched.top.calls import Calls


def _state(*states: str) -> Column:
    title = states[0].capitalize()
    return Column(title, lambda row, now: number(sum(row["tasks"].get(each, 0) for each in states)), is_number=True)


class FamiliesTab(BaseTab):
    """The 200 families with most tasks."""

    TITLE = "Families"
    KEY = "family"
    COLUMNS = (
        Column("Family", lambda row, now: row["family"] or "(none yet)"),
        Column("Tasks", lambda row, now: number(row["total"]), is_number=True),
        _state("READY"),
        _state("RUNNING", "BATCH_RUNNING"),
        _state("WAITING"),
        _state("BLOCKED"),
        _state("DONE"),
        _state("FAILED"),
        _state("DISABLED"),
        Column("Mean", lambda row, now: duration(row["mean_seconds"]), is_number=True),
        Column("p95", lambda row, now: duration(row["p95_seconds"]), is_number=True),
        Column("Failed/h", lambda row, now: number(row["failed_last_hour"]), is_number=True),
        Column("", lambda row, now: "paused" if row["paused"] else ""),
        Column("Last error", lambda row, now: text(row["last_error"])),
    )

    has_more = False

    async def ask(self, calls: Calls) -> Sequence[Row]:
        """Ask for the families, those with most tasks first."""
        reply = await calls.call("families")
        self.has_more = reply["cursor"] is not None
        return list(reply["families"])

    def state(self) -> str:
        """Say whether these are all families."""
        return f"the {len(self.rows)} families with most tasks" if self.has_more else ""
