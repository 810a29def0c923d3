"""What the view of a task makes of texts: a traceback taken apart, a log put together. The modules run in Node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.page.modules import called

OWN = '  File "/home/me/etl/load.py", line 3, in load\n    raise ValueError("no")'
LUIGIS = '  File "/usr/lib/python3/dist-packages/luigi/worker.py", line 210, in run\n    task.run()'
CASES: dict[str, tuple[str, list[str]]] = {
    "a plain one": (
        f"Traceback (most recent call last):\n{LUIGIS}\n{OWN}\nValueError: no",
        ["text: Traceback (most recent call last):", "library: luigi", "own: load", "error: ValueError: no"],
    ),
    "one that follows from another": (
        f"Traceback (most recent call last):\n{OWN}\nKeyError: 'x'\n\nDuring handling of the above exception, another "
        f"exception occurred:\n\nTraceback (most recent call last):\n{OWN}\nValueError: no\nsecond line",
        [
            *("text: Traceback (most recent call last):", "own: load", "error: KeyError: 'x'", "text: "),
            *("text: During handling of the above exception, another exception occurred:", "text: "),
            *("text: Traceback (most recent call last):", "own: load", "error: ValueError: no", "error: second line"),
        ],
    ),
    "a group of exceptions": (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "/home/me/a.py", line 1, in main\n  |     await all()\n'
        "  | ExceptionGroup: two (2 sub-exceptions)\n"
        "  +-+---------------- 1 ----------------\n"
        "    | Traceback (most recent call last):\n"
        '    |   File "/srv/x/site-packages/httpx/a.py", line 2, in get\n    |     raise\n    | OSError: away',
        [
            *("text:   + Exception Group Traceback (most recent call last):", "own: main"),
            *("error:   | ExceptionGroup: two (2 sub-exceptions)", "error:   +-+---------------- 1 ----------------"),
            *("text:     | Traceback (most recent call last):", "library: httpx", "error:     | OSError: away"),
        ],
    ),
    "a folder of the user's that is called luigi": (
        'Traceback (most recent call last):\n  File "/srv/luigi/tasks/sales.py", line 1, in run\n    x\nE: no',
        ["text: Traceback (most recent call last):", "own: run", "error: E: no"],
    ),
    "a recursion": (
        f"{OWN}\n  [Previous line repeated 996 more times]\nRecursionError: deep",
        ["own: load", "error: RecursionError: deep"],
    ),
    "no traceback": ("Worker w was silent\nfor 61 s", ["text: Worker w was silent", "error: for 61 s"]),
    "nothing": ("", ["text: "]),
}
EMPTY = {"run": None, "text": "", "size": 0, "missing": 0}
KEPT = {"run": 1.0, "text": "abc", "size": 10, "missing": 7}
LOGS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "the first reply": (EMPTY, {"run": 1.0, "log": "abc", "size": 10}, KEPT),
    "nothing new": (KEPT, {"run": 1.0, "log": "abc", "size": 10}, KEPT),
    "some more": (KEPT, {"run": 1.0, "log": "bcde", "size": 12}, {**KEPT, "text": "abcde", "size": 12}),
    "a gap": (
        KEPT,
        {"run": 1.0, "log": "xyz", "size": 20},
        {**KEPT, "text": "abc\n… 7 characters were not seen here …\nxyz", "size": 20},
    ),
    "another run": (KEPT, {"run": 2.0, "log": "x", "size": 1}, {"run": 2.0, "text": "x", "size": 1, "missing": 0}),
    "characters of two units": (
        {"run": 1.0, "text": "🦆", "size": 1, "missing": 0},
        {"run": 1.0, "log": "🦆🦆🦢", "size": 3},
        {"run": 1.0, "text": "🦆🦆🦢", "size": 3, "missing": 0},
    ),
}
SHOWN = {
    "\x1b[1;31mred\x1b[0m\x1b]0;title\x07 plain": "red plain",
    "10%\r50%\r100%\nend\r\n": "100%\nend\n",
    "50%\r": "50%",
    "50%\r\r100%": "100%",
    "plain\ttext\n": "plain\ttext\n",
}


@pytest.fixture(scope="module")
def replies() -> dict[str, list[Any]]:
    """What the functions return for all cases: one process of Node for them all."""
    calls = {
        "parts": [["traceback.js", "parts", text] for text, _ in CASES.values()],
        "added": [["log_text.js", "added", kept, reply] for kept, reply, _ in LOGS.values()],
        "shown": [["log_text.js", "shown", text] for text in SHOWN],
        "places": [["log_text.js", "places", "A.b a.B axb", "a.b", 9], ["log_text.js", "places", "x", "", 9]],
        "endOf": [["log_text.js", "endOf", "one\ntwo\nthree", n] for n in (9, 5, 100)],
    }
    told = iter(called([(f"views/task/{file}", *rest) for group in calls.values() for file, *rest in group]))
    return {name: [next(told) for _ in group] for name, group in calls.items()}


def summary(part: dict[str, Any]) -> str:
    if part["kind"] != "frame":
        return f"{part['kind']}: {part['text']}"
    if part["isOwn"]:
        return f"own: {part['name']}"
    return f"library: {Path(part['file']).parent.name}"


@pytest.mark.parametrize("number", range(len(CASES)), ids=list(CASES))
def test_a_traceback_is_taken_apart(replies: dict[str, list[Any]], number: int) -> None:
    assert [summary(part) for part in replies["parts"][number]] == list(CASES.values())[number][1]


@pytest.mark.parametrize("number", range(len(LOGS)), ids=list(LOGS))
def test_replies_add_up_to_what_a_run_has_written(replies: dict[str, list[Any]], number: int) -> None:
    assert replies["added"][number] == list(LOGS.values())[number][2]


def test_a_log_is_what_a_terminal_shows_of_it(replies: dict[str, list[Any]]) -> None:
    assert replies["shown"] == list(SHOWN.values())


def test_texts_of_one_very_long_line_are_read_at_once() -> None:
    """What a task writes freezes nobody's browser: each of these would take minutes if it were read again and again."""
    line, blank = "x" * 1_000_000, " " * 199_000 + "x"
    shown, parts = called(
        [("views/task/log_text.js", "shown", f"{line}\n"), ("views/task/traceback.js", "parts", blank)]
    )
    assert shown == f"{line}\n" and parts == [{"kind": "error", "text": blank}]


def test_a_text_is_found_whatever_its_case_and_never_taken_for_a_pattern(replies: dict[str, list[Any]]) -> None:
    assert replies["places"] == [[{"at": 0, "length": 3}, {"at": 4, "length": 3}], []]


def test_the_end_of_a_log_begins_with_a_line(replies: dict[str, list[Any]]) -> None:
    assert replies["endOf"] == ["two\nthree", "three", "one\ntwo\nthree"]
