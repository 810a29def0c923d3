"""The lines at the top of the screen: how the namespace stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from broker_sched.contract.states import STATES
from broker_sched.plain_text import on_one_line
from bsched.output import STYLES, duration, number


def summary_of(overview: Mapping[str, Any], place: str, now: float) -> Text:
    """Return the summary of an overview. place: what the scheduler is called. now: by the server's clock."""
    line = Text(on_one_line(f"{overview['namespace']} at {place}"), style="bold")
    if overview["paused"]:
        line.append("  paused", STYLES["paused"])
    if overview["paused_families"]:
        line.append(f"  {len(overview['paused_families'])} families paused", STYLES["paused"])
    line.append("\n")
    for state in STATES:
        if count := overview["tasks"].get(state, 0):
            line.append(f"{state} {count:,}  ", STYLES.get(state, ""))
    line.append("\n")
    line.append(_pace(overview, now))
    return line


def _pace(overview: Mapping[str, Any], now: float) -> str:
    workers, minute = overview["workers"], overview["throughput"]["minute"]
    told = [
        f"workers {workers['active']:,}, {number(workers['slots_in_use'])} of {number(workers['slots'])} slots in use",
        *(f"{workers[each]:,} {each}" for each in ("silent", "disabled") if workers[each]),
        f"{number(minute['done_per_second'])} done/s, {number(minute['failed_per_second'])} failed/s",
    ]
    if overview["oldest_ready"] is not None:
        told.append(f"oldest ready {duration(max(0.0, now - overview['oldest_ready']))}")
    end = overview["estimated_end"]["at"]
    if end is not None and end > now:
        told.append(f"ends in about {duration(end - now)}")
    return "  ·  ".join(told)
