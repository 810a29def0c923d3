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
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from broker_sched.errors import ConfigurationError
from broker_sched.redis_backend.urls import describe, is_in_process
from broker_sched.server.app import App, AppConfig, create_app
from broker_sched.server.hosts import rule_for
from broker_sched.server.listening import BACKLOG, listening_socket, shown
from broker_sched.server.processes import Processes
from broker_sched.server.protocol import KEEP_ALIVE_SECONDS, Protocol

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


def serve(config: ServerConfig, announce: Callable[[str], None] = print) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is in flight and return.

    Raises ConfigurationError when the port, the socket or the URL can't be used, SchemaMismatch when the namespace
    is another version's. An unreachable Redis is no reason not to start: calls get 503 until it is there.
    """
    _check_processes(config)
    sys.setswitchinterval(SWITCH_SECONDS)
    with listening_socket(config.host, config.port, config.unix_socket) as listener:
        listens_at = None if config.unix_socket else listener.getsockname()[0]
        hosts, address = rule_for(listens_at, config.allowed_hosts), shown(listener)
        app = create_app(replace(config.app, hosts=hosts, address=address))
        where = f"{address}, namespace {config.app.namespace}, Redis {describe(config.app.redis_url)}"
        if config.processes == 1:
            run_loop(serve_on(listener, app, lambda: announce(f"bsched server: listening on {where}")))
        else:
            several = Processes(lambda tell, alive: run_loop(serve_on(listener, app, tell, alive)))
            where += f", {config.processes} processes"
            several.serve(config.processes, lambda: announce(f"bsched server: listening on {where}"))


def _check_processes(config: ServerConfig) -> None:
    if config.processes > 1 and is_in_process(config.app.redis_url):
        raise ConfigurationError("memory: is inside one process, so several can't share it. Leave out --processes.")
    if config.processes > 1 and not hasattr(os, "fork"):
        raise ConfigurationError(
            "--processes needs a system that can fork. Start several servers on ports of their own."
        )


async def serve_on(listener: socket.socket, app: App, on_started: Callable[[], None], alive: int | None = None) -> None:
    """Serve on a bound socket until a signal comes, or until the file descriptor `alive` is at its end."""
    server = Server(app, on_started, app.end_waiting)
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

    on_started: called when it listens. on_stopping: called when it accepts nothing new.
    """

    def __init__(self, app: ASGIApp, on_started: Callable[[], None], on_stopping: Callable[[], None]) -> None:
        super().__init__(_config(app))
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
        await super().startup(sockets)
        self._on_started()

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
        for server in self.servers:
            server.close()
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
