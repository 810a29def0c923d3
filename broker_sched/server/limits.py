"""How much of a server one client, and all of them together, may have at a time.

Each process counts its own. What comes over loopback or a unix socket, or from a named proxy, is not counted by
address: many clients may be behind it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from broker_sched.errors import ConfigurationError
from broker_sched.server.hosts import is_loopback, network_of
from broker_sched.server.requests import path_of
from broker_sched.server.responses import RETRY_AFTER, RequestRefused, answer_to

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]  # as it says

OTHER_FILES = 128  # that a process has open beside its clients' connections
MOST_FILES = 65_536  # that it asks for, if it may have them
WAITS = frozenset({"/api/await_work"})
STREAMS = "/events"
MOST_STREAMS = 1000  # unless told otherwise: each is told of every change


@dataclass(frozen=True)
class Limits:
    """The most that there may be at a time. 0: as many as the process may open files; of one address half of that.

    streams: of events, which pages listen to. 0: MOST_STREAMS, if the process may open so many files.
    """

    connections: int = 0
    connections_per_address: int = 0
    requests: int = 0  # that are being answered; long polls are not among them
    requests_per_address: int = 0
    waiting: int = 0  # long polls
    waiting_per_address: int = 0
    streams: int = 0
    streams_per_address: int = 0

    @property
    def counts_requests(self) -> bool:
        """Whether requests are limited further than their connections are."""
        return any((self.requests, self.requests_per_address, self.waiting, self.waiting_per_address))

    def filled_in(self) -> Limits:
        """Return the limits that hold: none of them 0.

        The process, and those that it forks, may open more files from now on, if the system lets them.
        """
        most = _files() - OTHER_FILES
        found = {}
        for name in ("connections", "requests", "waiting", "streams"):
            found[name] = getattr(self, name) or (min(most, MOST_STREAMS) if name == "streams" else most)
            one = f"{name}_per_address"
            found[one] = getattr(self, one) or max(1, found[name] // 2)
        return Limits(**found)


def parse_limits(texts: Iterable[str]) -> Limits:
    """Read limits written as name=number. Raises ConfigurationError."""
    names = [field.name for field in dataclasses.fields(Limits)]
    found: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        if name not in names or not number.isdigit() or int(number) == 0:
            raise ConfigurationError(f"--limit is NAME=NUMBER, not {text!a}. Names: {', '.join(names)}.")
        found[name] = int(number)
    return Limits(**found)


class Share:
    """Counts how much of one thing is in use, in all and by address. what: its name, for who is refused."""

    def __init__(self, what: str, most: int, most_per_address: int) -> None:
        self._what = what
        self._most = most
        self._most_per_address = most_per_address
        self._taken: Counter[str] = Counter()  # by address; "": of those that are not counted so
        self._all = 0

    def take(self, address: str) -> RequestRefused | None:
        """Take one, to be given back; or return why there is none."""
        if self._all >= self._most:
            message = f"This server has {self._most} {self._what}, the most that it may. Try again."
            return RequestRefused(503, "Busy", message, [RETRY_AFTER])
        if address and self._taken[address] >= self._most_per_address:
            message = f"{address} has {self._most_per_address} {self._what} here, the most that one address may."
            return RequestRefused(429, "TooMany", message, [RETRY_AFTER])
        self._all += 1
        self._taken[address] += 1
        return None

    def give_back(self, address: str) -> None:
        """Give back what this address has taken: another may have it."""
        self._all -= 1
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]


class ConnectionLimit:
    """Counts connections. A refused one is told why, unless too many are being told so already."""

    TOLD_AT_ONCE = OTHER_FILES // 2

    def __init__(self, limits: Limits, address_of: Callable[[str], str]) -> None:
        self._share = Share("connections", limits.connections, limits.connections_per_address)
        self._address_of = address_of
        self._refused = 0  # and not closed yet

    def enter(self, client: tuple[str, int] | None) -> RequestRefused | None:
        """Count a connection of this client, or return why it may not have one."""
        refusal = self._share.take(self._address_of(client[0]) if client else "")
        self._refused += refusal is not None
        return refusal

    def leave(self, client: tuple[str, int] | None, was_refused: bool) -> None:
        """Count one less, which is closed."""
        if was_refused:
            self._refused -= 1
        else:
            self._share.give_back(self._address_of(client[0]) if client else "")

    @property
    def tells(self) -> bool:
        """Whether who is refused can be told why."""
        return self._refused <= self.TOLD_AT_ONCE


class StreamLimit:
    """Counts streams of events. address_of: by which address a client is counted."""

    def __init__(self, limits: Limits, address_of: Callable[[str], str]) -> None:
        self._share = Share("streams of events", limits.streams, limits.streams_per_address)
        self._address_of = address_of

    @contextlib.contextmanager
    def counted(self, client: tuple[str, int] | None) -> Iterator[None]:
        """Count a stream as long as the block lasts. Raises RequestRefused when this client may have no more."""
        address = self._address_of(client[0]) if client else ""
        refusal = self._share.take(address)
        if refusal is not None:
            raise refusal
        try:
            yield
        finally:
            self._share.give_back(address)


class LimitedRequests:
    """Serves an application with no more requests at a time than there may be. Streams of events are none of them.

    address_of: by which address a client is counted.
    """

    def __init__(self, app: ASGIApp, limits: Limits, address_of: Callable[[str], str]) -> None:
        self._app = app
        self._requests = Share("requests under way", limits.requests, limits.requests_per_address)
        self._waiting = Share("workers waiting", limits.waiting, limits.waiting_per_address)
        self._address_of = address_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["path"] == STREAMS:  # which the application counts
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        address = self._address_of(client[0]) if client else ""
        share = self._waiting if path_of(scope) in WAITS else self._requests
        refusal = share.take(address)
        if refusal is not None:
            await answer_to(refusal, scope).send(send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            share.give_back(address)


def counted_addresses(proxies: Container[str]) -> Callable[[str], str]:
    """Return what tells by which address a client is counted: "" for loopback's, and for those of these proxies.

    Of IPv6 it is the network, all of whose addresses one client may have.
    """

    def counted(address: str) -> str:
        return "" if is_loopback(address) or address in proxies else network_of(address)

    return counted


def _files() -> int:
    """How many files this process may open, once it has asked for more."""
    if resource is None:
        return MOST_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY:
        return MOST_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(soft, 2 * OTHER_FILES)
