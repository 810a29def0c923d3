"""Keeps garbage collection short."""

from __future__ import annotations

import gc


def freeze_heap() -> None:
    """Leave out of garbage collection what there is now: modules, classes, tables, which stay as long as the process.

    A full collection would look at all of it, some 40 ms in which nobody is answered, after every few thousand calls or
    some ten large answers.
    """
    gc.collect()
    gc.freeze()
