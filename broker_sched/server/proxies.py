"""What proxies say about the clients behind them: believed of those that are named, and of nobody else.

A proxy adds the address from which it was asked to X-Forwarded-For. So the rightmost address in it that is no named
proxy's is the client's; what stands before that may be the client's own invention.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from broker_sched.errors import ConfigurationError
from broker_sched.server.hosts import HostRule
from broker_sched.server.responses import answer_to

UNIX = "unix"  # names all who ask through our unix socket
MAPPED = "::ffff:"  # before an IPv4 address that asks through an IPv6 socket


class Proxies:
    """Knows who is a proxy that is believed. Raises ConfigurationError for one that can't be.

    named: addresses and networks; "unix": who asks through a unix socket.
    """

    def __init__(self, named: Collection[str]) -> None:
        self.named = [_checked(proxy) for proxy in named]
        self._trusted = ProxyHeadersMiddleware(_nothing, self.named).trusted_hosts

    def __contains__(self, address: object) -> bool:
        """Tell whether this is the address of one."""
        return isinstance(address, str) and address in self._trusted


class BehindProxies:
    """Serves an application as if the clients of these proxies had asked it themselves.

    hosts: which names may be asked for. Both the Host header, as a proxy sends it, and X-Forwarded-Host must be such a
    name: a proxy that knows nothing of the latter passes on what a client wrote.

    X-Forwarded-For and X-Forwarded-Proto are read by uvicorn.
    """

    def __init__(self, app: ASGIApp, proxies: Proxies, hosts: HostRule) -> None:
        self._app = app
        self._proxies = proxies
        self._hosts = hosts
        self._reading: Any = ProxyHeadersMiddleware(self._with_client, proxies.named)  # type: ignore[arg-type]  # uvicorn has types of its own for the same

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        address, port = scope.get("client") or (UNIX, 0)
        scope["client"] = (address.removeprefix(MAPPED) if "." in address else address, port)
        if scope["client"][0] in self._proxies:
            scope["bsched.proxy"] = scope["client"]
            if (name := _forwarded_host(scope)) is not None:
                refusal = self._hosts.refusal(scope)
                if refusal is not None:
                    await answer_to(refusal, scope).send(send)
                    return
                scope["headers"] = [*(header for header in scope["headers"] if header[0] != b"host"), (b"host", name)]
        await self._reading(scope, receive, send)

    async def _with_client(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_address(scope["client"][0]):  # whatever stood in the header
            scope["client"] = scope.get("bsched.proxy", scope["client"])
        await self._app(scope, receive, send)


async def _nothing(*request: object) -> None:
    """An application that nobody asks."""


def _forwarded_host(scope: Scope) -> bytes | None:
    """The host for which the nearest proxy was asked."""
    found = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
    return found[-1].rpartition(b",")[2].strip() if found else None


def _checked(proxy: str) -> str:
    if proxy != UNIX:
        try:
            ipaddress.ip_network(proxy)
        except ValueError as error:
            raise ConfigurationError(
                f"--proxy-headers takes an address, a network such as 10.0.0.0/8, or {UNIX}, not {proxy!a}: {error}."
            ) from None
    return proxy


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
