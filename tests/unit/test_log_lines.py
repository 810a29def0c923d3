"""Whatever is logged: a line of JSON, with the fields that docs/logs.md lists."""

from __future__ import annotations

import datetime
import json
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_sched import log_lines
from broker_sched.log_lines import FIELDS, JSONFormatter, note_process, output_lines, with_fields

DOCS = Path(__file__).resolve().parents[2] / "docs" / "logs.md"
MOST_BYTES = 16 * 1024  # where Docker begins another line
ANY = st.text(st.characters(exclude_categories=()), max_size=50)


class Unwritable:
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


def written(message: Any, *arguments: Any, error: BaseException | None = None, **more: Any) -> dict[str, Any]:
    """What a record becomes."""
    try:
        if error is not None:
            raise error
    except BaseException:
        exc_info = sys.exc_info()
    else:
        exc_info = None  # type: ignore[assignment]  # as logging has it where there is none
    record = logging.LogRecord("some.logger", more.pop("level", logging.INFO), "x.py", 1, message, arguments, exc_info)
    vars(record).update(more)
    text = JSONFormatter().format(record)
    assert "\n" not in text and text.isascii() and len(text) < MOST_BYTES, len(text)
    found: dict[str, Any] = msgspec.json.decode(text)  # a strict reader: it takes no lone surrogate
    assert set(found) <= {"time", "level", "logger", "message", "pid", "error", *FIELDS}
    return found


def test_a_line_says_when_in_utc_how_bad_where_and_what() -> None:
    found = written("%s of %d", "one", 2, created=1700000000.25)
    assert (found["level"], found["logger"], found["message"]) == ("info", "some.logger", "one of 2")
    assert found["time"] == "2023-11-14T22:13:20.250000Z"
    assert datetime.datetime.fromisoformat(found["time"].replace("Z", "+00:00")).timestamp() == 1700000000.25


@given(text=ANY, name=ANY, task_id=ANY)
def test_any_text_is_one_line_of_strict_json(text: str, name: str, task_id: str) -> None:
    with with_fields(task_id=task_id):
        found = written(text.replace("%", "%%"), name=name, error=ValueError(text))
    if not re.search("[\ud800-\udfff]", text):
        assert found["message"] == text.replace("%", "%%")
        assert found["error"]["message"] == text


@pytest.mark.parametrize("filler", ["a", "\n", "\x00", "é", "\U0001f600", "\udc80", '"'])
def test_what_is_huge_is_cut_and_says_so(filler: str) -> None:
    huge = filler * 2_000_000

    def deep(levels: int) -> None:
        raise ValueError(huge) if not levels else deep(levels - 1)  # type: ignore[func-returns-value, misc]

    with with_fields(**dict.fromkeys(FIELDS, huge)):
        assert written(huge)["message"].endswith(" … (2000000 characters)")
        with pytest.raises(ValueError) as raised:
            deep(50)
        found = written(huge, error=raised.value, name=huge)
    assert found["error"]["message"].endswith(" … (2000000 characters)")
    assert "in deep" in found["error"]["traceback"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: written("%d is no number", "x"),
        lambda: written("too %s many", 1, 2),
        lambda: written("%s", Unwritable()),
        lambda: written({"a": 1}),
        lambda: written("failed", error=type("Odd", (Exception,), {"__str__": Unwritable.__str__})()),
        lambda: written("failed", exc_info=(None, None, None)),
        lambda: written("failed", exc_text="a trace that somebody else made"),
        lambda: written("stack", stack_info="Stack (most recent call last):"),
    ],
)
def test_no_record_makes_the_formatter_fail(make: Callable[[], dict[str, Any]]) -> None:
    assert make()["message"]


def test_an_error_says_its_type_its_text_and_where_it_comes_from() -> None:
    error = written("it failed", error=json.JSONDecodeError("no", "doc", 0))["error"]
    assert error["type"] == "json.decoder.JSONDecodeError"
    assert error["message"].startswith("no: line 1")
    assert error["traceback"].startswith("Traceback (most recent call last):")


def test_fields_hold_for_the_process_or_for_a_block_and_the_inner_ones_go_first() -> None:
    note_process(worker="w1", namespace="etl")
    try:
        with with_fields(worker="w2", task_id="t"), with_fields(request_id="r", task_id=None):
            found = written("x")
            assert {name: found[name] for name in FIELDS if name in found} == {
                **{"namespace": "etl", "worker": "w2", "task_id": "t", "request_id": "r"}
            }
        assert written("x")["worker"] == "w1"
    finally:
        note_process(worker=None, namespace=None)
    assert not set(FIELDS) & set(written("x"))


@pytest.mark.parametrize("text", ["", "a" * 30_000, "\U0001f600" * 5_000, "\x1b" * 9_000])
def test_of_a_long_line_of_a_task_nothing_is_cut(text: str) -> None:
    lines = [json.loads(each) for each in output_lines(text, {"task_id": "t"})]
    assert "".join(each["message"] for each in lines) == text
    assert {(each["task_id"], each["logger"]) for each in lines} == {("t", log_lines.OUTPUT_LOGGER)}


def test_the_page_lists_each_field() -> None:
    listed = re.findall(r"^\| `([a-z_.]+)` \|", DOCS.read_text(), re.M)
    error = ["error.type", "error.message", "error.traceback"]
    assert listed == ["time", "level", "logger", "message", "pid", *FIELDS, *error]
