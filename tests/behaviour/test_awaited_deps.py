"""done_since_awaited: which deps a task would wait for in vain.

A task that finds new deps while it runs goes back to PENDING until they are done. When such a dep was DONE meanwhile,
or is not run again since it was done a moment ago, a worker must not wait for it; this call names those.
"""

from __future__ import annotations

from typing import Any

import pytest

from broker_sched import Scheduler
from tests.conftest import FakeClock


@pytest.fixture
def handed_out(scheduler: Scheduler) -> Scheduler:
    """`top` runs on w."""
    scheduler.add_task(task_id="top", worker="w")
    assert scheduler.get_work(worker="w")["task_id"] == "top"
    return scheduler


def wait_for(scheduler: Scheduler, *deps: str) -> None:
    for dep in deps:
        scheduler.add_task(task_id=dep, worker="w")
    scheduler.add_task(task_id="top", worker="w", status="PENDING", new_deps=list(deps))


def done(scheduler: Scheduler, *deps: str) -> None:
    for dep in deps:
        scheduler.add_task(task_id=dep, worker="w", status="DONE")


def asked(scheduler: Any, *deps: str) -> list[str]:
    return list(scheduler.done_since_awaited(task_id="top", deps=list(deps)))


def test_a_task_that_has_not_waited_waits_for_nothing_in_vain(handed_out: Scheduler, clock: FakeClock) -> None:
    done(handed_out, "a")
    assert asked(handed_out, "a", "b") == []


def test_a_dep_that_was_done_while_the_task_waited_is_named(handed_out: Scheduler, clock: FakeClock) -> None:
    wait_for(handed_out, "a", "b")
    clock.advance(60)
    done(handed_out, "a")
    assert asked(handed_out, "a", "b", "unknown") == ["a"]


def test_a_dep_that_was_done_long_before_is_not_named(handed_out: Scheduler, clock: FakeClock) -> None:
    done(handed_out, "a")
    handed_out.add_task(task_id="top", worker="w", status="RUNNING", deps=["a"])
    clock.advance(60)
    wait_for(handed_out, "b")
    done(handed_out, "b")
    assert asked(handed_out, "a", "b") == ["b"]


def test_a_dep_that_was_done_just_before_is_named_since_it_is_not_run_again(
    handed_out: Scheduler, clock: FakeClock
) -> None:
    done(handed_out, "a")
    clock.advance(5)
    wait_for(handed_out, "a")
    assert asked(handed_out, "a") == ["a"]


@pytest.mark.parametrize("status", ["DONE", "FAILED", "DISABLED"])
def test_a_task_that_has_ended_begins_to_wait_anew(handed_out: Scheduler, clock: FakeClock, status: str) -> None:
    wait_for(handed_out, "a")
    done(handed_out, "a")
    handed_out.add_task(task_id="top", worker="w", status=status)
    assert asked(handed_out, "a") == []


def test_a_thousand_deps_are_asked_about(handed_out: Scheduler, clock: FakeClock) -> None:
    deps = [f"d{number}" for number in range(1000)]
    wait_for(handed_out, *deps)
    done(handed_out, *deps)
    assert asked(handed_out, *deps) == deps
