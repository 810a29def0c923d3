"""A running namespace as the lines of a file. Nobody waits for it, and nothing of it is kept in memory."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from broker_sched import __version__
from broker_sched.config import from_hash
from broker_sched.redis_backend.commands import Call, Calls, Commands, Read
from broker_sched.redis_backend.namespace import SCHEMA_VERSION, Namespace
from broker_sched.scheduler.operations.tasks import chunks
from broker_sched.scheduler.paging import scan_set
from broker_sched.scheduler.records import pairs
from broker_sched.scheduler.transfer.lines import FIRST_NUMBER, FORMAT, HeaderLine, LineWriter
from broker_sched.scheduler.transfer.words import batchers_line, family_line, submission_line, task_line, worker_line

NUMBERS_LOOKED_UP = 5000  # in one round trip; most of a namespace's numbers may be those of tasks that are gone
TASKS_READ = 50  # by one script
SCRIPTS_SENT = 4  # together
WORKERS_READ = 100
MAX_PASSES = 20  # for tasks that come meanwhile; then their deps may be missing ones


class Export:
    """Writes a namespace's lines with `writer`, whose counts say how far it is; `of` is about how many tasks there are.

    A line is one task as it was at one moment, with its deps. Tasks change while others are read: a task that came
    after the file was begun is in it if one in it needs it.
    """

    def __init__(self, namespace: Namespace, writer: LineWriter) -> None:
        self.of = 0
        self._namespace = namespace
        self._writer = writer
        self._missing = array("q")  # numbers of missing deps, which may have become tasks meanwhile

    def commands(self) -> Commands[None]:
        """Read the namespace and write its lines, all but the last one."""
        _, _, _, time = yield Call("export_tasks", numbers=[])
        yield from self._write_header(float(time))
        position = FIRST_NUMBER + 1
        for _ in range(MAX_PASSES):
            last, self.of = yield Read(
                [("HGET", self._namespace.key("counters"), "task"), ("HLEN", self._namespace.key("ids"))]
            )
            if last is None or position > int(last):
                break
            yield from self._write_tasks(range(position, int(last) + 1))
            position = int(last) + 1
        missing, self._missing = self._missing, array("q")
        yield from self._write_tasks(missing)
        yield from self._write_workers()
        yield from self._write_families()
        yield from self._write_submissions()

    def _write_header(self, time: float) -> Commands[None]:
        config, resources = yield Read(
            [("HGETALL", self._namespace.key("config")), ("HGETALL", self._namespace.key("resources"))]
        )
        stored = pairs(config)
        self._writer.write(
            HeaderLine(
                format=FORMAT,
                schema=SCHEMA_VERSION,
                version=__version__,
                namespace=self._namespace.name,
                time=time,
                options=asdict(from_hash(stored)),
                set_by={name[4:]: json.loads(note) for name, note in stored.items() if name.startswith("set:")},
                resources={name: json.loads(limit) for name, limit in pairs(resources).items()},
                paused=stored.get("paused") == "1",
                paused_families=json.loads(stored.get("paused_families") or "{}"),
            )
        )

    def _write_tasks(self, numbers: Sequence[int]) -> Commands[None]:
        for start in range(0, len(numbers), NUMBERS_LOOKED_UP):
            some = [str(number) for number in numbers[start : start + NUMBERS_LOOKED_UP]]
            (ids,) = yield Read([("HMGET", self._namespace.key("ids"), *some)])
            known = [number for number, task_id in zip(some, ids) if task_id is not None]
            for first in range(0, len(known), TASKS_READ * SCRIPTS_SENT):
                yield from self._write_known(known[first : first + TASKS_READ * SCRIPTS_SENT])

    def _write_known(self, numbers: Sequence[str]) -> Commands[None]:
        left = [numbers[start : start + TASKS_READ] for start in range(0, len(numbers), TASKS_READ)]
        while left:
            replies = yield Calls([Call("export_tasks", numbers=some) for some in left])
            for _, tasks, missing, _ in replies:
                for entry in tasks:
                    self._writer.write(task_line(entry))
                self._missing.extend(int(n) for n in missing)
            unread = [some[reply[0] :] for some, reply in zip(left, replies)]
            left = [some for some in unread if some]  # of tasks with many deps a script reads only some

    def _write_workers(self) -> Commands[None]:
        key = self._namespace.key
        active, submissions = yield Read([("ZRANGE", key("workers"), "0", "-1"), ("SMEMBERS", key("submissions"))])
        ids = list(active)
        if submissions:
            (found,) = yield Read([("HMGET", key("worker_ids"), *sorted(submissions))])
            ids += [worker_id for worker_id in found if worker_id is not None]
        for some in chunks(ids, WORKERS_READ):
            replies = yield Read([command for worker_id in some for command in self._worker_commands(worker_id)])
            for index, worker_id in enumerate(some):
                record, info, messages, batchers, contact = replies[5 * index : 5 * index + 5]
                if record:  # else it has left since
                    self._writer.write(worker_line(worker_id, pairs(record), pairs(info), messages, contact))
                if batchers:
                    self._writer.write(batchers_line(worker_id, pairs(batchers)))

    def _worker_commands(self, worker_id: str) -> Iterator[tuple[str, ...]]:
        key = self._namespace.key
        yield ("HGETALL", key("worker", worker_id))
        yield ("HGETALL", key("worker_info", worker_id))
        yield ("LRANGE", key("messages", worker_id), "0", "-1")
        yield ("HGETALL", key("batchers", worker_id))
        yield ("ZSCORE", key("workers"), worker_id)

    def _write_families(self) -> Commands[None]:
        key = self._namespace.key
        families = yield from scan_set(self._namespace, "families")
        for some in chunks(families, WORKERS_READ):
            commands = [
                (("HGETALL", key("family", each)), ("LRANGE", key("run_times", each), "0", "-1")) for each in some
            ]
            replies = yield Read([command for pair in commands for command in pair])
            for family, fields, run_times in zip(some, replies[::2], replies[1::2]):
                if fields or run_times:
                    self._writer.write(family_line(family, pairs(fields), run_times))

    def _write_submissions(self) -> Commands[None]:
        key = self._namespace.key
        active, ended = yield Read([("SMEMBERS", key("submissions")), ("ZRANGE", key("ended_submissions"), "0", "-1")])
        ids = list(ended)
        if active:
            (found,) = yield Read([("HMGET", key("worker_ids"), *sorted(active))])
            ids += [worker_id for worker_id in found if worker_id is not None]
        for some in chunks(ids, WORKERS_READ):
            replies = yield Read([("HGETALL", key("submission", worker_id)) for worker_id in some])
            for worker_id, fields in zip(some, replies):
                if fields:
                    self._writer.write(submission_line(worker_id, pairs(fields)))
