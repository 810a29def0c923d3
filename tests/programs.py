"""`bsched …` and the like as processes of their own, which a process starts that has imported what they need."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import IO

from tests.nightly import NIGHTLY
from tests.servers import until
from tests.starter import Request

ROOT = Path(__file__).resolve().parents[1]
BSCHED = str(Path(sys.executable).with_name("bsched"))
PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL


def environment_with(*directories: Path | str, **more: str) -> dict[str, str]:
    """The environment of the tests, with our packages on the path and these directories behind them."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "cli", *directories)))
    return {**os.environ, "PYTHONPATH": path, **more}


class Program:
    """`python -m program words…`, which a test has started: what it needs of a subprocess.Popen, in text mode.

    It leads a session, ends with the tests at the latest, and has its signals as from a shell.
    program: a module, or the path of a script, such as BSCHED, the installed program.
    stdin: a descriptor; a terminal's becomes that of its session.
    is_fresh: it imports everything itself, as all do by night. is_quiet: it tells of no warnings.
    """

    def __init__(
        self,
        *words: str,
        program: str = "bsched.main",
        cwd: Path | str = ROOT,
        env: Mapping[str, str] | None = None,
        stdin: int = DEVNULL,
        stdout: int | IO[str] = PIPE,
        stderr: int | IO[str] = PIPE,
        is_fresh: bool = NIGHTLY,
        is_quiet: bool = False,
    ) -> None:
        self.args = [program, *words]
        self.returncode: int | None = None
        self._said: tuple[str, str] | None = None
        given = environment_with() if env is None else dict(env)
        request = Request(program, list(words), str(cwd), given, is_fresh, is_quiet)
        self.stdout, to_stdout = _stream(stdout)
        self.stderr, to_stderr = (None, os.dup(to_stdout)) if stderr == STDOUT else _stream(stderr)
        from_stdin = os.open(os.devnull, os.O_RDONLY) if stdin == DEVNULL else os.dup(stdin)
        streams = [from_stdin, to_stdout, to_stderr]
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(_starter()))
        socket.send_fds(self._connection, [f"{json.dumps(request)}\n".encode()], streams)
        for each in streams:
            os.close(each)
        self.pid = self._number()
        # Of a program that nobody waits for.
        weakref.finalize(self, _close, self._connection, self.stdout, self.stderr)

    def poll(self) -> int | None:
        """The exit code, negative after a signal; None while it runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with self._connection:
                self.returncode = self._number()
        return self.returncode

    def _number(self) -> int:
        """The next line that the starter sends."""
        line = b""
        while not line.endswith(b"\n"):
            found = self._connection.recv(1)
            assert found, "the process that starts programs is gone"
            line += found
        return int(line)

    def communicate(self, timeout: float = 60.0) -> tuple[str, str]:
        """Wait for its end; what it said on stdout and stderr, the second time, too. Raises
        subprocess.TimeoutExpired."""
        if self._said is not None:
            return self._said
        with ThreadPoolExecutor(2) as readers:
            reading = [readers.submit(each.read) if each else None for each in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            out, err = (each.result() if each else "" for each in reading)
        self._said = (out, err)
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        return out, err

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ends just now
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Ended:
    """A program that has ended: what it said, and its exit code."""

    def __init__(self, program: Program, timeout: float = 60.0) -> None:
        self.args = program.args
        self.stdout, self.stderr = program.communicate(timeout)
        self.returncode = program.wait()

    def __repr__(self) -> str:
        return f"{' '.join(self.args)}: {self.returncode}\n{self.stdout}\n{self.stderr}"


def _close(*streams: IO[str] | socket.socket | None) -> None:
    for each in streams:
        if each is not None:
            each.close()


def _stream(kind: int | IO[str]) -> tuple[IO[str] | None, int]:
    """What the test reads, and what the program writes to."""
    if kind == PIPE:
        ours, its = os.pipe()
        return open(ours), its
    if kind == DEVNULL:
        return None, os.open(os.devnull, os.O_WRONLY)
    return None, os.dup(kind if isinstance(kind, int) else kind.fileno())


@cache
def _starter() -> Path:
    """The socket of this process's starter."""
    directory = Path(tempfile.mkdtemp(prefix="bsched-starter-"))
    path = directory / "socket"
    kept = {name: value for name, value in environment_with().items() if not name.startswith(("BSCHED", "LUIGI"))}
    process = subprocess.Popen([sys.executable, "-m", "tests.starter", str(path)], env=kept, start_new_session=True)
    atexit.register(_end, process, directory, os.getpid())
    until(lambda: _listens(path) or process.poll(), "programs can be started")
    assert process.poll() is None
    return path


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def _end(process: subprocess.Popen[bytes], directory: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a fork of it that exits
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)
