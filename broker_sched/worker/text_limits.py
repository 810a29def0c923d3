"""How long what a worker reports may be: a task can say anything, and its worker must get it through any proxy."""

from __future__ import annotations

import json
from typing import Any

MAX_TEXT = 32_768  # characters; so even the longest stays below the 1 MB that a proxy usually lets through


def shortened(text: str, limit: int = MAX_TEXT) -> str:
    """Return the text; of one longer than `limit` its beginning and end, with how much is left out between them."""
    if len(text) <= limit:
        return text
    half = (limit - 80) // 2  # 80: room for what is said in between
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters are left out here …\n{text[-half:]}"


def shortened_value(value: Any) -> Any:
    """Return any value that JSON can hold; one whose text is too long becomes that text, shortened."""
    if isinstance(value, str):
        return shortened(value)
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):  # refused by name, where it is sent
        return value
    return value if len(text) <= MAX_TEXT else shortened(text)


def explanation(value: Any) -> str:
    """Return the JSON of a value, of a long one shortened; what JSON can't hold is shown by its repr."""
    try:
        return json.dumps(shortened_value(value))
    except (TypeError, ValueError, RecursionError):
        return json.dumps(shortened(repr(value)))


def shortened_explanation(expl: str) -> str:
    """Return an explanation, which is JSON or plain text, shortened where it is too long."""
    if len(expl) <= MAX_TEXT:
        return expl
    try:
        return explanation(json.loads(expl))
    except (ValueError, RecursionError):
        return shortened(expl)
