"""Serves a namespace over HTTP: sockets, signals, one process.

Any number of such processes serve one namespace side by side: they keep no state.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from broker_sched.errors import ConfigurationError, RedisUnavailable
from broker_sched.mails.settings import MailSettings, why_silent
from broker_sched.redis_backend.commands import Commands
from broker_sched.redis_backend.multiplexed_connection import open_connections
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.urls import describe
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.mailing import Mailing
from broker_sched.server.app import App
from broker_sched.server.connection import Connection, Respond
from broker_sched.server.prune_timer import prune_for_ever

try:
    from uvloop import run as run_loop
except ImportError:  # Windows has no uvloop
    from asyncio import run as run_loop  # type: ignore[assignment]  # the same call

log = logging.getLogger("bsched.server")

BACKLOG = 2048  # connections the kernel keeps while we are busy
KEEP_ALIVE_SECONDS = 3600  # as luigid; a shorter one would now and then close just as a worker asks
IDLE_CHECK_SECONDS = 60  # how often idle connections are looked for
STALLED_SECONDS = 60  # a request that has begun is dropped when nothing more of it came for so long
STALLED_AT_END_SECONDS = 3  # and at SIGTERM
GRACEFUL_SECONDS = 30  # for what is in flight at SIGTERM
END_CHECK_SECONDS = 0.02  # how often it is looked whether that is done
DRIVE_SECONDS = 30  # what mails want of Redis is not waited for longer
SWITCH_SECONDS = 0.001  # a long listing's thread lets the event loop go on after this
SOCKET_UMASK = 0o117  # a unix socket for its owner and group


@dataclass(frozen=True)
class ServerConfig:
    """Where to listen and what to serve."""

    redis_url: str | None = None  # None: BSCHED_REDIS, else `local:`
    namespace: str = "default"
    host: str = "127.0.0.1"
    port: int = 8082  # 0: any free one
    unix_socket: str | None = None  # a path, instead of host and port
    options: Mapping[str, str] = field(default_factory=dict)  # name → text, as config.to_text makes it
    resources: Mapping[str, float] = field(default_factory=dict)
    mails: MailSettings | None = None  # None: this server sends no mails


def serve(config: ServerConfig, announce: Callable[[str], None] = print) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is in flight and return.

    Raises ConfigurationError when the port, the socket or the URL can't be used, SchemaMismatch when the namespace
    is another version's. An unreachable Redis is no reason not to start: calls get 503 until it is there.
    """
    namespace = Namespace.named(config.namespace)
    sys.setswitchinterval(SWITCH_SECONDS)
    with listening_socket(config) as listener:
        where = f"{_shown(listener)}, namespace {namespace.name}, Redis {describe(config.redis_url)}"
        run_loop(_serve(config, namespace, listener, lambda: announce(f"bsched server: listening on {where}")))


async def _serve(
    config: ServerConfig, namespace: Namespace, listener: socket.socket, on_started: Callable[[], None]
) -> None:
    signals = Signals()
    connections = await asyncio.to_thread(open_connections, config.redis_url, namespace.prefix)
    scheduler = AsyncScheduler(namespace, *connections, config.options, config.resources)
    try:
        await scheduler.configure()
    except RedisUnavailable as error:
        log.warning("Calls are answered with 503 until Redis can be reached: %s", error)
    pruner = asyncio.create_task(prune_for_ever(scheduler))
    mailing = None
    try:
        mailing = start_mailing(config.mails, scheduler)
        await serve_until(signals, App(scheduler).respond, listener, on_started, scheduler.end_waiting)
    finally:
        pruner.cancel()
        if mailing is not None:
            await asyncio.to_thread(mailing.stop)
        await scheduler.close()


