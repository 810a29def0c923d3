"""What stands above the tabs: a text that can be scrolled, and a question that is answered with y or n."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static


class TextDialog(ModalScreen[None]):
    """Shows a text until escape, enter or q is pressed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "Close")]

    def __init__(self, title: str, text: str, at_end: bool = False) -> None:
        super().__init__()
        self._title, self._text, self._at_end = title, text, at_end

    def compose(self) -> ComposeResult:
        """Make a box with the text, which can be scrolled."""
        box = VerticalScroll(Static(Text(self._text)), classes="box")
        box.border_title = Text(self._title)
        box.border_subtitle = "esc closes"
        yield box

    def on_mount(self) -> None:
        """Begin at the end, where that is wanted: the last lines of a log matter most."""
        box = self.query_one(VerticalScroll)
        box.focus()
        if self._at_end:
            box.scroll_end(animate=False)


class Question(ModalScreen[bool]):
    """Asks a question; True for y, False for n and escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Make a box with the question and the keys that answer it."""
        yield Vertical(
            Static(Text(self._question)), Static(Text("y  yes      n  no"), classes="keys"), classes="box small"
        )

    def action_answer(self, answer: bool) -> None:
        """Close the question with this answer."""
        self.dismiss(answer)
