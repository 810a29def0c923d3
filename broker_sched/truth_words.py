"""The words that say true or false in an option that is written as text, as in luigi.cfg."""

from __future__ import annotations

TRUE_WORDS = frozenset(("1", "true", "yes", "on"))
FALSE_WORDS = frozenset(("0", "false", "no", "off"))


def truth_of(text: str) -> bool:
    """Return what a word says, in whatever case and with spaces around it. Raises ValueError for any other text.

    An empty text is none: where that means false, the caller says so.
    """
    word = text.strip().lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError(text)
    return word in TRUE_WORDS
