"""Gives each job of a dask worker a process of its own.

A dask worker calls functions in threads of one process, beside what others have it do. A job is a worker: it handles
signals, which only a main thread can; it forks, which a process with many threads should not; and it ends the task by
ending processes. So a thread of the dask worker only waits for a process. That is forked from another one, the host,
which has imported all it needs and has one thread: so a job begins within milliseconds.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

import pydantic

from broker_sched import interrupts, tracing
from broker_sched.worker.executors import jobs

BEGUN = b"begun\n"
SCRIPTS = ("configure", "add_worker", "transfer_task", "add_task", "ping", "set_log")  # that a job calls
GRACE_SECONDS = 5.0  # for giving the task back, after its process has ended


def run_in_process(spec: str, place: str) -> str:
    """Run a job, whose spec is given as JSON, in a process of its own, and return as JSON how it ended.

    place: what messages say behind the host's name.
    """
    is_begun, told = False, b""
    with contextlib.suppress(OSError), _begin_process() as connection, connection.makefile("rwb") as file:
        file.write(f"{spec}\n{place}\n".encode())
        file.flush()
        is_begun = file.readline() == BEGUN
        told = file.readline()
    if told.endswith(b"\n"):
        return told.decode()
    return _told(place, why="was killed: possibly the machine is out of memory", is_hosts_fault=not is_begun)


def _told(place: str, returned: dict[str, Any] | None = None, why: str = "", is_hosts_fault: bool = False) -> str:
    """What engine.py reads. why: the rest of a sentence about the job's process."""
    why = why and f"died on {socket.gethostname()}{place}: its job {why}"
    return json.dumps({"returned": returned, "why": why, "is_hosts_fault": is_hosts_fault})


# In the dask worker


class Host:
    """The process from which those of jobs are forked. It ends when this process does."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # Dask may have added to it
        with theirs:
            self._process = subprocess.Popen([sys.executable, "-m", __name__], stdin=theirs.fileno(), env=environment)

    def is_alive(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    def begin_process(self) -> socket.socket:
        """Have a process forked, and return this end of a connection to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"."], [theirs.fileno()])
        return ours


_host: Host | None = None
_host_lock = threading.Lock()


def _begin_process() -> socket.socket:
    global _host
    with _host_lock:
        if _host is None or not _host.is_alive():
            _host = Host()
        return _host.begin_process()


# In the host


def serve(control: socket.socket) -> None:
    """Fork a process for each connection that comes, until the dask worker is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C where dask workers run in a terminal is for these
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what ends leaves nothing behind
    warm_up()
    while fds := socket.recv_fds(control, 1, 1)[1]:
        if os.fork() == 0:
            control.close()
            run_and_exit(socket.socket(fileno=fds[0]))
        os.close(fds[0])


def warm_up() -> None:
    """Do once what every job would do anew: import, prepare pydantic for the parameters of tasks, read Lua scripts."""
    package = importlib.import_module("broker_sched")
    for name in package.__all__:  # imported when it is asked for
        getattr(package, name)
    importlib.import_module("broker_sched.mails.transport")
    pydantic.TypeAdapter(str)
    load = importlib.import_module("broker_sched.lua.loader").load
    for name in SCRIPTS:
        load(name)


def run_and_exit(connection: socket.socket) -> NoReturn:
    """Read the spec of a job, run it, and tell how it ended."""
    exit_code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, interrupts.handle)
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        file, is_over = connection.makefile("rwb"), threading.Event()
        spec, place = json.loads(file.readline()), file.readline().decode().rstrip("\n")
        watch = threading.Thread(target=_end_with_dask_worker, args=(connection, spec, is_over), daemon=True)
        interrupts.start_beside(watch)
        file.write(BEGUN)
        file.flush()
        told = _run_job(spec, place)
        is_over.set()
        tracing.flush()  # a process that was forked ends without what atexit does
        file.write(told.encode() + b"\n")
        file.flush()
        exit_code = 0
    except KeyboardInterrupt:  # the task was given back
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


def _run_job(spec: dict[str, Any], place: str) -> str:
    try:
        return _told(place, jobs.run_job(spec, place))
    except Exception as error:  # the scheduler was lost for good while the task ran
        return _told(place, why=f"ended with {type(error).__name__}: {error}")


def _end_with_dask_worker(connection: socket.socket, spec: dict[str, Any], is_over: threading.Event) -> None:
    """Have the job end its task and give it back when the dask worker is gone: whoever ends that means its jobs, too.

    Dask runs the job once more, elsewhere; the scheduler refuses that the run, which is over.
    """
    with contextlib.suppress(OSError):
        connection.recv(1)
    if is_over.is_set():
        return
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(spec["options"]["kill_after"] + GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    serve(socket.socket(fileno=os.dup(0)))
