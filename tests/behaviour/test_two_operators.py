"""Two people change the same many tasks at once: each task is as one of them left it, and both are told the truth.

A change of many tasks is made in parts, so that it holds nobody up. Between two parts another one may have changed what
comes next; each part looks at its tasks as they are, and counts what it has changed itself.
"""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from broker_sched import Scheduler
from tests.conftest import SchedulerFactory
from tests.nightly import by_night

TASKS = by_night(3000, 300)
PART = 20


def change(scheduler: Scheduler, ids: list[str], action: str, told: dict[str, str | None]) -> None:
    """As `bsched task <action>` does it, in parts. told: what was said of each task, None that it was changed."""
    for start in range(0, len(ids), PART):
        reply = scheduler.change_tasks(task_ids=ids[start : start + PART], action=action, by=action)
        told.update(dict.fromkeys(reply["changed"]))
        told.update((each["task_id"], each["reason"]) for each in reply["unchanged"])


@pytest.mark.parametrize(
    "actions", [("retry", "disable"), ("disable", "disable"), ("done", "remove"), ("retry", "done")]
)
def test_two_bulk_changes_at_once_leave_each_task_as_one_of_them(
    scheduler_factory: SchedulerFactory, actions: tuple[str, str]
) -> None:
    scheduler = scheduler_factory()
    ids = [f"t{number}" for number in range(TASKS)]
    scheduler.add_tasks(worker="w", tasks=[{"task_id": each, "family": "F", "status": "FAILED"} for each in ids])
    before = scheduler.events()["last"] or "0-0"
    told: list[dict[str, str | None]] = [{}, {}]
    threads = [
        threading.Thread(target=change, args=(scheduler, order, action, found))
        for action, order, found in zip(actions, (ids, ids[::-1]), told)  # they meet in the middle
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scheduler.verify() == []
    assert [found.keys() for found in told] == [set(ids)] * 2
    events: dict[str, list[tuple[str, str]]] = {}
    last = before
    while (reply := scheduler.events(after=last, limit=1000))["events"]:
        last = reply["last"]
        for each in reply["events"]:
            events.setdefault(each["task_id"], []).append((each["by"] or "", each["to"]))
    statuses = scheduler.task_statuses(task_ids=ids)
    for each in ids:
        assert (statuses[each]["status"] if each in statuses else "REMOVED") == events[each][-1][1], (
            "it is as the last one left it"
        )
        changed = Counter(action for action, found in zip(actions, told) if found[each] is None)
        assert changed and Counter(by for by, _ in events[each]) == changed, "who is told of a change has made it"
