"""What the page makes of numbers, sizes, times and addresses: no digit is lost, no unit is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.page.modules import called

BEYOND = 2**53 + 1
UNTOUCHED = [
    "[0.12345678901234567,1764355555.1234567890,1e22]",
    json.dumps({f'in a "text" {BEYOND}\\': f"\\\\{BEYOND},"}),
]
CASES: list[tuple[str, str, list[Any], Any]] = [
    ("format.js", "count", [0], "0"),
    ("format.js", "count", [1234567], "1,234,567"),
    ("format.js", "count", [0.5], "0.5"),
    ("format.js", "count", [str(10**20 + 1)], "100,000,000,000,000,000,001"),
    ("format.js", "count", ["many"], "many"),
    ("format.js", "count", [None], "–"),  # noqa: RUF001
    ("format.js", "some", [1, "task"], "1 task"),
    ("format.js", "some", [2, "family", "families"], "2 families"),
    ("format.js", "duration", [0], "0 s"),
    ("format.js", "duration", [0.0123], "0.012 s"),
    ("format.js", "duration", [3.44], "3.4 s"),
    ("format.js", "duration", [59.6], "1 min"),
    ("format.js", "duration", [320], "5 min 20 s"),
    ("format.js", "duration", [3600], "1 h"),
    ("format.js", "duration", [3 * 86400 + 5], "3 d"),
    ("format.js", "duration", [-90], "-1 min 30 s"),
    ("format.js", "rate", [0], "0/s"),
    ("format.js", "rate", [12.34], "12.3/s"),
    ("format.js", "rate", [0.05], "3/min"),
    ("format.js", "rate", [1 / 3600], "1/h"),
    ("format.js", "bytes", [1023], "1023 B"),
    ("format.js", "bytes", [1536 * 1024], "1.5 MiB"),
    ("format.js", "bytes", [2.0**60], "1,050,000 TiB"),
    ("format.js", "stateWord", ["WAITING"], "waits for deps"),
    ("format.js", "stateWord", ["NEW_ONE"], "new_one"),
    ("addresses.js", "href", ["task", {"id": "a b&c=d#é/?"}], "?view=task&id=a+b%26c%3Dd%23%C3%A9%2F%3F"),
    ("addresses.js", "href", ["a", {"open": ["x", "y"], "id": None, "text": "", "n": 0}], "?view=a&open=x&open=y&n=0"),
    ("exact_numbers.js", "exactNumbers", ['{"a":1}'], '{"a":1}'),
    ("exact_numbers.js", "exactNumbers", [f'{{"a":{BEYOND},"b":-{BEYOND}}}'], f'{{"a":"{BEYOND}","b":"-{BEYOND}"}}'),
    ("exact_numbers.js", "exactNumbers", [f"[{2**53 - 1}]"], f"[{2**53 - 1}]"),
    *(("exact_numbers.js", "exactNumbers", [each], each) for each in UNTOUCHED),
]  # fmt: skip


@pytest.fixture(scope="module")
def replies() -> list[Any]:
    return called([(module, function, *given) for module, function, given, _ in CASES])


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case[1]}{case[2]!r:.40}" for case in CASES])
def test_it_is_written_as_people_read_it_and_no_digit_is_lost(replies: list[Any], number: int) -> None:
    assert replies[number] == CASES[number][3]
