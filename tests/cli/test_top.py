"""`bsched top` asks for little, shows it at once, acts after a question, and outlives a scheduler that is away."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from click.testing import CliRunner
from textual.pilot import Pilot

from broker_sched.errors import InvalidArgument, RPCError
from bsched.main import cli
from bsched.top import app as top_app
from bsched.top.app import TopApp
from bsched.top.tasks import filters_of
from tests.cli.top import NOW, FakeScheduler, event, family, on_screen, overview, shown, task, until, worker

NEWS_SECONDS = 0.05


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for news twenty times a second, so that a test need not wait."""
    monkeypatch.setattr(top_app, "NEWS_SECONDS", NEWS_SECONDS)


def test_each_tab_shows_what_its_method_says() -> None:
    shows = {
        "1": ["Load", "12 s", "1 min 10 s", "ValueError: no", "Failed/h"],
        "2": ["FAILED", "1 min 30 s", "Load_1()", "looked at 2 of 2"],
        "3": ["w1", "2/4", "1 s ago", "host-1", "silent"],
        "4": ["db", "███████████████·····"],
        "5": ["ValueError: no", "1 min ago", "within the hour: 3"],
        "6": ["Load_1", "RUNNING", "FAILED"],
    }

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        for key, words in shows.items():
            await pilot.press(key)
            await until(pilot, lambda words=words: all(word in shown(app) for word in words))

    on_screen(FakeScheduler(), steps)


def test_the_summary_says_how_the_namespace_stands() -> None:
    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        words = [
            "shop at http://scheduler",
            "paused",
            "READY 8  RUNNING 4  DONE 90  FAILED 2",
            "1 silent",
            "1.25 done/s",
        ]
        words += ["workers 2, 4 of 8 slots in use", "oldest ready 5 min", "ends in about 2 h"]
        await until(pilot, lambda: all(word in shown(app) for word in words))

    on_screen(FakeScheduler(overview=overview(paused=True)), steps)


def test_without_news_only_the_event_stream_is_asked() -> None:
    scheduler = FakeScheduler()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        before = len(scheduler.made("events"))
        await until(pilot, lambda: len(scheduler.made("events")) > before + 5)

    on_screen(scheduler, steps)
    assert [len(scheduler.made(method)) for method in ("families", "overview")] == [1, 1]
    assert {method for method, _ in scheduler.calls} == {"events", "families", "overview"}
    assert scheduler.made("events")[0]["after"] is None
    assert {arguments["after"] for arguments in scheduler.made("events")[1:]} == {"1-0"}


def test_an_event_has_what_is_shown_asked_for_again_and_nothing_else() -> None:
    scheduler = FakeScheduler()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        scheduler.replies["families"] = {"families": [family("Fresh")], "cursor": None}
        scheduler.news = [event(2)]
        await until(pilot, lambda: "Fresh" in shown(app))
        assert not scheduler.made("tasks"), "a tab that is not shown is asked for when it is"
        await pilot.press("2")
        await until(pilot, lambda: scheduler.made("tasks"))
        await pilot.press("5")
        await until(pilot, lambda: scheduler.made("failures"))
        scheduler.news = [event(3, after="DONE")]
        await until(pilot, lambda: app.tabs[0].is_stale)

    on_screen(scheduler, steps)
    assert len(scheduler.made("failures")) == 1, "no failure has come"


