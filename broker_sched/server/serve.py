"""Runs the application on uvicorn: its signals, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, NamedTuple, cast

import uvicorn
from starlette.types import ASGIApp

from broker_sched.errors import ConfigurationError
from broker_sched.redis_backend.urls import describe, is_in_process
from broker_sched.server.access.oidc_config import read_oidc_config
from broker_sched.server.access.users_file import read_users
from broker_sched.server.app import App, AppConfig, create_app
from broker_sched.server.heap import freeze_heap
from broker_sched.server.hosts import HostRule, is_loopback, rule_for
from broker_sched.server.limits import ConnectionLimit, LimitedRequests, Limits, StreamLimit, counted_addresses
from broker_sched.server.listening import BACKLOG, listening_socket, shown
from broker_sched.server.processes import Processes
from broker_sched.server.protocol import KEEP_ALIVE_SECONDS, Protocol
from broker_sched.server.proxies import BehindProxies, Proxies
from broker_sched.server.tls import HANDSHAKE_SECONDS, TLS, TLSFiles
from broker_sched.server.traced import traced

try:
    from uvloop import run as run_loop
except ImportError:  # Windows has no uvloop
    from asyncio import run as run_loop  # type: ignore[assignment]  # the same call

log = logging.getLogger("bsched.server")

LOOK_TICKS = 10  # of uvicorn's, a tenth of a second each, between two looks for what has stalled
HALF_SENT_SECONDS = 1.5  # at SIGTERM, for the rest of a request that has begun to come
GRACEFUL_SECONDS = 30  # for what is in flight at SIGTERM
END_CHECK_SECONDS = 0.02  # how often it is looked whether that is done
SWITCH_SECONDS = 0.001  # a long listing's thread lets the event loop go on after this


@dataclass(frozen=True)
class ServerConfig:
    """Says where a server listens, and what it serves."""

    app: AppConfig = field(default_factory=AppConfig)
    host: str = "127.0.0.1"
    port: int = 8082  # 0: any free one
    unix_socket: str | None = None  # a path, instead of host and port
    processes: int = 1
    allowed_hosts: Collection[str] = ()  # names under which it may be asked, see hosts.rule_for
    tls: TLSFiles | None = None  # None: plain HTTP
    proxies: Collection[str] = ()  # what these say of their clients is believed, see proxies.py
    limits: Limits = field(default_factory=Limits)
    is_insecure: bool = False  # anybody may do anything who reaches an address that is not loopback's


def serve(config: ServerConfig, announce: Callable[[str], None] = print) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is in flight and return. With TLS, SIGHUP reads its files anew.

    Raises ConfigurationError when the port, a file, the URL or the users can't be used, and when others than this
    machine could do everything without a login; SchemaMismatch when the namespace is another version's. An unreachable
    Redis is no reason not to start: calls get 503 until it is there.
    """
    _check_processes(config)
    tls = _tls(config)
    sys.setswitchinterval(SWITCH_SECONDS)
    with listening_socket(config.host, config.port, config.unix_socket) as listener:
        listens_at = None if config.unix_socket else listener.getsockname()[0]
        hosts, address = rule_for(listens_at, config.allowed_hosts), shown(listener, tls is not None)
        access = replace(config.app.access, is_open_to_all=_may_be_open(config, listens_at))
        proxies, limits = Proxies(config.proxies), config.limits.filled_in()
        streams = StreamLimit(limits, counted_addresses(proxies))
        app = create_app(replace(config.app, hosts=hosts, address=address, access=access, streams=streams))
        front = _front(config, app, hosts, proxies, limits)
        where = f"{address}, namespace {config.app.namespace}, Redis {describe(config.app.redis_url)}"
        freeze_heap()
        if config.processes == 1:
            run_loop(serve_on(listener, app, front, lambda: announce(f"bsched server: listening on {where}"), tls=tls))
        else:
            several = Processes(
                lambda tell, alive: run_loop(serve_on(listener, app, front, tell, alive, tls)),
                reload=None if tls is None else tls.reload_or_log,
            )
            where += f", {config.processes} processes"
            several.serve(config.processes, lambda: announce(f"bsched server: listening on {where}"))


class Front(NamedTuple):
    """What stands before an application: what is asked instead of it, and how many connections there may be."""

    app: ASGIApp
    limit: ConnectionLimit


def _front(config: ServerConfig, app: App, hosts: HostRule, proxies: Proxies, limits: Limits) -> Front:
    front: ASGIApp = app
    address_of = counted_addresses(proxies)
    if config.proxies or config.limits.counts_requests:
        front = LimitedRequests(front, limits, address_of)
    if config.proxies:
        front = BehindProxies(front, proxies, hosts)
    return Front(front, ConnectionLimit(limits, address_of))


def _check_processes(config: ServerConfig) -> None:
    if config.processes > 1 and is_in_process(config.app.redis_url):
        raise ConfigurationError("memory: is inside one process, so several can't share it. Leave out --processes.")
    if config.processes > 1 and not hasattr(os, "fork"):
        raise ConfigurationError(
            "--processes needs a system that can fork. Start several servers on ports of their own."
        )


def _tls(config: ServerConfig) -> TLS | None:
    if config.tls is None:
        return None
    if config.unix_socket is not None:
        raise ConfigurationError("A unix socket is protected by its file's permissions: leave out --tls-cert.")
    if config.tls.client_ca and not config.tls.requires_client_certificate and not config.app.access.users_file:
        log.warning(
            "Clients are asked for a certificate, which changes nothing: say in --users-file who comes with one, or "
            "let in nobody without by --tls-require-client-cert."
        )
    return TLS(config.tls)


