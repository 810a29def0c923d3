"""The demo's text, and what its pipeline has to find in it: the same in a few lines, without luigi."""

from __future__ import annotations

import pydoc_data.topics
import re
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

LICENSE = Path(__file__).resolve().parents[1] / "LICENSE"


def source_text() -> str:
    """Return a real text that every Python brings along: the language reference of `help()`, and our licence."""
    topics = pydoc_data.topics.topics
    return "\n".join([LICENSE.read_text(), *(topics[name] for name in sorted(topics))])


def expected_report(text: str) -> dict[str, Any]:
    """Compute, without luigi, the report that the pipeline must make of the text."""
    lines = text.splitlines(keepends=True)
    days = {}
    for number in range(91):
        part = lines[number * len(lines) // 91 : (number + 1) * len(lines) // 91]
        days[date(2024, 1, 1) + timedelta(days=number)] = re.findall("[a-z]+", "".join(part).lower())
    total = Counter(word for words in days.values() for word in words)
    letters = {day: len("".join(words)) for day, words in days.items()}
    busiest = sorted(days, key=lambda day: (-letters[day], day))[:3]
    return {
        "words": total.total(),
        "different_words": len(total),
        "words_by_month": [sum(len(w) for day, w in days.items() if day.month == month) for month in (1, 2, 3)],
        "most_frequent": [list(i) for i in sorted(total.items(), key=lambda item: (-item[1], item[0]))[:10]],
        "busiest_days": [
            {
                "day": str(day),
                "letters": letters[day],
                "longest": sorted(set(days[day]), key=lambda word: (-len(word), word))[:3],
            }
            for day in busiest
        ],
    }
