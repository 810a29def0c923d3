"""A tab: a table that is given rows, and redraws only what has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import DataTable, Input, Static, TabPane

from bsched.output import STYLES, one_cell
from bsched.top.calls import Calls

Row = Mapping[str, Any]


class Column(NamedTuple):
    """A column: its title, and the text that it has for a row at a moment (seconds since the epoch, the server's)."""

    title: str
    text: Callable[[Row, float], str]
    is_number: bool = False  # stands to the right


class BaseTab(TabPane):
    """A tab of the screen, with one table. What a subclass says of itself are the names in capitals, and `ask`."""

    TITLE: ClassVar[str]
    COLUMNS: ClassVar[Sequence[Column]]
    KEY: ClassVar[str] = ""  # the field that tells rows apart
    FILTER: ClassVar[str] = "words that are in a row"  # what may be typed as a filter

    is_stale = True  # something has changed since it was asked for

    def __init__(self) -> None:
        super().__init__(self.TITLE, id=self.TITLE.lower())
        self.rows: list[Row] = []
        self._shown: list[tuple[str, list[str]]] = []  # key and cells of each row, as they stand in the table
        self._widths: list[int] = []  # of the columns
        self._state = Static("", classes="state")
        self.table: DataTable[Text] = DataTable(cursor_type="row", zebra_stripes=True)
        self.filter_input = Input(placeholder=f"Filter: {self.FILTER}", classes="filter", compact=True)

    def compose(self) -> ComposeResult:
        """Make the table, the line under it, and the input for a filter, which is hidden while nobody filters."""
        yield self.table
        yield self._state
        yield self.filter_input

    def on_mount(self) -> None:
        """Hide the input while nobody types a filter."""
        self.filter_input.display = False

    async def ask(self, calls: Calls) -> Sequence[Row]:
        """Ask the scheduler for the rows that are to be shown."""
        raise NotImplementedError

    def state(self) -> str:
        """Return what is said under the table; by default only what is filtered."""
        return ""

    def is_touched_by(self, events: Sequence[Row]) -> bool:
        """Return whether the rows may differ after these events; by default after any."""
        return bool(events)

    def filtered(self) -> list[Row]:
        """Return the rows that the filter lets through: those with all of its words in one cell or another."""
        words = self.filter_input.value.casefold().split()
        if not words:
            return list(self.rows)
        return [row for row in self.rows if all(word in self._text_of(row) for word in words)]

    def selected(self) -> Row | None:
        """Return the row under the cursor."""
        shown = self.filtered()
        place = self.table.cursor_row
        return shown[place] if self._shown and 0 <= place < len(shown) else None

    def task_of(self, row: Row) -> str | None:
        """Return the id of the task that a row is about; None where it is about none, or several."""
        task_id = row.get("task_id")
        return str(task_id) if task_id else None

    async def tasks_of(self, row: Row, calls: Calls) -> list[str]:
        """Return the ids of the tasks that an action on a row is about."""
        task_id = self.task_of(row)
        return [] if task_id is None else [task_id]

    def redraw(self, now: float) -> None:
        """Bring the table in line with the rows; only cells that differ are touched. now: the server's time."""
        wanted = [
            (str(row.get(self.KEY, "")), [one_cell(column.text(row, now)) for column in self.COLUMNS])
            for row in self.filtered()
        ]
        widths = [
            max(cell_len(column.title), *(cell_len(cells[number]) for _, cells in wanted), 1)
            for number, column in enumerate(self.COLUMNS)
        ]
        is_alike = [key for key, _ in wanted] == [key for key, _ in self._shown]
        if is_alike and self._widths and all(new <= old for new, old in zip(widths, self._widths)):
            for place, ((_, old), (_, new)) in enumerate(zip(self._shown, wanted)):
                for column, before, cell in zip(self.COLUMNS, old, new):
                    if before != cell:
                        self.table.update_cell(str(place), column.title, _cell(cell, column))
        else:
            self._rebuild(wanted, widths)
        self._shown = wanted
        self._state.update(Text(self._line()))

    def _rebuild(self, wanted: list[tuple[str, list[str]]], widths: list[int]) -> None:
        """Fill the table anew; the cursor stays on its row, and what is in view stays in view.

        Its columns are told how wide they are: one that measures itself may be drawn before it has.
        """
        place, scroll = self.table.cursor_row, self.table.scroll_offset
        key = self._shown[place][0] if 0 <= place < len(self._shown) else None
        self.table.clear(columns=True)
        self._widths = widths
        for column, width in zip(self.COLUMNS, widths):
            self.table.add_column(_cell(column.title, column), key=column.title, width=width)
        for number, (_, cells) in enumerate(wanted):
            self.table.add_row(*(_cell(*each) for each in zip(cells, self.COLUMNS)), key=str(number))
        keys = [each for each, _ in wanted]
        place = keys.index(key) if key in keys else min(place, len(keys) - 1)
        if place > 0:
            self.table.move_cursor(row=place, animate=False, scroll=False)
        self.table.scroll_to(scroll.x, scroll.y, animate=False)

    def _line(self) -> str:
        told = [self.state()]
        if self.filter_input.value:
            told.append(f"filter: {self.filter_input.value}  (/ changes it, esc ends it)")
        return "  ·  ".join(each for each in told if each)

    def _text_of(self, row: Row) -> str:
        return " ".join(column.text(row, 0.0) for column in self.COLUMNS).casefold()


def _cell(text: str, column: Column) -> Text:
    return Text(text, STYLES.get(text, ""), justify="right" if column.is_number else "left")
