"""Texts as Redis keeps them: UTF-8, and lone surrogates as three bytes each.

Python gives file names that are not UTF-8 lone surrogates, and JSON carries them as escapes. UTF-8 has no place for
them, so they are written as what they would be if it had, and read back likewise. Any other byte that is no UTF-8 is
read as �.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence

import hiredis

from broker_sched.redis_backend.commands import Argument

ERRORS = "bsched-surrogates"  # for whoever decodes replies
_pack: Callable[[tuple[Argument, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]  # its stub has 1-tuples


def pack(command: Sequence[Argument]) -> bytes:
    """The bytes of a command as they go to Redis."""
    try:
        return _pack(tuple(command))
    except UnicodeEncodeError:
        return _pack(tuple(sendable(command)))


def sendable(command: Sequence[Argument]) -> list[Argument]:
    """The command for a client that can't write lone surrogates: what is not ASCII as bytes."""
    return [to_bytes(each) if isinstance(each, str) and not each.isascii() else each for each in command]


def to_bytes(text: str) -> bytes:
    """The bytes that Redis keeps for a text."""
    return text.encode("utf-8", "surrogatepass")


def _decode_surrogate(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    try:
        return error.object[error.start : error.start + 3].decode("utf-8", "surrogatepass"), error.start + 3
    except UnicodeDecodeError:
        return "\ufffd", error.end


codecs.register_error(ERRORS, _decode_surrogate)
