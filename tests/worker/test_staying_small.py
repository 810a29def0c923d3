"""A worker that stays for long keeps little of what it has run."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from broker_sched.worker import known_tasks
from tests.worker import luigi_tasks
from tests.worker.conftest import statuses, worker_on


@pytest.mark.parametrize("exchanges", [True, False])  # a luigid does not
def test_of_what_others_scheduled_only_the_latest_runs_are_kept(
    local: Any, directory: str, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    monkeypatch.setattr(known_tasks, "MOST_FOREIGN", 5)
    many = [luigi_tasks.Write(directory, str(n)) for n in range(33)]
    with worker_on(local, worker_id="submitter") as submitter:
        for each in many:
            submitter.add(each)
        with worker_on(local, worker_id="runner", assistant=True, worker_processes=2) as worker:
            worker._work_source.can_exchange = exchanges
            worker.run()
    assert statuses(local, *many) == ["DONE"] * 33
    kept = worker._registration
    assert len(kept.tasks) == len(kept.reports) < 2 * 5
    assert worker.counts() == {"scheduled": 33, "done": 33, "running": 0, "failed": 0}
    left_out = 33 - len(kept.tasks)
    assert f"{left_out} tasks that others scheduled ended here before" in worker.summary().text


def test_luigis_own_list_of_all_tasks_does_not_grow_either(
    local: Any, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_tasks, "MOST_FOREIGN", 5)
    cached = sys.modules["luigi.task_register"].Register._Register__instance_cache  # type: ignore[attr-defined]
    with worker_on(local, worker_id="submitter") as submitter:
        for n in range(33):
            submitter.add(luigi_tasks.Write(directory, str(n)))
        cached.clear()
        with worker_on(local, worker_id="runner", assistant=True) as worker:
            worker.run()
    assert len(cached) <= 2 * 5
