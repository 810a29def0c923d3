"""The tab of resources: how much there is of each, and how much is held."""

from __future__ import annotations

from collections.abc import Sequence

from bsched.output import number
from bsched.top.base_tab import BaseTab, Column, Row
from bsched.top.calls import Calls

BAR = 20  # characters


def _bar(row: Row, now: float) -> str:
    share = min(1.0, row["used"] / row["limit"]) if row["limit"] > 0 else float(row["used"] > 0)
    filled = round(share * BAR)
    return "█" * filled + "·" * (BAR - filled) + (" all held" if row["used"] >= row["limit"] else "")


class ResourcesTab(BaseTab):
    """All resources that have a limit or are held."""

    TITLE = "Resources"
    KEY = "name"
    COLUMNS = (
        Column("Resource", lambda row, now: row["name"]),
        Column("Held", lambda row, now: number(row["used"]), is_number=True),
        Column("Limit", lambda row, now: number(row["limit"]), is_number=True),
        Column("", _bar),
    )

    async def ask(self, calls: Calls) -> Sequence[Row]:
        """Ask for the overview, which has them."""
        return list((await calls.call("overview"))["resources"])
