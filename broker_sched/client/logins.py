"""What proves at a server who calls: a token, or a user and a password; and where it comes from."""

from __future__ import annotations

import base64
import logging
import os
import re
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from broker_sched.client import environment
from broker_sched.errors import ConfigurationError

log = logging.getLogger("bsched.client")

TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")  # what a header can hold: no blank, no line end
Login: TypeAlias = tuple[str, str]  # user and password


class Proof(NamedTuple):
    """Proves who calls. kind: "token", "password", or "nothing". header: returns that of Authorization, or None."""

    kind: str
    header: Callable[[], str | None]


def proof_for(
    host: str, login: Login | None, token: str | None = None, token_file: str | os.PathLike[str] | None = None
) -> Proof:
    """Return the proof for this host: what was given, else what the environment has.

    The first of these counts: the token or its file; user and password; BSCHED_TOKEN, or the file that
    BSCHED_TOKEN_FILE names; what .netrc has for the host. Raises ConfigurationError, which shows no token, for one that
    can't be one, for a file that can't be read, and where two are given that exclude each other.
    """
    if token is not None or token_file is not None:
        if token is not None and token_file is not None:
            raise ConfigurationError("A token and a token file are both given. Leave one of them out.")
        if login is not None:
            raise ConfigurationError("A token and a login in the URL are both given. Leave one of them out.")
        return _by_token(token, "The token", token_file, "The token file")
    if login is None:
        token, token_file = (os.environ.get(name) or None for name in ("BSCHED_TOKEN", "BSCHED_TOKEN_FILE"))
        if token is not None and token_file is not None:
            raise ConfigurationError("BSCHED_TOKEN and BSCHED_TOKEN_FILE are both set. Leave one of them out.")
        if token is not None or token_file is not None:
            return _by_token(token, "BSCHED_TOKEN", token_file, "BSCHED_TOKEN_FILE")
    login = login or environment.netrc_login(host)
    if login is None:
        return Proof("nothing", lambda: None)
    basic = "Basic " + base64.b64encode(":".join(login).encode()).decode()
    return Proof("password", lambda: basic)


def _by_token(token: str | None, name: str, token_file: str | os.PathLike[str] | None, file_name: str) -> Proof:
    if token_file is not None:
        return Proof("token", TokenFile(os.fspath(token_file), file_name).header)
    bearer = f"Bearer {_checked((token or '').strip(), name)}"
    return Proof("token", lambda: bearer)


class TokenFile:
    """A file that holds a token, and may hold another one later: it is read again when it has changed.

    name: what to call it in messages. Raises ConfigurationError when it can't be read, or holds no token.
    """

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._seen: tuple[int, ...] = ()
        self._header = ""
        self._warned = ""
        self._read()

    def header(self) -> str:
        """Return the header of Authorization. While the file can't be read, or is empty, the former token counts."""
        try:
            if self._state() != self._seen:
                self._read()
            self._warned = ""
        except (ConfigurationError, OSError) as error:
            if str(error) != self._warned:  # once, and not at every call
                log.warning("The former token is used on: %s", error)
            self._warned = str(error)
        return self._header

    def _read(self) -> None:
        try:
            state = self._state()
            with open(self._path, encoding="utf-8") as file:
                text = file.read(10_000).strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigurationError(f"{self._name} is {self._path}, which can't be read: {why}.") from None
        header = f"Bearer {_checked(text, f'{self._name} is {self._path}, and what it holds')}"
        self._seen, self._header = state, header

    def _state(self) -> tuple[int, ...]:
        """Return what is another when the file was written, or another one was put in its place."""
        found = os.stat(self._path)
        return found.st_ino, found.st_mtime_ns, found.st_size


def _checked(token: str, name: str) -> str:
    if not TOKEN.fullmatch(token):
        raise ConfigurationError(
            f"{name} can't be a token: that is one word of ASCII, such as `bsched token create --role worker` prints."
        )
    return token
