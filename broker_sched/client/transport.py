"""POSTs to one server over kept connections: urllib3, with a connection of our own for unix sockets."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from broker_sched.client.environment import clients_tls_context, proxy_for, tls_context
from broker_sched.client.schemes import mixed_up
from broker_sched.contract.request_ids import NAME_HEADER
from broker_sched.errors import ConfigurationError

MAX_KEPT = 64  # connections that stay open between calls; more threads at once open further ones
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
# What JSON in ASCII may have that a form's value must not: with a search for each, it takes a tenth of the time that
# urllib takes, which looks at each character. The first one is in what the others become.
ESCAPED = [(each, f"%{ord(each):02X}") for each in "%\x7f!\"#$&'()*+,/:;<=>?@[\\]^`{|}"]
HEADERS = {
    "Accept-Encoding": "gzip, deflate",  # a proxy may compress long listings
    "User-Agent": "broker_sched",
}


class Unanswered(Exception):
    """The server could not be reached, or did not answer in a way that is of use. Worth trying again."""


class WrongScheme(Unanswered):
    """http was written for https, or https for http."""


class Answer(NamedTuple):
    """The answer of a server to one request."""

    status: int
    body: bytes
    request_id: str = ""  # as the server calls the request; "" where it says nothing


class Transport:
    """Keeps connections to one server. Any thread may use it, in the process that made it.

    base: the server's URL, without a login. authorization: returns that header of each request; None: there is none.
    Raises ConfigurationError when the environment names a proxy or certificates that can't be used.
    """

    def __init__(self, base: str, authorization: Callable[[], str | None]) -> None:
        parts = urlsplit(base)
        self._base = base
        self._authorization = authorization
        proxy = None if parts.scheme == "http+unix" else proxy_for(base)
        options: dict[str, Any] = {"maxsize": MAX_KEPT, "retries": False}
        if parts.scheme == "https":
            options["ssl_context"] = clients_tls_context()
        self._pool: Any  # a pool, or a proxy's manager: both have urlopen and close what they keep
        if proxy is not None:
            self._pool, self._prefix = _proxied(proxy, options), base
        elif parts.scheme == "http+unix":
            self._pool, self._prefix = _UnixPool("localhost", path=unquote(parts.netloc), **options), parts.path
        else:
            self._pool, self._prefix = urllib3.connection_from_url(base, **options), parts.path

    def post(
        self, path: str, data: str, seconds: tuple[float, float], headers: Mapping[str, str], as_form: bool = True
    ) -> Answer:
        """POST JSON, which is in ASCII, to a path below the base. Redirects are not followed.

        seconds: to connect, and to wait for the answer. headers: further ones. as_form: in the field `data`
        of a form.
        Raises Unanswered.
        """
        authorization = self._authorization()
        login = {} if authorization is None else {"Authorization": authorization}
        try:
            reply = self._pool.urlopen(
                "POST",
                self._prefix + path,
                body=f"data={form_value(data)}" if as_form else data,
                headers={"Content-Type": FORM if as_form else JSON, **HEADERS, **login, **headers},
                redirect=False,
                timeout=urllib3.Timeout(connect=seconds[0], read=seconds[1]),
            )
        except urllib3.exceptions.HTTPError as error:
            raise _unanswered(self._base, error) from error
        return Answer(reply.status, reply.data, reply.headers.get(NAME_HEADER, "") if reply.status != 200 else "")

    def close(self) -> None:
        """Close the connections that are not in use; those in use are closed after their answer."""
        self._pool.clear() if isinstance(self._pool, urllib3.PoolManager) else self._pool.close()


def form_value(data: str) -> str:
    """Return JSON, which is in ASCII, as a form has it."""
    for each, escaped in ESCAPED:
        if each in data:
            data = data.replace(each, escaped)
    return data.replace(" ", "+")


class _UnixConnection(HTTPConnection):
    """A connection for HTTP over a unix socket."""

    def __init__(self, *arguments: Any, path: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self._path)
        except BaseException:
            connection.close()
            raise
        self.sock = connection


class _UnixPool(HTTPConnectionPool):
    ConnectionCls = _UnixConnection


def _proxied(proxy: str, options: dict[str, Any]) -> urllib3.PoolManager:
    """What reaches servers by way of a proxy, which may have user:password@ in its URL, and may be a SOCKS one."""
    parts = urlsplit(proxy)
    is_socks = parts.scheme.startswith("socks")
    if is_socks and importlib.util.find_spec("socks") is None:
        raise ConfigurationError("The environment names a SOCKS proxy: pip install 'urllib3[socks]'.")
    if parts.scheme == "https":
        options = {**options, "proxy_ssl_context": tls_context()}
    try:
        if is_socks:
            from urllib3.contrib.socks import SOCKSProxyManager

            return SOCKSProxyManager(proxy, **options)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        return urllib3.ProxyManager(proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=login), **options)
    except (urllib3.exceptions.HTTPError, ValueError):
        raise ConfigurationError(
            f"The environment names a proxy that can't be used, with the scheme {parts.scheme}; it is http, https or "
            "socks5. NO_PROXY=<host of the scheduler> goes round it."
        ) from None


def _unanswered(base: str, error: BaseException) -> Unanswered:
    """What happened at the bottom: the layers above repeat it in many words."""
    while error.__context__ is not None:
        error = error.__context__
    hint = mixed_up(base, error)
    return Unanswered(f"{type(error).__name__}: {error}") if hint is None else WrongScheme(hint)
