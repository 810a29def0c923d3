"""Tries the first import of a module of others' tasks in a process of its own: a module may hang, or end its process.

So it costs a worker neither its life nor what it runs. What merely raises is left for the worker to find out.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from broker_sched import interrupts
from broker_sched.tasks.loading import TaskNotLoadable
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.executors.task_process import SIGNALS

SLICE_SECONDS = 0.5  # the worker looks so often whether it is to leave
WATCH_SECONDS = 1.0  # and the process, whether its worker still lives


class ModuleTrial:
    """Imports modules first where it does no harm.

    config: its import_timeout says how long an import may take. context: of multiprocessing. wait: passes so many
    seconds usefully at the most, or until a thing is readable. is_stopping: whether the worker is to leave.
    """

    def __init__(
        self,
        context: Any,
        config: WorkerConfig,
        wait: Callable[[float, Any], None],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._context = context
        self._seconds = config.import_timeout
        self._wait = wait
        self._is_stopping = is_stopping

    def survives(self, module: str) -> bool:
        """Import a module in a process of its own.

        Returns False when the worker is to leave, so that the trial was given up.

        Raises TaskNotLoadable when the import hangs or ends its process.
        """
        if not module or module in sys.modules or self._seconds <= 0 or _is_daemon():
            return True
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_try, args=(module, os.getpid(), theirs), name=f"first import of {module}", daemon=False
        )
        with contextlib.ExitStack() as last:
            last.callback(ours.close)
            last.callback(_end, process)
            _start(process, theirs)
            deadline, said = time.monotonic() + self._seconds, ""
            while said != "through" and process.is_alive() and not self._is_stopping():
                if (left := deadline - time.monotonic()) <= 0:
                    raise _hopeless(module, f"it had not ended after {self._seconds:g} s (import_timeout)")
                self._wait(min(left, SLICE_SECONDS), ours if said == "" else process.sentinel)
                said = _last_words(ours) or said
            said = _last_words(ours) or said
            if said == "through":
                return True
            if process.is_alive():
                return False
            process.join()
            if said == "begun":  # else the process could not even begin, which is not the module's fault
                code = process.exitcode
                how = f"exit code {code}" if code >= 0 else SIGNALS.get(-code, f"signal {-code}").removeprefix("it ")
                raise _hopeless(module, f"it ended the process that tried it ({how})")
        return True


@interrupts.whole
def _start(process: Any, theirs: Any) -> None:
    process.start()
    theirs.close()


@interrupts.whole
def _end(process: Any) -> None:
    """Send SIGKILL to the process and to all that it has started."""
    if process.pid is None or not process.is_alive():  # its number may be another's by now
        return
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(process.pid)
        for each in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                each.kill()
    process.join()


def _last_words(connection: Any) -> str:
    said = ""
    with contextlib.suppress(EOFError, OSError):
        while connection.poll():
            said = str(connection.recv())
    return said


def _hopeless(module: str, why: str) -> TaskNotLoadable:
    return TaskNotLoadable(
        f"The module {module} can't be imported here: {why}. Look at what it does while it is imported.",
        is_whole_module=True,
    )


def _is_daemon() -> bool:
    """Whether this process may have no children."""
    return multiprocessing.current_process().daemon


def _try(module: str, worker_pid: int, theirs: Any) -> None:
    """Import the module and say so; this is what the process does.

    Nothing that it writes is shown: the worker's own import writes it again.
    """
    for number in (signal.SIGINT, signal.SIGUSR1):  # to the process group: for the worker, which ends this
        signal.signal(number, lambda number, frame: None)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    theirs.send("begun")
    interrupts.start_beside(threading.Thread(target=_watch, args=(worker_pid,), daemon=True))
    with contextlib.suppress(BaseException):
        importlib.import_module(module)
    theirs.send("through")
    os.kill(os.getpid(), signal.SIGKILL)  # nothing that the module has registered for the end is run


def _watch(worker_pid: int) -> None:
    while os.getppid() == worker_pid or psutil.pid_exists(worker_pid):
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