def test_ten_redraws_a_second_of_two_hundred_rows_need_no_call() -> None:
    scheduler = FakeScheduler(workers={"workers": [worker(f"w{n}") for n in range(200)], "cursor": None})
    took = []

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await until(pilot, lambda: len(app.tab.rows) == 200)
        calls = len(scheduler.made("workers"))
        for second in range(10):
            app._ahead = second
            began = time.thread_time()
            app.redraw()
            await pilot.pause()
            took.append(time.thread_time() - began)
        assert "10 s ago" in shown(app)
        assert len(scheduler.made("workers")) == calls

    on_screen(scheduler, steps)
    assert sorted(took)[len(took) // 2] < 0.1


def test_a_flood_of_events_costs_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look finds more than is followed one by one: three calls more a second, and the newest are shown."""
    monkeypatch.setattr(top_app, "NEWS_SECONDS", 0.2)
    numbers = iter(range(10, 10**9, 1000))
    scheduler = FakeScheduler()

    def events(after: str | None = None, limit: int = 100) -> dict[str, Any]:
        start = next(numbers)
        found = [event(start + n) for n in range(limit)]
        return {"events": found, "last": found[-1]["id"]}

    scheduler.replies["events"] = events
    began = time.monotonic()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: time.monotonic() - began > 2)
        assert len(app.events_tab.rows) == 200

    on_screen(scheduler, steps)
    looks = (time.monotonic() - began) / 0.2 + 2
    assert len(scheduler.made("events")) <= 2 * looks  # once for what is new, once for the newest
    assert len(scheduler.made("overview")) <= looks
    assert len(scheduler.made("tasks")) <= looks


def test_a_listing_that_takes_long_is_asked_for_less_often() -> None:
    def slowly(**arguments: Any) -> Any:
        time.sleep(0.1)
        return {"families": [family("Load")], "cursor": None}

    scheduler = FakeScheduler(families=slowly)
    began = time.monotonic()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        number = 2
        while time.monotonic() - began < 1.5:
            scheduler.news, number = [event(number)], number + 1
            await pilot.pause(0.05)

    on_screen(scheduler, steps)
    assert len(scheduler.made("families")) <= 3


def test_no_call_is_made_by_the_loop_that_draws() -> None:
    scheduler = FakeScheduler()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "w")
        await until(pilot, lambda: "Load_1 failed." in shown(app))

    on_screen(scheduler, steps)
    assert threading.main_thread() not in scheduler.threads
    assert all(thread.daemon for thread in scheduler.threads)


def test_a_scheduler_that_is_away_is_a_banner_and_is_found_again() -> None:
    scheduler = FakeScheduler()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        events, scheduler.replies["events"] = scheduler.replies["events"], RPCError("Nobody is at http://x")
        await until(pilot, lambda: "Not reached, what is shown is old. Nobody is at http://x" in shown(app))
        await pilot.press("6")
        assert "Load_1" in shown(app), "what is known stays on the screen"
        await pilot.press("1")
        scheduler.replies["families"] = {"families": [family("Fresh")], "cursor": None}
        scheduler.replies["events"] = events
        await until(pilot, lambda: "Fresh" in shown(app))
        assert "Not reached" not in shown(app)

    on_screen(scheduler, steps)


def test_a_call_that_hangs_is_told_and_stops_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_app, "PATIENCE_SECONDS", 0.1)
    scheduler, released = FakeScheduler(), threading.Event()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        scheduler.replies["events"] = lambda **arguments: released.wait()
        await until(pilot, lambda: "No answer for" in shown(app))
        await pilot.press("2", "w")
        await until(pilot, lambda: "Load_1 failed." in shown(app) or app.tab.TITLE == "Tasks")

    on_screen(scheduler, steps)  # and leaves, though the call still hangs
    released.set()


def test_what_the_scheduler_refuses_is_told() -> None:
    scheduler = FakeScheduler(why=InvalidArgument("task_id", "is not to be asked about"))

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: "Load_1()" in shown(app))
        await pilot.press("w")
        await until(pilot, lambda: "is not to be asked about" in shown(app).replace("\n", " "))

    on_screen(scheduler, steps)


def test_a_filter_of_tasks_is_for_the_scheduler_and_escape_ends_it() -> None:
    scheduler = FakeScheduler()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "slash", *"failed day=3 q", "enter")
        await until(pilot, lambda: len(scheduler.made("tasks")) == 2)
        assert "filter: failed day=3 q" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: len(scheduler.made("tasks")) == 3)

    on_screen(scheduler, steps)
    assert scheduler.made("tasks") == [
        {"limit": 100},
        {"limit": 100, "status": "FAILED", "params": {"day": "3"}, "text": "q"},
        {"limit": 100},
    ]


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("", {}),
        ("ready Load", {"status": "READY", "text": "Load"}),
        ("family=A\\ B error=time\\ out worker=w1", {"family": "A B", "error": "time out", "worker": "w1"}),
        ("day=2026-01-01 n=", {"params": {"day": "2026-01-01", "n": ""}}),
        ("a=b=c =x two  words", {"params": {"a": "b=c"}, "text": "=x two words"}),
    ],
)
def test_a_filter_of_tasks_has_statuses_fields_parameters_and_words(typed: str, arguments: dict[str, Any]) -> None:
    assert filters_of(typed) == arguments


def test_other_tabs_are_filtered_by_words_in_their_rows() -> None:
    scheduler = FakeScheduler()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"repo", "enter")
        await until(pilot, lambda: app.tab.table.row_count == 1)
        assert "Report" in shown(app) and "Load" not in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.tab.table.row_count == 2)

    on_screen(scheduler, steps)


def test_enter_shows_the_tasks_of_a_family_a_worker_or_a_failure() -> None:
    scheduler = FakeScheduler()
    filters = {"1": {"family": "Load"}, "3": {"worker": "w2"}, "5": {"family": "Load", "error": "ValueError: no"}}

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        for key, wanted in filters.items():  # of the workers the silent one is first
            await pilot.press(key)
            await until(pilot, lambda: app.tab.table.row_count)
            await pilot.press("enter")
            expected = {"limit": 100, **wanted}
            await until(pilot, lambda expected=expected: expected in scheduler.made("tasks"))
            assert app.tab is app.tabs[1]

    on_screen(scheduler, steps)


def test_enter_on_a_task_shows_all_that_is_known_of_it() -> None:
    run = {"attempt": 1, "started": NOW - 95, "ended": NOW - 90, "outcome": "FAILED", "worker": "w1", "host": None}
    details = {
        **task("Load_1", error="Traceback\nValueError: no"),
        **{"module": "shop", "created": NOW - 900, "workers": ["w1"], "n_workers": 1, "resources_held": None},
        **{
            "n_deps": 3,
            "n_unmet": 1,
            "n_dependents": 5,
            "attempt": 1,
            "attempts": [{**run, "error": "ValueError: no"}],
        },
        **{"retry_at": NOW + 60, "disabled_until": None, "tracking_url": None, "log_size": None, "memory": 5e6},
    }

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: "Load_1()" in shown(app))
        await pilot.press("enter")
        words = [
            "3, of which 1 are not DONE",
            "in 1 min",
            "5 MB",
            "FAILED 1 min 30 s ago, after 5 s, on w1",
            "Traceback",
        ]
        await until(pilot, lambda: all(word in shown(app) for word in words))
        await pilot.press("escape")
        await until(pilot, lambda: "Traceback" not in shown(app))

    on_screen(FakeScheduler(task_details=details), steps)


def test_why_and_log_of_the_selected_task_stand_above_the_tab() -> None:
    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: app.tab.table.row_count)
        for key, words in (("w", ["Load_1 failed.", "- It failed.", "and 2 more"]), ("l", ["at work", "worked"])):
            await pilot.press(key)
            await until(pilot, lambda words=words: all(word in shown(app) for word in words))
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)

    on_screen(FakeScheduler(), steps)


def test_a_task_is_retried_after_a_yes_and_not_after_a_no() -> None:
    scheduler = FakeScheduler()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: "Load_1()" in shown(app))
        await pilot.press("down", "r")
        await until(pilot, lambda: "Retry Load_2?" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: "Retry Load_2?" not in shown(app))
        assert [call["dry_run"] for call in scheduler.made("change_tasks")] == [True]
        await pilot.press("s")
        await until(pilot, lambda: "Stop Load_2?" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: "stop: 1 done" in shown(app))

    on_screen(scheduler, steps)
    assert scheduler.made("change_tasks")[-1] == {"task_ids": ["Load_2"], "action": "stop"}


def test_retry_of_a_failure_is_for_all_tasks_that_failed_so() -> None:
    scheduler = FakeScheduler()
    unchanged = [{"task_id": "Load_2", "status": "DONE", "reason": "Load_2 is DONE."}]
    scheduler.replies["change_tasks"] = {"changed": ["Load_1"], "unchanged": unchanged}
    others = [task("Load_3", error="ValueError: no, or yes"), task("Load_4", error=None)]
    scheduler.replies["tasks"]["tasks"] += others  # as text the error is in that of the first

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: app.tab.table.row_count)
        await pilot.press("r")
        asked = ("Retry Load_1?", "Left out: 1, such as Load_2 is DONE.")
        await until(pilot, lambda: all(words in shown(app) for words in asked))
        await pilot.press("y")
        await until(pilot, lambda: "retry: 1 done" in shown(app))

    on_screen(scheduler, steps)
    wanted = {"family": "Load", "error": "ValueError: no", "failed_since": NOW - 601, "limit": 1000}
    assert wanted in scheduler.made("tasks")
    assert scheduler.made("change_tasks")[0]["task_ids"] == ["Load_1", "Load_2"]


def test_what_cannot_be_done_is_told_without_a_question() -> None:
    unchanged = [{"task_id": "Load_1", "status": "FAILED", "reason": "Load_1 is FAILED: nobody runs it."}]
    scheduler = FakeScheduler(change_tasks={"changed": [], "unchanged": unchanged})

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: "Load_1()" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: "nobody runs it" in shown(app))

    on_screen(scheduler, steps)
    assert len(scheduler.made("change_tasks")) == 1


def test_the_cursor_stays_on_its_row_when_rows_move() -> None:
    scheduler = FakeScheduler()

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: app.tab.table.row_count == 2)
        await pilot.press("down")
        tasks = [task(f"Load_{n}") for n in (9, 8, 7, 1, 2)]
        scheduler.replies["tasks"] = {"tasks": tasks, "cursor": None, "looked_at": 5, "of": 5}
        scheduler.news = [event(2)]
        await until(pilot, lambda: app.tab.table.row_count == 5)
        row = app.tab.selected()
        assert row is not None and row["task_id"] == "Load_2"

    on_screen(scheduler, steps)


def test_texts_of_others_are_shown_as_they_are() -> None:
    name = "[bold]x[/bold]\x1b[31m\nsecond"
    scheduler = FakeScheduler(families={"families": [family(name)], "cursor": None})

    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "[bold]x[/bold]\\u001b[31m\\nsecond" in shown(app))

    on_screen(scheduler, steps)


def test_a_narrow_terminal_shows_the_first_columns_and_the_rest_by_moving() -> None:
    async def steps(app: TopApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "Load" in shown(app))
        assert max(map(len, shown(app).splitlines())) <= 40
        for key in "23456":
            await pilot.press(key)
            await until(pilot, lambda: not app.tab.is_stale)

    on_screen(FakeScheduler(), steps, size=(40, 12))


def test_without_textual_it_is_said_what_to_install() -> None:
    code = (
        "import sys; sys.modules['textual'] = None; from bsched.main import main; sys.argv = ['bsched', 'top']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, "pip install 'broker-sched[top]'" in done.stderr) == (1, True)


def test_where_there_is_no_terminal_it_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bsched.options.place.Place.unchecked", lambda self: FakeScheduler())
    result = CliRunner().invoke(cli, ["top"])
    assert (result.exit_code, "needs a terminal" in result.stderr) == (2, True)
