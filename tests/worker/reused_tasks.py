"""Tasks that note their process, and leave something behind in it."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from broker_sched.tasks.targets import LocalTarget
from broker_sched.tasks.task import Task

MORE_BYTES = 300 << 20


class Noted(Task):
    """Writes the id of its process, and what it found of it."""

    directory: str
    n: int

    def output(self) -> LocalTarget:
        return LocalTarget(f"{self.directory}/{type(self).__name__}-{self.n}")

    def run(self) -> None:
        Path(self.output().path).write_text(f"{os.getpid()} {self.found()}")

    def found(self) -> object:
        return ""


class Fresh(Noted):
    fresh_process = True


class Drawn(Noted):
    def found(self) -> object:
        return random.random()


class Forced(Noted):
    """Does what the object was told before."""

    def found(self) -> object:
        return getattr(self, "force", None)


class Unreadable(Noted):
    """Can be pickled, and not made again."""

    def __reduce__(self) -> Any:
        return _refuse, (os.getpid(), type(self), self.directory, self.n)


class Unpicklable(Noted):
    def __reduce__(self) -> Any:
        raise TypeError("it holds a lock")


class Leaving(Noted):
    """Leaves something behind in its process."""

    what: str

    def found(self) -> object:
        LEFT[self.what]()
        return _surroundings()


class Found(Noted):
    """Says what it finds of what others may have changed."""

    def found(self) -> object:
        return _surroundings()


class Ends(Noted):
    how: str

    def run(self) -> None:
        super().run()
        if self.how == "exit 0":
            os._exit(0)
        elif self.how == "timeout":
            time.sleep(60)
        elif self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            raise RuntimeError(self.how)

    @property
    def worker_timeout(self) -> float | None:
        return 0.5 if self.how == "timeout" else None


class Talks(Noted):
    def run(self) -> None:
        print(f"out {self.n}")
        print(f"err {self.n}", file=sys.stderr)
        subprocess.run(["printf", f"program {self.n}\\n"], check=True)
        super().run()


class Mumbles(Noted):
    def run(self) -> None:
        sys.stdout.write(f"no end of line {self.n}")
        super().run()


class Listens(Noted):
    accepts_messages = True

    def run(self) -> None:
        message = self.scheduler_messages.get(timeout=30)  # type: ignore[attr-defined]
        message.respond(f"{self.n} heard {message}")
        super().run()


def _refuse(pid: int, kind: type, directory: str, n: int) -> Task:
    if os.getpid() != pid:
        raise ImportError("it can't be made here")
    return kind(directory, n)  # type: ignore[no-any-return]


def _surroundings() -> str:
    folder = os.getcwd() if Path("/").samefile(os.getcwd()) else "as before"
    handler = "as before" if signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL else "other"
    more = os.environ.get("LEFT_BEHIND"), "left-behind" in sys.path, socket.getdefaulttimeout()
    return f"{folder} {handler} {more}"


def _thread() -> None:
    threading.Thread(target=time.sleep, args=(0.5,), name="of the task").start()


def _program() -> None:
    subprocess.Popen(["sleep", "1"])


def _everything_that_can_be_put_back() -> None:
    os.chdir("/")
    os.environ["LEFT_BEHIND"] = "yes"
    signal.signal(signal.SIGUSR2, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 3600)
    sys.path.insert(0, "left-behind")
    socket.setdefaulttimeout(7)
    sys.stdout = sys.stderr
    os.umask(0o077)


def _memory() -> None:
    LEFT["kept"] = bytearray(MORE_BYTES)  # type: ignore[assignment]


def _limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))


LEFT = {
    "a thread": _thread,
    "a program": _program,
    "what can be put back": _everything_that_can_be_put_back,
    "memory": _memory,
    # Many more than 32: some that the process has inherited from that of the tests may be closed meanwhile.
    "files": lambda: [os.open("/", os.O_RDONLY) for _ in range(100)],
    "a limit": _limit,
}
