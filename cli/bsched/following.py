"""What is shown as it comes: the end of a stream of the scheduler's, and with --follow what is added to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bsched.outages import ask_patiently
from bsched.output import Column, Output, print_json
from bsched.signals import Interruption
from bsched.terminal import echo

PAGE = 1000  # entries in one call
POLL_SECONDS = 1.0


def show(
    found: Mapping[str, Any],
    name: str,
    output: Output,
    columns: Sequence[Column],
    nothing: str,
    *,
    line: Callable[[Mapping[str, Any]], str],
    ask: Callable[[str], Mapping[str, Any]] | None,
) -> None:
    """Print the entries of a reply, and until Ctrl-C those that come after them.

    name: of the field that has the entries. ask: returns the reply about what is behind an entry's id; None: print a
    table, and end. line: what is printed of an entry while others are waited for.
    """
    if ask is None:
        output.rows(found[name], columns, nothing)
        return
    interruption = Interruption()
    interruption.take()
    try:
        while True:
            for each in found[name]:
                print_json(each) if output.as_json else echo(line(each))
            if not found[name]:
                time.sleep(POLL_SECONDS)
            # "0-0": an empty stream has no last entry, and whatever comes is behind its beginning
            after = found["last"] or "0-0"
            found = ask_patiently(lambda after=after: ask(after))  # type: ignore[misc]
    except KeyboardInterrupt:
        interruption.leave()
