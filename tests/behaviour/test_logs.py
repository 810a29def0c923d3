"""What a task's latest run wrote is kept for a day.

A worker tells the scheduler the end of what a task writes while it runs, so that `bsched task logs` can show it from
anywhere.
"""

from __future__ import annotations

from broker_sched import Scheduler
from tests.conftest import FakeClock


def test_it_is_kept_as_it_was_told_last(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler.set_task_log("a", "first\n", 6)
    scheduler.set_task_log("a", " second é\n", 400)
    assert scheduler.task_log("a") == {
        "task_id": "a",
        "status": "PENDING",
        "run": None,
        "log": " second é\n",
        "size": 400,
    }
    lifetime = scheduler._client.ttl(scheduler.namespace.key("log", "a"))
    assert 0 < lifetime <= 86_400


def test_nothing_is_kept_of_an_unknown_task(scheduler: Scheduler) -> None:
    scheduler.set_task_log("nobody", "text", 4)
    assert scheduler.task_log("nobody") == {"task_id": "nobody", "status": None, "run": None, "log": None, "size": 0}


def test_what_an_earlier_run_wrote_is_not_shown(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler.get_work(worker="w")
    scheduler.set_task_log("a", "first run", 9)
    assert (scheduler.task_log("a")["log"], scheduler.task_log("a")["run"]) == ("first run", clock.now)
    scheduler.add_task(worker="w", task_id="a", status="FAILED")
    assert scheduler.task_log("a")["log"] == "first run"
    scheduler.forgive_failures("a")
    clock.advance(1)
    scheduler.get_work(worker="w")
    assert scheduler.task_log("a") == {"task_id": "a", "status": "RUNNING", "run": clock.now, "log": None, "size": 0}
