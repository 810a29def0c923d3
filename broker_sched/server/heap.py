"""Keeps garbage collection short."""

from __future__ import annotations

import gc

# New objects, less those that are gone again, after which Python looks at those that are left. After the usual 700 a
# read of what has changed is enough, and then it looks at every text that was read: 2 ms, again and again.
OBJECTS = 5_000
# So many times of that before it looks once more at what was left each time; so many of these before it looks at all.
TIMES, TIMES_BEFORE_ALL = 2, 20


def freeze_heap() -> None:
    """Leave out of garbage collection what there is now: modules, classes, tables, which stay as long as the process.

    A full collection would look at all of it, some 40 ms in which nobody is answered, after every few thousand calls or
    some ten large answers. Of what comes later, Python looks less often at what is new.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, TIMES, TIMES_BEFORE_ALL)
