"""Names that are not there are mistakes of whoever types them; the API answers as if all were well, or with null."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import click

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.states import UPSTREAM_SEVERITY, Status
from broker_sched.errors import UnknownMethod
from broker_sched.plain_text import named

# Methods that bring into being what they name; all others are about what is there.
MAKERS = frozenset("add_task add_tasks add_task_batcher add_worker get_work ping await_work".split())
MAKERS |= {"announce_scheduling_failure", "add_submission", "update_resource", "pause_family"}
CHOICES = {
    "status": [status.value for status in Status],
    "upstream_status": [each for each in UPSTREAM_SEVERITY if each],
}
NEAR = 3  # names told
SHORT = 4  # characters
CANDIDATES = 1000  # names among which the near ones are looked for
# Methods that know of more than tasks that are there, and whether a reply says that there is nothing.
SAYS_ITSELF: dict[str, Callable[[Any], bool]] = {
    "task_log": lambda reply: reply["status"] is None and reply["log"] is None,  # a log outlives its task
    "condensed_graph": lambda reply: reply is None,  # it shows missing deps, too
    "task_deps": lambda reply: reply is None,  # likewise
    "events": lambda reply: not reply["events"],  # of a task that was removed, too
    "critical_path": lambda reply: reply is None,
    "timeline": lambda reply: False,  # it knows of workers that are gone
    "why": lambda reply: False,  # it says what is known of a task that was removed
}
FAMILIES = 3  # whose tasks are looked at for those whose ids are nearly the one that is not there


class CheckedScheduler:
    """A scheduler whose methods first look whether the task, the worker or the status that they are given is there.

    They raise click.ClickException, which names near matches, and have then changed nothing.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._known: set[tuple[str, str]] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._scheduler, name)
        if name not in METHODS or name in MAKERS:
            return found

        def call(**arguments: Any) -> Any:
            if name not in SAYS_ITSELF:
                self._look(name, arguments)
                return found(**arguments)
            reply = found(**arguments)
            if SAYS_ITSELF[name](reply):
                self._look(name, arguments)
            return reply

        return call

    def require_tasks(self, task_ids: Sequence[str]) -> None:
        """Raise click.ClickException, with near matches, when one of these tasks is not there."""
        for start in range(0, len(task_ids), CANDIDATES):
            some = list(task_ids[start : start + CANDIDATES])
            there = self._scheduler.task_statuses(task_ids=some)
            for task_id in some:
                if task_id not in there:
                    self._look_for_task(task_id)

    def require_family(self, family: str) -> None:
        """Raise click.ClickException, with near matches, when there is no task of this family."""
        if self._scheduler.tasks(family=family, limit=1)["of"] == 0:
            raise missing("family", family, self._families(), "bsched family list shows all")

    def refuse_unknown(self, name: str) -> NoReturn:
        """Raise the click.ClickException for a name that is neither of a task nor of a worker, with near matches."""
        workers = [each["worker"] for each in self._scheduler.workers(limit=CANDIDATES)["workers"]]
        near = [*workers, *self._tasks_like(name)]
        raise missing("task or worker", name, near, "bsched task list and bsched worker list show them")

    def _look(self, method: str, arguments: Mapping[str, Any]) -> None:
        for name, value in arguments.items():
            if not isinstance(value, str) or not value or (name, value) in self._known:
                continue
            if method == "task_list" and name in CHOICES and value not in CHOICES[name]:
                raise missing(name.replace("_", " "), value, CHOICES[name], "There are " + ", ".join(CHOICES[name]))
            if name in ("task_id", "task"):
                self._look_for_task(value)
            if name == "worker":
                self._look_for_worker(value)
            if name == "family" and method in ("tasks", "unpause_family"):
                self._look_for_family(method, value)
            if name == "resource":
                self._look_for_resource(value)
            self._known.add((name, value))

    def _look_for_task(self, task_id: str) -> None:
        if "displayName" not in self._scheduler.fetch_error(task_id=task_id):
            raise missing("task", task_id, self._tasks_like(task_id), "bsched task list shows them")

    def _tasks_like(self, task_id: str) -> Iterator[str]:
        """Ids of tasks of those families with which the id nearly begins."""
        try:
            families = self._families()
        except UnknownMethod:  # luigid: it can only look through all
            half = task_id[: max(1, len(task_id) // 2)]
            yield from (each for tasks in self._scheduler.task_search(task_str=half).values() for each in tasks)
            return
        begun = {family: difflib.SequenceMatcher(None, family, task_id[: len(family)]).ratio() for family in families}
        for family in sorted(families, key=lambda each: (-begun[each], -len(each)))[:FAMILIES]:
            page = self._scheduler.tasks(family=family, limit=CANDIDATES // FAMILIES)
            yield from (each["task_id"] for each in page["tasks"])

    def _look_for_worker(self, worker: str) -> None:
        try:
            if self._scheduler.worker_details(worker=worker) is None:
                found = self._scheduler.workers(limit=CANDIDATES)["workers"]
                raise missing("worker", worker, (each["worker"] for each in found), "bsched worker list shows all")
        except UnknownMethod:  # luigid, or a server of an older version
            names = [each["name"] for each in self._scheduler.worker_list(include_running=False)]
            if worker not in names:
                raise missing("worker", worker, names, "bsched call worker_list shows all") from None

    def _look_for_family(self, method: str, family: str) -> None:
        """One that is paused need have no tasks."""
        if method == "tasks" or family not in self._scheduler.overview()["paused_families"]:
            self.require_family(family)

    def _look_for_resource(self, resource: str) -> None:
        names = [each["name"] for each in self._scheduler.overview()["resources"]]
        if resource not in names:
            raise missing("resource", resource, names, "bsched resource list shows all")

    def _families(self) -> list[str]:
        return [each["family"] for each in self._scheduler.families(limit=CANDIDATES)["families"]]


def missing(kind: str, value: str, names: Iterable[str], otherwise: str) -> click.ClickException:
    """Return the error that tells of something which is not there, and of what is called nearly so.

    otherwise: what is told instead when nothing is.
    """
    return click.ClickException(f"There is no {kind} {named(value)}. {nearest(value, names, otherwise)}")


def nearest(value: str, names: Iterable[str], otherwise: str) -> str:
    """Return the question whether one of the names was meant that are nearly the value; else the other sentence."""
    likeness = 0.5 if len(value) <= SHORT else 0.6  # of short names one letter in two may differ
    close = difflib.get_close_matches(value, sorted(names), NEAR, likeness)
    return f"Did you mean {' or '.join(close)}?" if close else f"{otherwise}."
