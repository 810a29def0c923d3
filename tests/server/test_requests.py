"""A form's value is decoded as the standard library decodes it, whatever is in it."""

from __future__ import annotations

import time
from urllib.parse import quote_plus, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_sched.server.api import LARGE_BODY_BYTES
from broker_sched.server.requests import FORM, MAX_DOUBTFUL, MAX_FIELDS, from_body

ODD = ["%", "=", "\n", "\r\n", " ", "+", "a", "F", "0", "_", "\t", "\0", "é", "%0A", "%3D", "%3d", "%zz", "%%", "=3D"]


@given(st.lists(st.sampled_from(ODD), max_size=12).map("".join))
def test_odd_escapes_are_decoded_as_by_the_standard_library(text: str) -> None:
    body = b'data={"a":"' + text.encode() + b'"}'
    decoded = unquote_to_bytes(body[5:].replace(b"+", b" "))
    assert outcome(FORM, body) == outcome(b"application/json", decoded)


@given(st.text())
def test_what_was_quoted_comes_back(text: str) -> None:
    body = b"data=" + quote_plus(f'{{"a":"{text}"}}'.encode("utf-8", "replace")).encode()
    assert outcome(FORM, body) == outcome(b"application/json", f'{{"a":"{text}"}}'.encode("utf-8", "replace"))


def outcome(kind: bytes, body: bytes) -> object:
    """The arguments in this body, or why there are none."""
    try:
        return from_body(kind, body, b"")
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("unit", [b"%", b"%4", b"%41", b"=%", b"=%41", b"\n%41", b"&", b"a%b&", b"%64ata=1&", b"%&"])
def test_a_form_that_is_read_beside_others_keeps_them_waiting_for_milliseconds(unit: bytes) -> None:
    """Some of them took 0.2 to 0.4 s."""
    form = b"data=" + unit * (LARGE_BODY_BYTES // len(unit) - 5)
    took = []
    for _ in range(3):
        began = time.thread_time()
        assert isinstance(outcome(FORM, form), str), "it is no JSON"
        took.append(time.thread_time() - began)
    assert min(took) < 0.1


def test_some_signs_that_begin_no_escape_are_text_and_very_many_are_refused() -> None:
    for signs, is_refused in ((MAX_DOUBTFUL, False), (MAX_DOUBTFUL + 1, True)):
        found = outcome(FORM, b'data={"a":"' + b"%" * signs + b'"}')
        assert isinstance(found, str) is is_refused


def test_a_form_of_some_fields_is_read_and_one_of_very_many_is_refused() -> None:
    for fields, is_refused in ((MAX_FIELDS - 1, False), (MAX_FIELDS, True)):
        found = outcome(FORM, b"x=1&" * fields + b'data={"a":1}')
        assert found == {"a": 1} if not is_refused else "data" in str(found)