def _may_be_open(config: ServerConfig, listens_at: str | None) -> bool:
    """Tell whether everybody may ask who reaches the server. Raises ConfigurationError where that is too many."""
    access = config.app.access
    if access.users_file is not None:
        read_users(access.users_file)  # now, since with several processes each would tell of what is wrong with it
    if access.oidc_config is not None:
        read_oidc_config(access.oidc_config)
    if config.is_insecure or listens_at is None or is_loopback(listens_at):
        return True
    if not access.knows_somebody:
        raise ConfigurationError(
            f"Whoever reaches {listens_at} could do everything, since nobody has to log in: this server does not "
            "start. Say who may ask (`bsched user add`, then --users-file; or `bsched token create`, then "
            "--require-login; see docs/security.md), or listen on 127.0.0.1 behind what asks for a login. If all who "
            "reach it may do everything: --insecure (BSCHED_INSECURE=1)."
        )
    return False


async def serve_on(
    listener: socket.socket,
    app: App,
    front: Front,
    on_started: Callable[[], None],
    alive: int | None = None,
    tls: TLS | None = None,
) -> None:
    """Serve on a bound socket until a signal comes, or until the file descriptor `alive` is at its end."""
    server = Server(traced(front.app), on_started, app.end_waiting, tls, front.limit)
    if alive is not None:
        asyncio.get_running_loop().add_reader(alive, server.end)
    with server.signals():
        async with app.running():
            await server.serve(sockets=[listener])


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        interface="asgi3",
        lifespan="off",  # it is ours, so that what it raises reaches the caller
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,  # it would show the users' data
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )


class Server(uvicorn.Server):
    """uvicorn's, with signals that end it without ending the process, and with an end that nobody can hold up.

    on_started: called when it listens. on_stopping: called when it accepts nothing new. tls: what new connections get;
    None: they are plain. limit: how many connections there may be; None: any number.
    """

    def __init__(
        self,
        app: ASGIApp,
        on_started: Callable[[], None],
        on_stopping: Callable[[], None],
        tls: TLS | None = None,
        limit: ConnectionLimit | None = None,
    ) -> None:
        super().__init__(_config(app))
        self.servers: list[asyncio.base_events.Server] = []
        self._tls = tls
        self._limit = limit
        self._sockets: list[socket.socket] = []
        self._changing: asyncio.Task[None] | None = None
        self._on_started = on_started
        self._on_stopping = on_stopping
        self._has_had_signal = False

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT: finish what is in flight, and the second time leave it."""
        former = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: our handlers are there before serving begins, and uvicorn would raise the signals once more."""
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End gracefully at the first signal, at once at the second; before serving has begun, exit with 0."""
        if not self.started:  # there is nothing to finish
            raise SystemExit(0)
        # Not `should_exit`: of a signal that is sent to all processes, a child may hear from its parent first.
        self.should_exit, self.force_exit, self._has_had_signal = True, self._has_had_signal, True

    def end(self) -> None:
        """End as at the first signal, if none has come; may be called again and again."""
        if not self.started:
            raise SystemExit(0)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and print the line that says so."""
        self._sockets = sockets or []
        await self._listen()
        if self._tls is not None and hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])  # see processes.py
        self.started = True
        self._on_started()

    async def _listen(self) -> None:
        """Accept connections with the TLS of now, and only then no more with that of before: none is refused."""
        loop, former = asyncio.get_running_loop(), self.servers
        tls: dict[str, Any] = {}
        if self._tls is not None:
            tls = {"ssl": self._tls.context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}
        self.servers = [
            await loop.create_server(self._protocol, sock=each.dup(), backlog=BACKLOG, **tls) for each in self._sockets
        ]
        for server in former:
            server.close()

    def _protocol(self) -> Protocol:
        return Protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state, limit=self._limit
        )

    def _reload(self) -> None:
        """Handle SIGHUP: read certificate, key and authorities anew."""
        if self._tls is not None and not self.should_exit and self._tls.reload_or_log():
            former = self._changing
            self._changing = asyncio.get_running_loop().create_task(self._listen_after(former))

    async def _listen_after(self, former: asyncio.Task[None] | None) -> None:
        if former is not None:
            await former
        if not self.should_exit:
            await self._listen()

    def _connections(self) -> list[Protocol]:
        return cast("list[Protocol]", list(self.server_state.connections))

    async def on_tick(self, counter: int) -> bool:
        """Look for what has stalled, now and then."""
        if counter % LOOK_TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in self._connections():
                connection.give_up_if_stalled(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is in flight; at the second signal, or after a while, abort it."""
        loop, state = asyncio.get_running_loop(), self.server_state
        if self._changing is not None:
            await self._changing
        for server in self.servers:
            server.close()
        for each in self._sockets:
            each.close()
        self._on_stopping()
        began = loop.time()
        while (state.connections or state.tasks) and not self.force_exit and loop.time() - began < GRACEFUL_SECONDS:
            for connection in self._connections():  # each time: the kernel had accepted more of them before
                connection.shutdown()
                if loop.time() - began > HALF_SENT_SECONDS:
                    connection.give_up_if_stalled(loop.time(), is_ending=True)
            await asyncio.sleep(END_CHECK_SECONDS)
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # that requests are cancelled is no error now
        for connection in self._connections():
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
