"""A form's value is decoded as the standard library decodes it, whatever is in it."""

from __future__ import annotations

from urllib.parse import quote_plus, unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from broker_sched.server.requests import FORM, from_body

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
