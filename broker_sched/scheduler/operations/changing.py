"""What people do with many tasks at once: retry, forgive, enable, disable, done, stop, remove."""

from __future__ import annotations

from collections.abc import Sequence

from broker_sched.contract import replies as replies
from broker_sched.redis_backend.commands import Call, Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.tasks import run_deferred, truth

TASKS_AT_ONCE = 50  # tasks that one script is given
MAX_PASSES = 50  # over tasks that others need which are to be removed as well


def change_tasks(
    namespace: Namespace, *, task_ids: Sequence[str], action: str, dry_run: bool, by: str | None
) -> Commands[replies.ChangedTasks]:
    """Do it with each task, some tasks a script.

    A task that another one needs is looked at again when others were removed, in the other order: so a list of deps
    and dependents goes in two passes, whichever come first.
    """
    changed: list[str] = []
    refusals: dict[str, replies.UnchangedTask] = {}
    left = list(dict.fromkeys(task_ids))
    for _ in range(MAX_PASSES):
        outcomes = yield from _look_at(namespace, left, changed, action, dry_run, by or "")
        refusals.update((task_id, _refusal(task_id, outcome)) for task_id, outcome in outcomes.items())
        done = [task_id for task_id, outcome in outcomes.items() if not outcome]
        changed += done
        left = [task_id for task_id in reversed(left) if outcomes[task_id].startswith("?")]
        if not done or not left:
            break
    has_changed = set(changed)
    return {
        "changed": [task_id for task_id in refusals if task_id in has_changed],
        "unchanged": [refusal for task_id, refusal in refusals.items() if task_id not in has_changed],
    }


def _refusal(task_id: str, outcome: str) -> replies.UnchangedTask:
    status, _, reason = outcome[1:].partition(" ")
    return {"task_id": task_id, "status": status or None, "reason": reason}


def _look_at(
    namespace: Namespace, task_ids: Sequence[str], gone: Sequence[str], action: str, dry_run: bool, by: str
) -> Commands[dict[str, str]]:
    """Return what became of each task, as the script says it. gone: those that a dry run takes for removed."""
    outcomes: dict[str, str] = {}
    counts_gone = dry_run and action == "remove"
    taken = list(gone) if counts_gone else []
    while len(outcomes) < len(task_ids):
        some = task_ids[len(outcomes) : len(outcomes) + TASKS_AT_ONCE]
        steps, *found = yield Call(
            "change_tasks",
            once=not dry_run,
            action=action,
            dry_run=truth(dry_run),
            by=by,
            gone_count=str(len(taken)),
            task_ids=[*taken, *some],
        )
        outcomes.update(zip(some, found))
        if counts_gone:
            taken += [task_id for task_id, outcome in zip(some, found) if not outcome]
        yield from run_deferred(steps)
    return outcomes
