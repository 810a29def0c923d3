"""A process that has imported what our programs import, and forks for each of them that a test starts.

`bsched` takes ten times as long to import its modules as most tests need it for. A program that this starts has a
directory, an environment, arguments, streams, a session and a `__main__` of its own, and ends as any interpreter does;
only the modules are there already, and the Lua scripts with what each includes. Whatever reads the environment when it
is imported is not among them, such as luigi. tests/programs.py is the other end.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import termios
import threading
import time
import warnings
from typing import Any, NamedTuple

from fakeredis.model import get_all_commands_info

import bsched.commands
from broker_sched.lua import loader
from tests.servers import die_with_parent

STREAMS = 3
MAX_REQUEST = 1 << 20  # bytes
OURS = """
  broker_sched.client.remote_scheduler broker_sched.mails.sending broker_sched.redis_backend.memory_server
  broker_sched.scheduler.mailing broker_sched.scheduler.scheduler broker_sched.server.serve broker_sched.tasks.targets
  broker_sched.tasks.task
"""
OTHERS = """
  aiosmtpd.controller rq.cli rq.cron rq.worker rq.worker_pool
  _strptime dateutil.parser dateutil.relativedelta fakeredis httptools jsonschema logging.handlers lupa
  multiprocessing.popen_fork multiprocessing.synchronize pydantic requests requests_unixsocket rich.console toml
  click._textwrap tornado.concurrent uvicorn.lifespan.off uvicorn.protocols.http.httptools_impl uvloop
"""


class Request(NamedTuple):
    """A program that is to be started: `python -m program words…`, or `python program words…` where it is a path."""

    program: str
    words: list[str]
    directory: str
    environment: dict[str, str]
    is_fresh: bool  # in an interpreter of its own, which imports everything
    is_quiet: bool  # with -W ignore


class Starter:
    """Listens for requests, starts what they ask for, and tells whoever asked how it has ended."""

    def __init__(self, path: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._parent = os.pidfd_open(os.getppid())
        self._selector.register(self._parent, selectors.EVENT_READ)
        self._running: dict[int, tuple[int, socket.socket]] = {}  # pidfd → pid, who asked

    def serve(self) -> Request:
        """Serve until this process's parent ends. Returns in the process of each program, with what that is to do."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    request = self._start(connection)
                    if request is not None:
                        return request
                elif key.fd == self._parent:
                    sys.exit()  # and with this process, all that it has started
                else:
                    self._tell_end(key.fd)

    def _start(self, connection: socket.socket) -> Request | None:
        text, streams, _, _ = socket.recv_fds(connection, MAX_REQUEST, STREAMS)
        if not streams:
            connection.close()  # somebody has only looked whether this listens
            return None
        while not text.endswith(b"\n"):
            text += connection.recv(MAX_REQUEST)
        pid = os.fork()
        if not pid:
            self._close(connection)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return Request(*json.loads(text))
        for stream in streams:
            os.close(stream)
        connection.sendall(f"{pid}\n".encode())
        pidfd = os.pidfd_open(pid)
        self._running[pidfd] = (pid, connection)
        self._selector.register(pidfd, selectors.EVENT_READ)
        return None

    def _tell_end(self, pidfd: int) -> None:
        pid, connection = self._running.pop(pidfd)
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(OSError), connection:  # nobody may want to know
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())

    def _close(self, connection: socket.socket) -> None:
        self._selector.close()
        for each in (self._listener, connection, *(asked for _, asked in self._running.values())):
            each.close()
        for pidfd in (self._parent, *self._running):
            os.close(pidfd)


def is_path(request: Request) -> bool:
    """Whether the program is given by its path."""
    return os.sep in request.program


def become(request: Request) -> None:
    """Make this process the program, as far as that can be done from within."""
    die_with_parent()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C on it is for this session
    os.chdir(request.directory)
    if request.is_fresh:
        flags = [*(("-W", "ignore") if request.is_quiet else ()), *(() if is_path(request) else ("-m",))]
        os.execve(sys.executable, [sys.executable, *flags, request.program, *request.words], request.environment)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    given = [each for each in request.environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:] = [os.path.dirname(request.program) if is_path(request) else os.getcwd(), *given, *PATH]
    sys.argv[1:] = request.words
    if request.is_quiet:
        sys.warnoptions.append("ignore")
        warnings.simplefilter("ignore")
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        line_buffered = descriptor == 2 or os.isatty(descriptor)
        errors = "backslashreplace" if descriptor == 2 else None
        stream: Any = open(descriptor, mode, errors=errors, buffering=1 if line_buffered else -1, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def leave(code: Any) -> None:
    """End as an interpreter does, but for taking its modules apart: that would copy all memory that forks share."""
    if not isinstance(code, int | None):
        sys.exit(code)  # it is told on stderr
    threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing does in its forks
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # what could not be written is told, too, and changes the code
    os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
    # What an interpreter has on its path before the environment and `-m` add to it.
    PATH = [each for each in sys.path[1:] if each not in os.environ["PYTHONPATH"].split(os.pathsep)]
    commands = [f"bsched.commands.{each.name}" for each in pkgutil.iter_modules(bsched.commands.__path__)]
    for name in (*commands, *(OURS + OTHERS).split()):
        importlib.import_module(name)
    for name in loader.names():
        loader.load(name)
    get_all_commands_info()  # which fakeredis reads from a file
    gc.freeze()  # so that a program copies no page only to look for garbage
    request = Starter(sys.argv[1]).serve()
    become(request)
    code: Any = None
    try:
        if is_path(request):
            runpy.run_path(request.program, run_name="__main__")
        else:
            runpy.run_module(request.program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    leave(code)
