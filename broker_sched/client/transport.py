"""One POST over a kept connection: with requests where it is installed, else with the standard library."""

from __future__ import annotations

import base64
import http.client
import importlib.util
import select
import socket
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit

from broker_sched.client.schemes import mixed_up

FORM = "application/x-www-form-urlencoded"


class Unanswered(Exception):
    """The server could not be reached, or did not answer in a way that is of use. Worth trying again."""


class WrongScheme(Unanswered):
    """http was written for https, or https for http."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Fetcher(Protocol):
    """Keeps connections to one server."""

    def post(self, url: str, data: str, seconds: tuple[float, float], headers: Mapping[str, str]) -> Answer:
        """POST a form with the field `data`. seconds: to connect, to wait for the answer. headers: more of them.

        Raises Unanswered.
        """

    def close(self) -> None:
        """Close the connections."""


def fetcher(base: str, login: tuple[str, str] | None) -> Fetcher:
    """The best there is for this URL."""
    if importlib.util.find_spec("requests") is not None:
        return _Requests(base, login)
    return _Plain(base, login)


def _unanswered(base: str, error: BaseException) -> Unanswered:
    """What happened at the bottom: the layers above repeat it in many words."""
    while error.__context__ is not None:
        error = error.__context__
    hint = mixed_up(base, error)
    return Unanswered(f"{type(error).__name__}: {error}") if hint is None else WrongScheme(hint)


class _Requests:
    def __init__(self, base: str, login: tuple[str, str] | None) -> None:
        import requests

        self._base = base
        self._error = requests.exceptions.RequestException
        if base.startswith("http+unix"):
            import requests_unixsocket  # type: ignore[import-untyped]  # it has no types

            self._session: Any = requests_unixsocket.Session()
        else:
            self._session = requests.Session()
        self._session.auth = login
        self._session.trust_env = login is None  # a .netrc must not replace what the URL says

    def post(self, url: str, data: str, seconds: tuple[float, float], headers: Mapping[str, str]) -> Answer:
        try:
            form = {"data": data}
            reply = self._session.post(url, data=form, timeout=seconds, headers=headers, allow_redirects=False)
            return Answer(reply.status_code, reply.content)
        except self._error as error:
            raise _unanswered(self._base, error) from error

    def close(self) -> None:
        self._session.close()


def _is_readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


class _Plain:
    def __init__(self, base: str, login: tuple[str, str] | None) -> None:
        parts = urlsplit(base)
        self._base = base
        self._host, self._port = parts.hostname or "", parts.port
        self._is_tls = parts.scheme == "https"
        self._headers = {"Content-Type": FORM}
        if login is not None:
            token = base64.b64encode(":".join(login).encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"
        self._connection: http.client.HTTPConnection | None = None

    def post(self, url: str, data: str, seconds: tuple[float, float], headers: Mapping[str, str]) -> Answer:
        body = urlencode({"data": data})
        try:
            connection = self._connected(seconds[0])
            connection.sock.settimeout(seconds[1])
            connection.request("POST", urlsplit(url).path, body, {**self._headers, **headers})
            reply = connection.getresponse()
            return Answer(reply.status, reply.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _unanswered(self._base, error) from error

    def _connected(self, seconds: float) -> Any:
        """The kept connection; a new one where there is none, or the server has closed it."""
        if self._connection is not None and self._connection.sock is not None and _is_readable(self._connection.sock):
            self.close()  # nothing was asked, so what can be read is the end
        if self._connection is None or self._connection.sock is None:
            if self._is_tls:
                context = ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=context)
            else:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
            self._connection.connect()
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
