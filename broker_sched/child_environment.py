"""The environment of the programs that are started for ourselves, which need nothing of what we were told."""

from __future__ import annotations

import os

OURS = "BSCHED_"  # how our variables begin, some of which hold passwords


def child_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without our own variables. more: variables that are set besides."""
    return {**{name: text for name, text in os.environ.items() if not name.startswith(OURS)}, **more}
