"""How far a run is: a live line on a terminal, nothing elsewhere, where the log says it."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

from rich.console import Console

from broker_sched.worker.worker import Worker

REFRESH_SECONDS = 0.25


@contextlib.contextmanager
def progress(worker: Worker, is_wanted: bool) -> Iterator[None]:
    """Show it while the block runs."""
    if not is_wanted or not sys.stderr.isatty():
        yield
        return
    is_over = threading.Event()
    console = Console(stderr=True)
    with console.status(line(worker)) as status:

        def refresh() -> None:
            while not is_over.wait(REFRESH_SECONDS):
                status.update(line(worker))

        thread = threading.Thread(target=refresh, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def line(worker: Worker) -> str:
    """`12 of 40 tasks done, 3 running, 1 failed`"""
    counts = worker.counts()
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    return f"{counts['done']} of {counts['scheduled']} tasks done, {counts['running']} running{failed}"
