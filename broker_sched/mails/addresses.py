"""Mail addresses, as far as they must be looked at before they come into a header or onto a command line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

UNSAFE = frozenset(("Cc", "Cs", "Zl", "Zp"))  # categories of characters: control, surrogate, ends of lines


def addresses_in(text: str | Iterable[str] | None) -> list[str]:
    """Return the addresses in a text with commas, or in a list of such texts; one that is there twice is given once."""
    texts = [] if text is None else [text] if isinstance(text, str) else [str(each) for each in text]
    found = (address.strip() for each in texts for address in each.split(","))
    return list(dict.fromkeys(address for address in found if address))


def is_usable(address: str) -> bool:
    """Return whether an address can be written into a header, and given to a program."""
    return bool(address) and not address.startswith("-") and address == one_line(address)


def one_line(text: str) -> str:
    """Return the text with a space for each character that could end a line of a header."""
    return "".join(" " if unicodedata.category(char) in UNSAFE else char for char in text)
