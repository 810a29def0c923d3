"""The socket that a server listens on: bound before anything else, so that what is wrong with it is told at once."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator

from broker_sched.errors import ConfigurationError

BACKLOG = 2048  # connections the kernel keeps while we are busy
SOCKET_UMASK = 0o117  # a unix socket for its owner and group


@contextlib.contextmanager
def listening_socket(host: str, port: int, unix_socket: str | None) -> Iterator[socket.socket]:
    """The bound socket; a unix socket's file goes when the block ends. Raises ConfigurationError."""
    if unix_socket is None:
        with _bind_tcp(host, port) as listener:
            yield listener
        return
    with _bind_unix(unix_socket) as listener:
        inode = os.stat(unix_socket).st_ino
        try:
            yield listener
        finally:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(unix_socket).st_ino == inode:  # not that of a server that took the path since
                    os.unlink(unix_socket)


def shown(listener: socket.socket, is_tls: bool = False) -> str:
    """Return where this socket listens, for people: its URL, or a unix socket's path."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix socket {name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"{'https' if is_tls else 'http'}://{host}:{name[1]}"


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
