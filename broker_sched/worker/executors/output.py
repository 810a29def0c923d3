"""What a task process writes to stdout and stderr: shown line by line with the task's id, and its end kept."""

from __future__ import annotations

import codecs
import contextlib
import os
import selectors
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from broker_sched import interrupts, log_lines
from broker_sched.contract.types import MAX_LOG
from broker_sched.plain_text import on_one_line

STDOUT, STDERR = 1, 2  # file descriptors
CHUNK = 1 << 16  # bytes
LONGEST_LINE = 8192  # characters; what is longer is shown in parts
NEWS_SECONDS = 2.0  # so long between two tails of a task that writes all the time
LAST_WORDS_SECONDS = 0.2  # for the end of what is written; longer only when a child of the task may still write
MOST_LOOKS = 10  # of that length, at a thread that has yet to read what is there; it may be slow, or the machine


class Tail(NamedTuple):
    """The last characters that a task wrote, at most MAX_LOG of them, and how many it wrote in all."""

    log: str
    size: int


class Output:
    """The output of one task, read by a thread beside the worker's loop, so that the task never waits for that.

    source: the reading end of a pipe. It is closed when nobody can write any more. shown_on: a file descriptor,
    which is closed then, too, unless it is stderr. fields: of the lines besides, where the log is JSON.
    """

    def __init__(
        self, task_id: str, source: Connection, shown_on: int = STDERR, fields: Mapping[str, str | None] | None = None
    ) -> None:
        self._fields = {**(fields or {}), "task_id": task_id}
        self._prefix = f"[{on_one_line(task_id)}] "
        self._source = source
        self._shown_on = shown_on
        self.tail = Tail("", 0)  # so far; the thread puts another one in its place
        self._shown_size = 0  # how much was written when the tail was last told
        self._shown_at = 0.0
        self._is_over = False
        self._is_reading = False
        self._line = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_read = threading.Event()  # to its end
        _reader().add(self)

    def new_tail(self, is_over: bool) -> Tail | None:
        """Return the tail of the output; None when nothing was added to it, or when a tail was returned less than
        NEWS_SECONDS ago.

        is_over: the process has ended, so the tail is final and is returned at once.
        """
        tail, now = self.final_tail() if is_over else self.tail, time.monotonic()
        if tail.size == self._shown_size or (not is_over and now < self._shown_at + NEWS_SECONDS):
            return None
        self._shown_size, self._shown_at = tail.size, now
        return tail

    def final_tail(self) -> Tail:
        """Return the tail of a process that has ended.

        Waits, once, until all that is written is read, but not for ever.
        """
        if not self._is_over:
            self._is_over = True
            for _ in range(MOST_LOOKS):  # not until a time, which may pass while the whole process stands still
                if self._is_read.wait(LAST_WORDS_SECONDS) or not self._is_behind():
                    break
        return self.tail

    def _is_behind(self) -> bool:
        """Whether anything that was written is not in the tail yet."""
        with contextlib.suppress(OSError):  # closed: its end is being read
            return self._source.poll() or self._is_reading
        return True

    def fileno(self) -> int:
        """Return the file descriptor that it is read from."""
        return self._source.fileno()

    def read_more(self) -> bool:
        """Read some of what is there. Returns whether there may be more."""
        self._is_reading = True  # said before it is read: one of the two shows that this is behind
        chunk = b""
        with contextlib.suppress(OSError):  # what can't be read is at its end, and the others are read on
            chunk = os.read(self._source.fileno(), CHUNK)
        if chunk:
            self._add_text(self._decoder.decode(chunk))
            self._is_reading = False
        return bool(chunk)

    def end_reading(self) -> None:
        """Note that nobody writes any more."""
        self._source.close()
        self._add_text(self._decoder.decode(b"", final=True))
        if self._line:
            self._show([self._line])
        if self._shown_on != STDERR:
            os.close(self._shown_on)
        self._is_read.set()

    def _add_text(self, text: str) -> None:
        self.tail = Tail((self.tail.log + text)[-MAX_LOG:], self.tail.size + len(text))
        *lines, self._line = (self._line + text).split("\n")
        if len(self._line) > LONGEST_LINE:
            lines, self._line = [*lines, self._line], ""
        self._show(lines)

    def _show(self, lines: list[str]) -> None:
        """Write the lines with no lock of Python's, which a process that is being forked might inherit."""
        if log_lines.is_json():
            lines = [each for line in lines for each in log_lines.output_lines(line, self._fields)]
            data = "".join(f"{line}\n" for line in lines).encode()
        else:
            data = "".join(f"{self._prefix}{line}\n" for line in lines).encode(errors="replace")
        with contextlib.suppress(OSError):  # nobody reads stderr any more
            while data:
                data = data[os.write(self._shown_on, data) :]


class _Reader:
    """A thread that reads all outputs of this process. One for each output would cost more than all else of a run."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._selector = selectors.DefaultSelector()  # of the kernel: what is added while it waits counts at once
        interrupts.start_beside(threading.Thread(target=self._read_all, name="output of tasks", daemon=True))

    def add(self, output: Output) -> None:
        """Read this output from now on, to its end."""
        self._selector.register(output, selectors.EVENT_READ)

    def _read_all(self) -> None:
        while True:
            for key, _ in self._selector.select():
                output: Any = key.fileobj
                if not output.read_more():
                    self._selector.unregister(output)  # before it is closed: a fork may have the pipe, too
                    output.end_reading()


_readers: list[_Reader] = []


def _reader() -> _Reader:
    """This process's; a fork has the thread no more."""
    if not _readers or _readers[-1].pid != os.getpid():
        _readers[:] = [_Reader()]
    return _readers[-1]


def write_to(pipe: Connection) -> None:
    """Let all that this process writes from now on go into the pipe, and all that the programs it starts write.

    It is text: people read it as the task's output. Who reads the pipe makes JSON of it where that is wanted.
    """
    for name, number in (("stdout", STDOUT), ("stderr", STDERR)):
        os.dup2(pipe.fileno(), number)
        stream = getattr(sys, name)
        if _is_on(stream, number):  # with its lines at once, which are lost otherwise when the process is killed
            stream.reconfigure(line_buffering=True)
        else:  # somebody put another stream in its place, which leads elsewhere
            setattr(sys, name, os.fdopen(number, "w", 1, "utf-8", "backslashreplace", closefd=False))
    pipe.close()


def _is_on(stream: Any, number: int) -> bool:
    try:
        return bool(stream.fileno() == number and hasattr(stream, "reconfigure"))
    except (AttributeError, OSError, ValueError):
        return False
