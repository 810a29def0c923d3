"""A server's garbage collections look at little."""

from __future__ import annotations

import subprocess
import sys

LOADED = "import broker_sched.server.serve, gc; from broker_sched.server.heap import freeze_heap"


def test_what_is_there_when_a_server_begins_is_left_out_of_its_garbage_collections() -> None:
    """There are some 60,000 objects: to look at all of them takes tens of milliseconds, in which nobody is served."""
    program = f"{LOADED}\nbefore = len(gc.get_objects())\nfreeze_heap()\nprint(before, len(gc.get_objects()))"
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    before, after = map(int, told.split())
    assert after < before / 20, told


def test_a_read_of_many_changes_starts_no_garbage_collection() -> None:
    """It would look at every text that was read."""
    program = f"""{LOADED}
from broker_sched.scheduler.recent_changes import change_in
freeze_heap()
runs = []
gc.callbacks.append(lambda phase, told: runs.append(told))
names = [f"n{{n}}" for n in range(8)] + ["task_id", "from", "to"]
entries = [[f"1719830000000-{{n}}", [text for name in names for text in (name, str(n))]] for n in range(900)]
changes = [change_in((entry_id, dict(zip(told[::2], told[1::2])))) for entry_id, told in entries]
print(len(changes), len(runs))
"""
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert told.split() == ["900", "0"]
