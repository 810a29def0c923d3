"""Brings the lines of a file into an empty namespace.

Nobody else may work on the namespace meanwhile, and nobody sees anything before all is there (lua/begin_import.lua). An
import that fails removes what it has brought in. One that is killed leaves the namespace closed; the next import begins
anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator

from broker_sched.config import parse_options, to_text
from broker_sched.contract.validation import to_json
from broker_sched.errors import BrokerSchedError, ImportRefused
from broker_sched.redis_backend.commands import Call
from broker_sched.scheduler.auditing import asker_here, note_of
from broker_sched.scheduler.execution import one
from broker_sched.scheduler.maintenance import Maintenance
from broker_sched.scheduler.operations.operators import configure
from broker_sched.scheduler.operations.tasks import MAX_DEPS_AT_ONCE, chunks, number
from broker_sched.scheduler.transfer.lines import CheckedFile, HeaderLine, TaskLine
from broker_sched.scheduler.transfer.words import other_words, task_words, worker_words

SECONDS = 60  # an import that was not heard of for so long counts as broken off
WORDS_AT_ONCE = 900  # in one script: some 30 tasks
STAGED_AT_ONCE = 500  # deps of one task
# What a namespace may have before anything runs in it, and keeps when an import is given up.
KEPT = frozenset(
    """
    config resources events servers mail prune_lock tokens sessions session logins login logins_begun failed_logins
    audit audit_open audit_refused reply
    """.split()
)


class Import:
    """Brings tasks, workers and submissions into the scheduler's namespace.

    tasks, workers: how many are there already. is_left: it failed, and could not remove what it had brought in.
    """

    def __init__(self, scheduler: Maintenance) -> None:
        self.tasks = self.workers = 0
        self.is_left = False
        self._scheduler = scheduler
        self._token = uuid.uuid4().hex

    def run(self, checked: CheckedFile, tasks: Callable[[], Iterable[TaskLine]]) -> None:
        """Bring all in, and open the namespace for everybody.

        checked: what check_file returns. tasks: reads those of the same file; it is called twice. Raises ImportRefused
        where there is something already, and ConfigurationError for options that can't be. When anything is raised, the
        namespace is as it was.
        """
        fields = _options_of(checked.header), _limits_of(checked.header)
        self._scheduler.require_permissions()
        self._begin(checked)
        try:
            self._bring_in(_worker_records(checked))
            self.workers = len(checked.workers)
            for is_pending in (False, True):  # so that it shows at once which are ready
                self._bring_in(self._task_records(line for line in tasks() if (line.status == "PENDING") == is_pending))
            while self._send([]):
                pass
            self._end("done", *fields)
        except BaseException:
            self._give_up()
            raise
        self._scheduler.drive(configure(self._scheduler.namespace, {}, by=""))  # what the file did not say

    def _begin(self, checked: CheckedFile) -> None:
        paused = checked.header.paused_families
        call = Call(
            "begin_import",
            token=self._token,
            seconds=str(SECONDS),
            last_number=str(checked.last_number),
            paused_families=to_json("paused_families", paused) if paused else "",
        )
        what = "left"
        while what == "left":  # by an import that was broken off
            what, count = self._scheduler.drive(one(call))
            if what == "left":
                self._scheduler.remove_keys(KEPT)
        name = self._scheduler.namespace.name
        if what == "full":
            raise ImportRefused(
                f"Namespace {name} is not empty ({count} tasks), so nothing was imported. Import into another one "
                f"(--namespace), or remove this one first: bsched namespace delete {name}"
            )
        if what == "busy":
            raise ImportRefused(
                f"Another import into namespace {name} goes on. If it was broken off, this one may begin in {count} s."
            )

    def _bring_in(self, records: Iterable[list[str]]) -> None:
        words: list[str] = []
        for record in records:
            if words and len(words) + len(record) > WORDS_AT_ONCE:
                self._send(words)
                words = []
            words += record
        if words:
            self._send(words)

    def _send(self, words: list[str]) -> int:
        left, twice = self._scheduler.drive(one(Call("import_records", token=self._token, words=words)))
        if twice:
            raise ImportRefused(
                f"The file has two lines about task {twice}: it was altered, or put together of two files."
            )
        return int(left)

    def _task_records(self, tasks: Iterable[TaskLine]) -> Iterator[list[str]]:
        for line in tasks:
            token = uuid.uuid4().hex if len(line.deps) > MAX_DEPS_AT_ONCE else ""
            if token:
                for some in chunks(line.deps, STAGED_AT_ONCE):
                    yield ["staged", token, str(len(some)), *some]
            yield task_words(line, token)
            self.tasks += 1

    def _end(self, outcome: str, options: list[str], limits: list[str]) -> None:
        count, fields = str(len(options) // 2), [*options, *limits]
        counts = {"tasks": self.tasks, "workers": self.workers}
        call = Call(
            "end_import",
            token=self._token,
            outcome=outcome,
            tasks=str(self.tasks),
            note=to_json("note", note_of(asker_here(), "import", counts)),
            option_count=count,
            fields=fields,
        )
        while self._scheduler.drive(one(call))[0]:
            self._send([])

    def _give_up(self) -> None:
        try:
            self._scheduler.remove_keys(KEPT)
            self._end("given_up", [], [])
        except BrokerSchedError:  # Redis is away: the namespace stays closed, as after a kill
            self.is_left = True


def _worker_records(checked: CheckedFile) -> Iterator[list[str]]:
    for worker in checked.workers:
        yield worker_words(worker, checked.header.time)
    for line in checked.others:
        yield other_words(line)


def _options_of(header: HeaderLine) -> list[str]:
    """Names and values for the hash `config`. Raises ConfigurationError."""
    options = {name: to_text(value) for name, value in parse_options(header.options).items()}
    options |= {f"set:{name}": to_json("set_by", note) for name, note in header.set_by.items()}
    options["paused"] = "1" if header.paused else "0"
    return [text for pair in options.items() for text in pair]


def _limits_of(header: HeaderLine) -> list[str]:
    """Names and values for the hash `resources`."""
    return [text for name, limit in header.resources.items() for text in (name, number(limit))]
