"""Ids and statuses that are not there are mistakes of whoever types them; Luigi's wire answers as if all were well."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.states import UPSTREAM_SEVERITY, Status
from broker_sched.errors import UnknownMethod

# Methods that bring into being what they name; all others are about what is there.
MAKERS = frozenset("add_task add_tasks add_task_batcher add_worker get_work ping await_work".split())
MAKERS |= {"announce_scheduling_failure", "add_submission"}
CHOICES = {
    "status": [status.value for status in Status],
    "upstream_status": [each for each in UPSTREAM_SEVERITY if each],
}
NEAR = 3  # names told
# Methods that know of more than tasks that are there, and whether a reply says that there is nothing.
SAYS_ITSELF: dict[str, Callable[[Any], bool]] = {
    "task_log": lambda reply: reply["status"] is None and reply["log"] is None,  # a log outlives its task
    "condensed_graph": lambda reply: reply is None,  # it shows missing deps, too
}


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
            self._known.add((name, value))

    def _look_for_task(self, task_id: str) -> None:
        if "displayName" in self._scheduler.fetch_error(task_id=task_id):
            return
        half = task_id[: max(1, len(task_id) // 2)]
        close = {each for tasks in self._scheduler.task_search(task_str=half).values() for each in tasks}
        raise missing("task", task_id, close, "bsched call task_list shows all")

    def _look_for_worker(self, worker: str) -> None:
        names = [each["name"] for each in self._scheduler.worker_list(include_running=False)]
        if worker not in names and worker not in self._submissions():
            raise missing("worker", worker, names, "bsched call worker_list shows all")

    def _submissions(self) -> set[str]:
        """Workers, too, in their way: the scheduler says what can be done with them. A stock luigid has none."""
        try:
            return {each["submission"] for each in self._scheduler.submission_list()}
        except UnknownMethod:
            return set()


def missing(kind: str, value: str, names: Iterable[str], otherwise: str) -> click.ClickException:
    """Return the error that tells of something which is not there, and of what is called nearly so.

    otherwise: what is told instead when nothing is.
    """
    return click.ClickException(f"There is no {kind} {value}. {nearest(value, names, otherwise)}")


def nearest(value: str, names: Iterable[str], otherwise: str) -> str:
    """Return the question whether one of the names was meant that are nearly the value; else the other sentence."""
    close = difflib.get_close_matches(value, sorted(names), NEAR)
    return f"Did you mean {' or '.join(close)}?" if close else f"{otherwise}."
