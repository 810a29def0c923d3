"""One thing done with some tasks, a thousand a call: which are chosen, the question before, what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import click

from broker_sched.errors import Unreachable
from broker_sched.this_user import user_at_host
from bsched.exit_codes import REFUSED
from bsched.options.filters import found_tasks
from bsched.output import Output, quantity
from bsched.progress import counting
from bsched.questions import ask_before
from bsched.terminal import echo

AT_ONCE = 1000  # tasks in one call
REASONS_SHOWN = 10
FAILED = ("FAILED", "DISABLED")


class Action(NamedTuple):
    """What is done with tasks, by its name in the method change_tasks. outcome: what they are then: "3 tasks are …".

    statuses: those that filters choose from, unless a status is asked for: what else could be meant? None: all.
    """

    name: str
    outcome: str
    statuses: Sequence[str | None] = (None,)


RETRY = Action("retry", "PENDING again", FAILED)
STOP = Action("stop", "asked to end", ["RUNNING"])


class Choice(NamedTuple):
    """The tasks that a command line chooses: those named, or those for which filters hold; and what is around them."""

    task_ids: Sequence[str]
    filters: Mapping[str, Any]
    downstream: bool = False
    upstream_failed: bool = False

    @property
    def takes_subtree(self) -> bool:
        """Return whether tasks around those that are named are chosen, too."""
        return self.downstream or self.upstream_failed

    @property
    def is_bulk(self) -> bool:
        """Return whether it may be more than whoever typed it has in mind."""
        return bool(self.filters) or self.takes_subtree or len(self.task_ids) > 1

    def find(self, scheduler: Any, action: Action, limit: int) -> list[str]:
        """Return the ids of the tasks that are chosen. Raises click.ClickException for a named one that is not there,
        and when there are more than the limit; click.UsageError where nothing is chosen, or in two ways."""
        if bool(self.task_ids) == bool(self.filters):
            raise click.UsageError("Name tasks, or give filters such as --family and --status; one of the two.")
        if self.filters and self.takes_subtree:
            raise click.UsageError("--downstream and --upstream-failed go with tasks that are named.")
        found = list(self._named(scheduler) if self.task_ids else self._filtered(scheduler, action, limit))
        if len(found) > limit:
            raise click.ClickException(
                f"More tasks than {limit:,} are chosen, and nothing was changed. "
                f"--limit {10 * limit} changes up to as many."
            )
        return found

    def _filtered(self, scheduler: Any, action: Action, limit: int) -> Iterator[str]:
        left = limit + 1
        with counting("tasks looked at") as looked:
            for status in action.statuses:
                filters = {"status": status, **self.filters}
                for each in found_tasks(scheduler, filters, left, looked=looked):
                    left -= 1
                    yield each["task_id"]
                if "status" in self.filters:
                    return

    def _named(self, scheduler: Any) -> Iterator[str]:
        scheduler.require_tasks(self.task_ids)
        ids = dict.fromkeys(self.task_ids)
        for task_id in self.task_ids:
            for wanted, method in ((self.downstream, "inverse_dep_graph"), (self.upstream_failed, "dep_graph")):
                if wanted:
                    around = getattr(scheduler, method)(task_id=task_id, include_done=False)
                    if any(each not in around for task in around.values() for each in task["deps"]):
                        echo(
                            f"Only the {len(around):,} tasks nearest to {task_id} are looked at (max_graph_nodes); "
                            "others of them may be chosen by filters, or after `bsched config set max_graph_nodes=…`.",
                            err=True,
                        )
                    ids.update(dict.fromkeys(each for each, task in around.items() if task["status"] in FAILED))
        yield from ids


def change(
    action: Action, choice: Choice, scheduler: Any, output: Output, *, dry_run: bool, yes: bool, limit: int
) -> None:
    """Do it with the tasks that are chosen, ask before where they may be many, and say what became of each.

    Ends with exit code 1 when it can't be done with one that was named; with what is around it, when with none at all.
    """
    task_ids = choice.find(scheduler, action, limit)
    if choice.is_bulk and not yes and not dry_run and task_ids:
        would = _change(scheduler, action, task_ids, dry_run=True)
        n, left = len(would["changed"]), len(would["unchanged"])
        if n:
            ask_before(f"{action.name.title()} {quantity(n, 'task')}" + (f", not {left:,} others" if left else ""), yes)
    reply = _change(scheduler, action, task_ids, dry_run=dry_run)
    output.thing(reply, lambda: _told(action, reply, dry_run))
    if choice.task_ids and reply["unchanged"] and not (choice.takes_subtree and reply["changed"]):
        click.get_current_context().exit(REFUSED)


def _change(scheduler: Any, action: Action, task_ids: Sequence[str], dry_run: bool) -> dict[str, Any]:
    """As one call of change_tasks, however many there are."""
    found: dict[str, Any] = {"changed": [], "unchanged": []}
    with counting("tasks looked at" if dry_run else "tasks changed", len(task_ids)) as tell:
        try:
            for start in range(0, len(task_ids), AT_ONCE):
                some = list(task_ids[start : start + AT_ONCE])
                reply = scheduler.change_tasks(task_ids=some, action=action.name, dry_run=dry_run, by=user_at_host())
                for name, each in found.items():
                    each += reply[name]
                tell(start + len(some))
        except (KeyboardInterrupt, Unreachable):
            if not dry_run and len(task_ids) > 1:
                told = (
                    f"Broken off after {quantity(len(found['changed']), 'task')}; some of the next may be changed, too."
                )
                echo(told, err=True)
            raise
    return found


def _told(action: Action, reply: Mapping[str, Any], dry_run: bool) -> Iterator[str]:
    changed, unchanged = reply["changed"], reply["unchanged"]
    if not changed and not unchanged:
        yield "No such tasks."
    if changed:
        who = changed[0] if len(changed) == 1 else quantity(len(changed), "task")
        is_, would = ("is" if len(changed) == 1 else "are"), "would be" if dry_run else ""
        yield f"{who} {would or is_} {action.outcome}."
    reasons: dict[str, list[str]] = {}
    for each in unchanged:
        reasons.setdefault(each["reason"], []).append(each["task_id"])
    for reason, ids in list(reasons.items())[:REASONS_SHOWN]:
        more = f" and {len(ids) - 1:,} more" if len(ids) > 1 else ""
        yield f"Not {ids[0]}{more}: {reason}"
    if len(reasons) > REASONS_SHOWN:
        left = sum(len(ids) for ids in list(reasons.values())[REASONS_SHOWN:])
        yield f"Not {left:,} more, for other reasons; --json names them all."
