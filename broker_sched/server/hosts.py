"""Refuses requests under a name that is not this server's: what a page does that has rebound its own name in DNS.

A browser lets a page of evil.example talk to whatever evil.example leads to, and the page may change that to
127.0.0.1. The Host header still says evil.example. An address in it can't be rebound.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from starlette.types import Scope

from broker_sched.errors import ConfigurationError
from broker_sched.server.responses import RequestRefused

NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\Z")
ANY = "*"
NETWORK_BITS = 64  # of an IPv6 address: whoever has one has all of its network
KNOWN_AT_MOST = 1000  # Host headers that are remembered as good


class HostRule:
    """Knows which names a request may ask for.

    names: allowed beside loopback's, without a port; "*": all. checks: every request; None: those that come in at a
        loopback address. takes_addresses: any IP address may be asked for, not only loopback's.

    Raises ConfigurationError for a name that is none.
    """

    def __init__(self, names: Collection[str] = (), checks: bool | None = None, takes_addresses: bool = False) -> None:
        self._names = frozenset(_checked(name) for name in names if name != ANY)
        self._checks = False if ANY in names else checks
        self._takes_addresses = takes_addresses
        self._known: set[bytes] = set()

    def refusal(self, scope: Scope) -> RequestRefused | None:
        """Return why this request is not served under the name that it uses; None when it is."""
        given = [value for name, value in scope["headers"] if name == b"host"]
        if len(given) != 1:
            if not given and scope["http_version"] != "1.1":
                return None
            return RequestRefused(400, "BadRequest", f"A request of HTTP/1.1 has one Host header, not {len(given)}.")
        if given[0] in self._known or not self._is_checked(scope):
            return None
        host = given[0].decode("latin-1")
        if not self._is_ours(host):
            return RequestRefused(
                403,
                "WrongHost",
                f"This server is asked for as {host!a}, which is not one of its names: a web page may be trying to "
                "misuse a browser. If the name is right, start the server with --allow-host NAME (BSCHED_ALLOW_HOST).",
            )
        if len(self._known) < KNOWN_AT_MOST:
            self._known.add(given[0])
        return None

    def _is_checked(self, scope: Scope) -> bool:
        if self._checks is not None:
            return self._checks
        server = scope.get("server")
        return server is not None and is_loopback(server[0])

    def _is_ours(self, host: str) -> bool:
        name = _without_port(host.lower())
        if name in self._names or is_loopback(name):
            return True
        address = _address(name)
        return address is not None and (self._takes_addresses or address.is_unspecified)  # 0.0.0.0 leads to us, too


def rule_for(listens_at: str | None, names: Collection[str]) -> HostRule:
    """The rule for a server that listens at this address; None: at a unix socket, which no browser reaches.

    At loopback its names and those that are given are taken. Elsewhere a server does not know how people call it: any
    name is taken until some are given, then those and any address.
    """
    if listens_at is not None and is_loopback(listens_at):
        return HostRule(names, checks=True)
    return HostRule(names, checks=bool(names), takes_addresses=True)


def is_loopback(name: str) -> bool:
    """Tell whether this name or address is of the machine itself, whatever DNS says."""
    address = _address(name.strip("[]"))
    if address is not None:
        mapped = getattr(address, "ipv4_mapped", None)
        return bool((mapped or address).is_loopback)
    return name == "localhost" or name.endswith(".localhost")


def network_of(address: str) -> str:
    """Return the address by which a client is counted: of IPv6 its network; of what is no address, itself."""
    found = _address(address)
    if found is None or found.version == 4:  # a unix socket has none
        return address
    mapped = found.ipv4_mapped
    return str(mapped or ipaddress.ip_network((found, NETWORK_BITS), strict=False).network_address)


def _checked(name: str) -> str:
    """Return the name or address as it is compared. Raises ConfigurationError for what no Host header can say."""
    plain = name.lower().strip("[]")
    if _address(plain) is None and not NAME.match(plain):
        raise ConfigurationError(f"--allow-host takes a name or an address without a port, or *, not {name!r}.")
    return plain


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _without_port(host: str) -> str:
    """Return the name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")
