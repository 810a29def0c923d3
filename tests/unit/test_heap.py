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
