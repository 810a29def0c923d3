"""What `bsched top` looks like. After a change that is meant, look at it, and run pytest with --snapshot-update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from broker_sched.errors import RPCError
from bsched.top import app as top_app
from bsched.top.app import TopApp
from tests.cli.top import NOW, FakeScheduler, family, overview, shown, until


def app_of(scheduler: FakeScheduler) -> TopApp:
    return TopApp(scheduler, "http://scheduler", clock=lambda: NOW)


def showing(*words: str, keys: str = "") -> Callable[[Pilot[None]], Any]:
    """Press the keys, and wait for these words."""

    async def run_before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, TopApp)
        await until(pilot, lambda: "shop at" in shown(app) and app.tab.table.row_count)
        await pilot.press(*keys)
        await until(pilot, lambda: all(word in shown(app) for word in words))
        await pilot.pause()

    return run_before


def test_families(snap_compare: Any) -> None:
    families = [family("Load"), family("Report", tasks={"RUNNING": 4, "WAITING": 96}, last_error=None, paused=True)]
    app = app_of(FakeScheduler(families={"families": families, "cursor": None}, overview=overview(paused=True)))
    assert snap_compare(app, terminal_size=(126, 12), run_before=showing("Report", "ValueError: no"))


def test_a_question(snap_compare: Any) -> None:
    assert snap_compare(app_of(FakeScheduler()), terminal_size=(80, 16), run_before=showing("Retry Load_1?", keys="2r"))


def test_a_narrow_terminal_and_a_scheduler_that_is_away(snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_app, "NEWS_SECONDS", 0.1)
    scheduler = FakeScheduler()

    async def run_before(pilot: Pilot[None]) -> None:
        await showing("silent", keys="3")(pilot)
        scheduler.replies["events"] = RPCError("Nobody answers at http://scheduler.")
        await showing("Not reached")(pilot)

    assert snap_compare(app_of(scheduler), terminal_size=(44, 14), run_before=run_before)