def start_mailing(settings: MailSettings | None, scheduler: AsyncScheduler) -> Mailing | None:
    """Send the namespace's mails, in a thread that asks this event loop for what it wants of Redis."""
    silent = why_silent(settings) if settings else "no settings are given"
    if settings is None or silent is not None:
        if settings is not None and settings.email.receivers:
            log.info("This server sends no mails: %s.", silent)
        return None
    loop = asyncio.get_running_loop()

    def drive(steps: Commands[Any]) -> Any:
        if loop.is_closed():
            raise RuntimeError("the server has ended")
        return asyncio.run_coroutine_threadsafe(scheduler.drive(steps), loop).result(DRIVE_SECONDS)

    mailing = Mailing(scheduler.namespace, settings, drive)
    mailing.start()
    return mailing


async def serve_until(
    signals: Signals,
    respond: Respond,
    listener: socket.socket,
    on_started: Callable[[], None],
    on_stopping: Callable[[], None],
) -> None:
    """Serve until a signal comes; then end what is in flight, or at the second signal, or after a while, abort it."""
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(respond, connections), sock=listener, backlog=BACKLOG)
    signals.are_to_be_waited_for = True
    on_started()
    while not await signals.come_within(IDLE_CHECK_SECONDS):
        for connection in list(connections):
            connection.give_up_after(STALLED_SECONDS)
            if connection.is_idle and connection.idle_since < loop.time() - KEEP_ALIVE_SECONDS:
                connection.stop()
    server.close()
    on_stopping()
    deadline = loop.time() + GRACEFUL_SECONDS
    while connections and not signals.are_urgent and loop.time() < deadline:
        for connection in list(connections):  # each time: the kernel had accepted more of them before
            connection.stop()
            connection.give_up_after(STALLED_AT_END_SECONDS)
        await asyncio.sleep(END_CHECK_SECONDS)
    for connection in list(connections):
        connection.abort()


class Signals:
    """SIGTERM and SIGINT: finish what is in flight, and the second time leave it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._has_come = False
        self.are_to_be_waited_for = False  # before that there is nothing to finish
        self.are_urgent = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._take)

    async def come_within(self, seconds: float) -> bool:
        """Wait for one, so long."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._came.wait(), seconds)
        return self._came.is_set()

    def _take(self, number: int, frame: FrameType | None) -> None:
        if not self.are_to_be_waited_for:
            raise SystemExit(0)
        self.are_urgent, self._has_come = self._has_come, True  # the event is set a turn of the loop later
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._came.set)


@contextlib.contextmanager
def listening_socket(config: ServerConfig) -> Any:
    """The bound socket; a unix socket's file goes when the server does."""
    if config.unix_socket is None:
        with _bind_tcp(config.host, config.port) as listener:
            yield listener
        return
    with _bind_unix(config.unix_socket) as listener:
        inode = os.stat(config.unix_socket).st_ino
        try:
            yield listener
        finally:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(config.unix_socket).st_ino == inode:  # not that of a server that took the path since
                    os.unlink(config.unix_socket)


def _bind_tcp(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, OverflowError) as error:
        raise ConfigurationError(f"Can't listen on {host!r}, port {port}: {error}. Check --host and --port.") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # now, so that a port in use is found out
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(f"Port {port} on {host} is in use. Choose another with --port.") from None
        raise ConfigurationError(f"Can't listen on {host}, port {port}: {error.strerror}.") from None
    return listener


def _bind_unix(path: str) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(SOCKET_UMASK)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"Can't listen on unix socket {path}: {error.strerror or error}.") from None
    finally:
        os.umask(umask)
    return listener


def _remove_stale(path: str) -> None:
    """Remove a socket file that no process listens on any more."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise ConfigurationError(f"{path} exists and is no socket. Choose another path with --unix-socket.")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as error:
            raise ConfigurationError(f"Can't listen on unix socket {path}: {error.strerror or error}.") from None
    raise ConfigurationError(f"Another process listens on {path}. Choose another path with --unix-socket.")


def _shown(listener: socket.socket) -> str:
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix socket {name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"http://{host}:{name[1]}"
