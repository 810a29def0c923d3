"""Texts that somebody else chose, as a terminal or a log may have them: no character in them does anything."""

from __future__ import annotations

import re

# All but tab and line end: those of ASCII, those with the eighth bit, and Unicode's: line and paragraph ends, and what
# has the rest of a line stand in another order than it is read, which would show another id.
MAX_NAMED = 300  # characters of a name that somebody else chose
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """Return the text with control characters as \\u escapes, which in JSON still say the same."""
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def named(text: str) -> str:
    """Return the same as a message quotes it: on one line, and of a very long one the beginning and its length."""
    if len(text) > MAX_NAMED:
        text = f"{text[:MAX_NAMED]}… ({len(text):,} characters)"
    return on_one_line(text)


def on_one_line(text: str) -> str:
    """Return the same without line ends, for a log in which each line is a record."""
    return shown(text).replace("\n", "\\n")
