"""Reads the pickle that luigid has left, in a process of its own, and hands on what was in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from broker_sched.errors import ImportRefused

PROGRAM = Path(__file__).with_name("unpickle.py")
LEAST_MEGABYTES, MEGABYTES_PER_MEGABYTE = 512, 16  # of memory, for each of the file
LEAST_SECONDS, SECONDS_PER_MEGABYTE = 60, 2
OUTPUT_PER_INPUT, LEAST_OUTPUT = 16, 64 * 2**20  # bytes

Attributes = Mapping[str, Any]  # of one of luigi's objects, as JSON has them


class LuigiState:
    """What a state file holds: workers and batchers, which are few, and the tasks one after another.

    written_at: when luigid was heard of last, by the times in it. tasks: how many there are. Its lines stand in a
    temporary file, which close() removes.
    """

    def __init__(self, lines: IO[bytes]) -> None:
        self.workers: list[Attributes] = []
        self.batchers: dict[str, Attributes] = {}
        self.left: dict[str, int] = {}  # attributes that JSON has no place for → how many objects had one
        self.written_at = 0.0
        self._lines = lines
        self._created = array("d")
        self._read()

    @property
    def tasks(self) -> int:
        """How many tasks the state file has."""
        return len(self._created)

    def close(self) -> None:
        """Remove the temporary file in which the lines stand."""
        self._lines.close()

    def each_task(self) -> Iterator[tuple[int, Attributes]]:
        """Yield each task with its place in the order of creation, from 0 on. Luigi ranks equal priorities by it."""
        order = sorted(range(len(self._created)), key=self._created.__getitem__)
        places = array("q", bytes(8 * len(order)))
        for place, index in enumerate(order):
            places[index] = place
        for place, task in zip(places, self._objects("task")):
            yield place, task

    def _read(self) -> None:
        for data in self._each():
            if "task" in data:
                task = data["task"]
                self._created.append(_time(task.get("time")))
                self._note_times(task.get("updated"), task.get("time_running"))
            elif "worker" in data:
                self.workers.append(data["worker"])
                self._note_times(data["worker"].get("last_active"))
            elif "batchers" in data and isinstance(data["batchers"].get("families"), dict):
                self.batchers[str(data["batchers"].get("worker"))] = data["batchers"]["families"]
            for name in data.get("left", ()):
                self.left[name] = self.left.get(name, 0) + 1

    def _note_times(self, *times: Any) -> None:
        self.written_at = max(self.written_at, *map(_time, times))

    def _objects(self, kind: str) -> Iterator[Attributes]:
        return (data[kind] for data in self._each() if kind in data)

    def _each(self) -> Iterator[dict[str, Any]]:
        self._lines.seek(0)
        return (json.loads(line) for line in self._lines)


def read_state(path: str) -> LuigiState:
    """Read a state file of luigid, of any luigi from 2.8 on. Needs no luigi.

    Raises ImportRefused when it can't be read, is damaged, or holds anything but luigi's state.
    """
    try:
        with open(path, "rb") as file:
            return LuigiState(_lines_of(path, file))
    except OSError as error:
        raise ImportRefused(f"{path} can't be read: {error.strerror}.") from None


def _lines_of(path: str, file: IO[bytes]) -> IO[bytes]:
    """The lines that the program writes, in a temporary file."""
    size = os.fstat(file.fileno()).st_size
    megabytes = LEAST_MEGABYTES + MEGABYTES_PER_MEGABYTE * size // 2**20
    seconds = LEAST_SECONDS + SECONDS_PER_MEGABYTE * size // 2**20
    most = LEAST_OUTPUT + OUTPUT_PER_INPUT * size
    lines: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # LuigiState closes it
    limits = [str(megabytes), str(seconds), str(most)]
    command = [sys.executable, "-I", "-S", str(PROGRAM), *limits]
    ended = subprocess.run(command, stdin=file, stdout=lines, stderr=subprocess.DEVNULL, env={}, cwd="/")
    try:
        told = _last_line(lines)
        if "error" in told:
            raise ImportRefused(f"{path} can't be imported: {told['error']}. Nothing was imported.")
        if ended.returncode or "end" not in told:
            what = _why_ended(ended.returncode, seconds)
            raise ImportRefused(f"{path} can't be imported: reading it {what}. Nothing was imported.")
    except BaseException:
        lines.close()
        raise
    return lines


def _last_line(lines: IO[bytes]) -> dict[str, Any]:
    size = lines.seek(0, os.SEEK_END)
    lines.seek(max(0, size - 2000))
    last = lines.read().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        found = json.loads(last)
    except ValueError:  # it ended within a line
        return {}
    return found if isinstance(found, dict) else {}


def _why_ended(code: int, seconds: int) -> str:
    if code == -signal.SIGXCPU:
        return f"took more than {seconds} s"
    if code == -signal.SIGXFSZ:
        return "makes far more of it than luigi's state is"
    return f"ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


def _time(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0
