"""The screen of `bsched top`: when what is asked for, and what each key does.

The event stream is asked once a second for what is new. What is shown is asked for again only when there was something
new that touches it, or on a key; what is hidden, when it is shown. Ages are counted on without a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Static, TabbedContent

from broker_sched.errors import BrokerSchedError, Unreachable
from broker_sched.plain_text import on_one_line
from bsched.top import summary, texts
from bsched.top.base_tab import BaseTab, Row
from bsched.top.calls import Calls
from bsched.top.dialogs import Question, TextDialog
from bsched.top.events import KEPT, EventsTab
from bsched.top.failures import FailuresTab
from bsched.top.families import FamiliesTab
from bsched.top.resources import ResourcesTab
from bsched.top.tasks import TasksTab, in_filter
from bsched.top.workers import WorkersTab

NEWS_SECONDS = 1.0  # between two looks at the event stream
LONGEST_PAUSE_SECONDS = 10.0  # between two tries to reach a scheduler that is away
PATIENCE_SECONDS = 3.0  # for an answer, before it is said that there is none
OVERVIEW_SECONDS = 10.0  # the summary is that old at the most: workers may die without an event
SHARE_OF_TIME = 0.2  # at most so much of the time is spent on asking for what a tab shows

CSS = """
Screen { layout: vertical; overflow: hidden; }
TabbedContent, ContentSwitcher, TabPane { height: 1fr; }
#summary { height: auto; max-height: 3; padding: 0 1; }
#banner { background: $error; color: $text; padding: 0 1; display: none; height: auto; }
TabPane { padding: 0; }
DataTable { height: 1fr; }
.state { height: auto; color: $text-muted; padding: 0 1; }
ModalScreen { align: center middle; background: $background 60%; }
.box { width: 90%; height: 80%; border: round $primary; background: $surface; padding: 0 1; }
.small { height: auto; width: auto; max-width: 90%; }
.small Static { width: auto; }
.keys { color: $text-muted; margin-top: 1; }
"""


class TopApp(App[None]):
    """Shows a scheduler until q is pressed. place: what the scheduler is called. clock: seconds since the epoch."""

    CSS = CSS
    TITLE = "bsched top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", priority=True),  # before the next key is given to the table
        Binding("enter", "open", "Open", show=False),
        Binding("w", "text('why')", "Why"),
        Binding("l", "text('log')", "Log"),
        Binding("s", "change('stop')", "Stop"),
        Binding("r", "change('retry')", "Retry"),
        Binding("u", "update", "Update"),
        Binding("escape", "end_filter", "End filter", show=False),
        Binding("q", "quit", "Quit"),
        *(Binding(str(n + 1), f"tab({n})", show=False, priority=True) for n in range(6)),
    ]

    def __init__(self, scheduler: Any, place: str, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.calls = Calls(scheduler)
        self._place, self._clock = place, clock
        self._ahead = 0.0  # of the server's clock before ours (s)
        self._last: str | None = None  # id of the last event
        self._overview: Mapping[str, Any] | None = None
        self._overview_at = self._news_at = float("-inf")  # monotonic
        self._pause = NEWS_SECONDS
        self._asked_at: dict[str, float] = {}  # by tab: when it may be asked for again (monotonic)
        self._wake = asyncio.Event()
        self._asking_since: float | None = None  # monotonic
        self._summary, self._banner = Static(id="summary"), Static(id="banner")
        self._tabbed = TabbedContent()
        self.events_tab = EventsTab()
        self.tabs: tuple[BaseTab, ...] = (
            *(FamiliesTab(), TasksTab(), WorkersTab(), ResourcesTab(), FailuresTab()),
            self.events_tab,
        )
        self.tab: BaseTab = self.tabs[0]  # which is shown

    # What is on the screen

    def compose(self) -> ComposeResult:
        """Make the summary, the banner, the tabs and the line of keys."""
        yield self._summary
        yield self._banner
        with self._tabbed:
            yield from self.tabs
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look for news, and to count ages on."""
        self.run_worker(self._follow())
        self.set_interval(1.0, self._tick)

    def now(self) -> float:
        """Return what the server's clock shows now, in seconds since the epoch."""
        return self._clock() + self._ahead

    def _tick(self) -> None:
        """Count ages on; who waits long for an answer is told so."""
        self.redraw()
        if self._asking_since is not None and time.monotonic() - self._asking_since > PATIENCE_SECONDS:
            self._show_banner(f"No answer for {time.monotonic() - self._asking_since:.0f} s, what is shown is old.")

    def redraw(self) -> None:
        """Draw the tab that is shown, and the summary, from what is known."""
        self.tab.redraw(self.now())
        if self._overview is not None:
            self._summary.update(summary.summary_of(self._overview, self._place, self.now()))

    def on_tabbed_content_tab_activated(self, event: TabbedContent.TabActivated) -> None:
        """Show the tab that was clicked on."""
        tab = next(tab for tab in self.tabs if tab is event.pane)
        if tab is not self.tab:
            self._show_tab(tab)

    def _show_tab(self, tab: BaseTab) -> None:
        """Show a tab: what it has, and then what is new."""
        self.tab = tab
        self.redraw()
        self.screen.set_focus(tab.table)
        self._look()

    # What is asked for, and when

    def _look(self) -> None:
        """Have what is due asked for at once."""
        self._wake.set()

    async def _follow(self) -> None:
        """Ask for what is due, one thing after another, until the app ends."""
        while True:
            self._wake.clear()
            self._asking_since = time.monotonic()
            try:
                await self._ask()
            except BrokerSchedError as error:
                self._tell(error)
            self._asking_since = None
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._until_due())

    def _until_due(self) -> float:
        """How many seconds there are until something is to be asked for."""
        due = self._news_at + self._pause
        if self._is_reached():
            due = min(due, self._overview_at + OVERVIEW_SECONDS)
            if self.tab.is_stale:
                due = min(due, self._asked_at.get(self.tab.TITLE, 0.0))
        return max(0.0, due - time.monotonic())

    async def _ask(self) -> None:
        if time.monotonic() - self._news_at >= self._pause:
            self._news_at = time.monotonic()
            await self._ask_for_news()
        if not self._is_reached():
            return
        if time.monotonic() - self._overview_at >= OVERVIEW_SECONDS:
            self._overview_at = time.monotonic()
            self._take_overview(await self.calls.call("overview"))
        tab = self.tab
        if tab.is_stale and time.monotonic() >= self._asked_at.get(tab.TITLE, 0.0):
            await self._ask_for(tab)

    async def _ask_for_news(self) -> None:
        """Take what is new in the event stream, and note which tabs that touches."""
        reply = await self.calls.call("events", after=self._last, limit=KEPT)
        self._reached()
        is_first, events = self._last is None, reply["events"]
        self._last = reply["last"] or self._last or "0-0"
        if not is_first and len(events) == KEPT:  # too many to follow one by one: go on with the newest
            newest = await self.calls.call("events", limit=KEPT)
            events, self._last = newest["events"], newest["last"]
            self.events_tab.rows = []
        if events:
            self.events_tab.add(events)
        if events and not is_first:
            self._overview_at = float("-inf")
            for tab in self.tabs:
                tab.is_stale = tab.is_stale or tab.is_touched_by(events)

    async def _ask_for(self, tab: BaseTab) -> None:
        """Ask for what a tab shows, and draw it. One that takes long is asked for less often."""
        before = self.calls.seconds
        tab.is_stale = False
        try:
            tab.rows = list(await tab.ask(self.calls))
        except BrokerSchedError:
            tab.is_stale = True
            raise
        finally:
            took = self.calls.seconds - before
            self._asked_at[tab.TITLE] = time.monotonic() + max(NEWS_SECONDS, took / SHARE_OF_TIME)
        self.redraw()

    def _take_overview(self, overview: Mapping[str, Any]) -> None:
        self._overview = overview
        self._ahead = overview["time"] - self._clock()
        self.redraw()

    def _is_reached(self) -> bool:
        return self._pause == NEWS_SECONDS

    def _reached(self) -> None:
        if not self._is_reached():
            for tab in self.tabs:
                tab.is_stale = True
            self._overview_at = float("-inf")
        self._pause = NEWS_SECONDS
        self._banner.display = False

    def _tell(self, error: BrokerSchedError) -> None:
        """Say what went wrong: in the banner that nobody answers, in a corner all else."""
        if not isinstance(error, Unreachable):
            self.notify(on_one_line(str(error)), severity="error", markup=False)
            return
        self._pause = min(max(self._pause, NEWS_SECONDS) * 2, LONGEST_PAUSE_SECONDS)
        self._show_banner(f"Not reached, what is shown is old. {on_one_line(str(error))}")

    def _show_banner(self, told: str) -> None:
        self._banner.update(Text(told))
        self._banner.display = True

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether a key does what it does elsewhere: not while a filter is typed, or something is asked."""
        is_busy = isinstance(self.focused, Input) or len(self.screen_stack) > 1
        return not (is_busy and action in ("filter", "tab"))

    def action_tab(self, number: int) -> None:
        """Show the tab of this number, counted from 0."""
        self._tabbed.active = self.tabs[number].id or ""
        self._show_tab(self.tabs[number])  # now, not with the event: the next key is for this tab

    def action_update(self) -> None:
        """Ask at once for what is shown, news or not."""
        self.tab.is_stale = True
        self._asked_at.pop(self.tab.TITLE, None)
        self._overview_at = self._news_at = float("-inf")
        self._look()

    def action_filter(self) -> None:
        """Show the input in which a filter is typed."""
        self.tab.filter_input.display = True
        self.screen.set_focus(self.tab.filter_input)

    def action_end_filter(self) -> None:
        """Show all rows of the tab again, whatever was typed."""
        self.filter_tab(self.tab, "")

    def filter_tab(self, tab: BaseTab, typed: str) -> None:
        """Show in a tab only what a filter lets through."""
        tab.filter_input.value = typed
        tab.filter_input.display = False
        self.screen.set_focus(tab.table)
        tab.is_stale = True
        self._asked_at.pop(tab.TITLE, None)
        self.redraw()
        self._look()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Use the filter that was typed, from now on."""
        self.filter_tab(self.tab, event.value)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter, or a click on the row under the cursor, opens it."""
        self.action_open()

    def action_open(self) -> None:
        """Open what is selected: a task's details; of a family, a worker or a failure its tasks."""
        row = self.tab.selected()
        if row is None:
            return
        wanted = {
            "Families": lambda: f"family={in_filter(row['family'])}",
            "Workers": lambda: f"worker={in_filter(row['worker'])}",
            "Failures": lambda: f"family={in_filter(row['family'])} error={in_filter(row['error'])}",
        }.get(self.tab.TITLE)
        if wanted is not None:
            typed = wanted()
            self.action_tab(1)
            self.filter_tab(self.tabs[1], typed)
        elif (task_id := self.tab.task_of(row)) is not None:
            self._show(task_id, lambda: texts.details_of(self.calls, task_id, self.now()))

    def action_text(self, what: str) -> None:
        """Show why the selected task does not run, or its log."""
        task_id = self._selected_task()
        if task_id is not None:
            make = texts.why_of if what == "why" else texts.log_of
            self._show(task_id, lambda: make(self.calls, task_id), at_end=what == "log")

    def _show(self, title: str, make: Callable[[], Coroutine[Any, Any, str]], at_end: bool = False) -> None:
        async def show() -> None:
            try:
                text = await make()
            except BrokerSchedError as error:
                self._tell(error)
            else:
                self.push_screen(TextDialog(on_one_line(title), text, at_end))

        self.run_worker(show(), exit_on_error=False)

    def action_change(self, action: str) -> None:
        """Do something with the selected task, or with those of the selected failure, after a question."""
        row = self.tab.selected()
        if row is not None:
            self.run_worker(self._change(action, self.tab, row), exit_on_error=False)

    async def _change(self, action: str, tab: BaseTab, row: Row) -> None:
        try:
            ids = await tab.tasks_of(row, self.calls)
            if not ids:
                self.notify("No task is selected.", markup=False)
                return
            would = await self.calls.call("change_tasks", task_ids=ids, action=action, dry_run=True)
            if not would["changed"]:
                self.notify(_why_not(would["unchanged"]), severity="warning", markup=False)
                return
            if await self.push_screen_wait(Question(_question(action, would))):
                done = await self.calls.call("change_tasks", task_ids=would["changed"], action=action)
                told = f"{action}: {len(done['changed']):,} done"
                self.notify(told if done["changed"] else _why_not(done["unchanged"]), markup=False)
                self.action_update()
        except BrokerSchedError as error:
            self._tell(error)

    def _selected_task(self) -> str | None:
        row = self.tab.selected()
        task_id = None if row is None else self.tab.task_of(row)
        if task_id is None:
            self.notify("No task is selected: enter shows the tasks of a family, a worker or a failure.", markup=False)
        return task_id


def _question(action: str, would: Mapping[str, Any]) -> str:
    ids = would["changed"]
    what = on_one_line(ids[0]) if len(ids) == 1 else f"{len(ids):,} tasks"
    unchanged = would["unchanged"]
    left_out = f"\nLeft out: {len(unchanged):,}, such as {_why_not(unchanged)}" if unchanged else ""
    return f"{action.capitalize()} {what}?{left_out}"


def _why_not(unchanged: Sequence[Mapping[str, Any]]) -> str:
    return on_one_line(unchanged[0]["reason"]) if unchanged else "Nothing was changed."
