"""How far a run is: a live line on a terminal, nothing elsewhere, where the log says it."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Protocol, cast

REFRESH_SECONDS = 0.25
SHORT_SECONDS = 0.5  # what takes less needs no line
CLEAR_LINE = "\r\x1b[2K"


class Counted(Protocol):
    """Anything whose progress can be followed: a worker, or a submission."""

    def counts(self) -> dict[str, int]:
        """How many tasks are scheduled, done, running, failed."""


def is_shown(is_wanted: bool) -> bool:
    """Return whether there will be a live line: somebody wants it, and stderr is a terminal."""
    return is_wanted and sys.stderr.isatty()


def progress(followed: Counted, is_wanted: bool) -> contextlib.AbstractContextManager[None]:
    """Show how far it is, while the block runs."""
    return live_line(lambda: line(followed), is_wanted)


@contextlib.contextmanager
def live_line(text: Callable[[], str], is_wanted: bool = True) -> Iterator[None]:
    """Show a line that says what the function returns by then, while the block runs.

    The line has a stream of its own and leaves sys.stdout and sys.stderr alone: a task process forked while this thread
    writes would inherit a lock that nobody releases, and hang at its first print().
    """
    if not is_shown(is_wanted):
        yield
        return
    from rich.console import Console  # here: slow to import, and seldom wanted
    from rich.live import Live
    from rich.spinner import Spinner

    is_over = threading.Event()
    spinner = Spinner("dots", text())
    with (
        _lines_cleared_for_the_log(),
        _Terminal(os.dup(sys.stderr.fileno())) as stream,
        Live(
            spinner,
            console=Console(file=cast(IO[str], stream), force_terminal=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ),
    ):

        def refresh() -> None:
            while not is_over.wait(REFRESH_SECONDS):
                spinner.update(text=text())

        thread = threading.Thread(target=refresh, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


class _Terminal(io.TextIOBase):
    """Writes at once. A terminal that was closed is no reason to fail."""

    encoding = "utf-8"

    def __init__(self, number: int) -> None:
        self._number = number

    def write(self, text: str) -> int:
        """Write the text, as far as the terminal takes it. Raises nothing."""
        with contextlib.suppress(OSError):
            data = text.encode(errors="replace")
            while data:
                data = data[os.write(self._number, data) :]
        return len(text)

    def close(self) -> None:
        """Close the file descriptor that was opened for this."""
        if not self.closed:
            os.close(self._number)
        super().close()


def line(followed: Counted) -> str:
    """Return the line that shows how far it is: `12 of 40 tasks done, 3 running, 24 pending, 1 failed`."""
    counts = followed.counts()
    done, running, failed = counts["done"], counts["running"], counts["failed"]
    pending = max(0, counts["scheduled"] - done - running - failed)
    return f"{done} of {counts['scheduled']} tasks done, {running} running, {pending} pending, {failed} failed"


@contextlib.contextmanager
def _lines_cleared_for_the_log() -> Iterator[None]:
    """Each record of the log takes the live line's place, which comes back below it; in task processes, too."""
    handlers = [(handler, handler.formatter) for handler in logging.getLogger().handlers]
    for handler, formatter in handlers:
        handler.setFormatter(_Clearing(formatter or logging.Formatter()))
    try:
        yield
    finally:
        for handler, formatter in handlers:
            handler.setFormatter(formatter)


class _Clearing(logging.Formatter):
    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return CLEAR_LINE + self._inner.format(record)


@contextlib.contextmanager
def counting(what: str, of: int | None = None) -> Iterator[Callable[..., None]]:
    """Show how far a longer piece of work is while the block runs: `12,000 of 90,000 tasks looked at`.

    Yields the function that is told the count, and where that changes, of how many. Nothing is shown where stderr is no
    terminal, nor in the first half second.
    """
    begun, is_terminal, is_shown_now = time.monotonic(), sys.stderr.isatty(), False

    def tell(count: int, total: int | None = of) -> None:
        nonlocal is_shown_now
        if is_terminal and time.monotonic() - begun > SHORT_SECONDS:
            is_shown_now = True
            among = "" if total is None else f" of {total:,}"
            _on_stderr(f"{CLEAR_LINE}{count:,}{among} {what}")

    try:
        yield tell
    finally:
        if is_shown_now:
            _on_stderr(CLEAR_LINE)


def _on_stderr(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal was closed
        sys.stderr.write(text)
        sys.stderr.flush()
