"""The contract's fine print, items 7 to 10: running tasks, joining, disabling.

Each call goes to Luigi's scheduler and to ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.parity.conversation import Conversation

Both = Callable[..., Conversation]

# 7: a running task


def test_running_tasks_other_fields_change_when_its_status_may_not(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.work()
    talk.add("a", "w2", status="DONE", priority=9, resources={"db": 1}, tracking_url="http://x", expl="why")
    task = talk.task("a")
    assert (task["status"], task["priority"], task["tracking_url"]) == ("RUNNING", 9, "http://x")
    assert task["workers"] == ["w", "w2"]
    assert talk.fetch_error(task_id="a")["error"] == "why"


def test_worker_running_stays_after_completion_and_is_set_only_while_empty(both: Both) -> None:
    talk = both(stable_done_cooldown_secs=0)
    talk.add("a")
    talk.work()
    talk.add("a", status="DONE")
    assert talk.task("a")["worker_running"] == "w"
    talk.add("a", "w2")
    talk.add("a", "w2", status="RUNNING")
    assert talk.task("a")["worker_running"] == "w"


def test_new_deps_send_a_running_task_back_whoever_reports_them(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.work()
    talk.add("a", "w2", new_deps=[])
    assert talk.status("a") == "RUNNING"
    talk.add("a", "w2", new_deps=["b"])
    assert talk.status("a") == "PENDING"


def test_report_with_runnable_null_is_what_luigis_worker_sends(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.work()
    talk.add("a", status="DONE", runnable=None, expl="", new_deps=[], retry_policy_dict={}, accepts_messages=False)
    assert talk.status("a") == "DONE"


# 8: joining


def test_ignored_pending_after_done_refreshes_the_worker_and_nothing_else(both: Both) -> None:
    talk = both(worker_disconnect_delay=8, stable_done_cooldown_secs=10)
    talk.add("a", status="DONE")
    talk.advance(8)
    talk.add("a", priority=5, deps=["x"])
    talk.advance(8)
    assert len(talk.worker_list()) == 1
    assert talk.task("a")["priority"] == 0
    assert talk.task("x") is None


def test_failed_never_adds_the_worker(both: Both) -> None:
    talk = both()
    talk.fail("a")
    assert talk.task("a")["workers"] == []


def test_readding_does_not_move_a_worker(both: Both) -> None:
    talk = both()
    talk.add("a", "w1")
    talk.add("a", "w2")
    talk.add("a", "w1")
    assert talk.task("a")["workers"] == ["w1", "w2"]
    assert talk.count_pending(worker="w2")["n_pending_last_scheduled"] == 1
    assert talk.count_pending(worker="w1")["n_pending_last_scheduled"] == 0


# 9: disabled workers and small fields


def test_disabled_worker_creates_nothing_but_may_finish(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.work()
    talk.disable_worker(worker="w")
    talk.add("b")
    assert talk.task("b") is None
    talk.add("a", status="DONE")
    assert talk.status("a") == "DONE"
    assert talk.task("a")["workers"] == []


@pytest.mark.parametrize("expl", [7, 0, False, [1, "two"], {"rows": 3}, "", "7"])
def test_any_json_is_an_explanation(both: Both, expl: Any) -> None:
    talk = both()
    talk.add("a", status="FAILED", expl=expl)
    talk.add("a", expl=None)
    assert talk.fetch_error(task_id="a")["error"] == expl


def test_tracking_url_is_reset_by_an_add_without_one_and_expl_is_kept(both: Both) -> None:
    talk = both()
    talk.add("a", tracking_url="http://x", expl="why")
    talk.add("a")
    assert talk.task("a")["tracking_url"] is None
    assert talk.fetch_error(task_id="a")["error"] == "why"
    talk.work()
    talk.add("a", tracking_url="http://y", status="RUNNING")
    talk.add("a", status="RUNNING")
    assert talk.task("a")["tracking_url"] == "http://y"


# 10: disabling and its end


def test_disabled_is_ignored_on_a_running_task(both: Both) -> None:
    talk = both()
    talk.add("a")
    talk.work()
    talk.add("a", status="DISABLED", new_deps=["b"])
    assert talk.status("a") == "RUNNING"


def test_workers_disable_can_not_be_re_enabled_and_never_expires(both: Both) -> None:
    talk = both(disable_persist=5, worker_disconnect_delay=1000)
    talk.add("a", status="DISABLED")
    assert talk.re_enable_task(task_id="a") == {}
    talk.advance(100)
    assert talk.task("a")["re_enable_able"] is False
    talk.add("a")
    assert talk.status("a") == "PENDING"


def test_workers_disable_lifts_the_clock_of_a_scheduler_disable(both: Both) -> None:
    talk = both(disable_persist=5, retry_count=1, worker_disconnect_delay=1000)
    talk.fail("a")
    talk.add("a")
    assert talk.task("a")["re_enable_able"] is True
    talk.add("a", status="DISABLED")
    assert talk.task("a")["re_enable_able"] is False
    talk.advance(6)
    assert talk.status("a") == "DISABLED"


def test_re_enabled_task_is_failed_with_its_failures_forgotten(both: Both) -> None:
    talk = both(retry_count=2, retry_delay=0)
    talk.fail("a")
    talk.fail("a")
    assert talk.re_enable_task(task_id="a")["status"] == "FAILED"
    talk.fail("a")
    assert talk.status("a") == "FAILED"
    talk.fail("a")
    assert talk.status("a") == "DISABLED"


def test_forgiving_keeps_the_count(both: Both) -> None:
    talk = both(retry_count=2)
    talk.fail("a")
    assert talk.forgive_failures(task_id="a") == {"task_id": "a", "status": "PENDING"}
    talk.fail("a")
    assert talk.status("a") == "DISABLED"
    assert talk.forgive_failures(task_id="nobody") == {"task_id": "nobody", "status": None}


@pytest.mark.parametrize(("status", "after"), [("FAILED", "DONE"), ("DISABLED", "DONE"), ("PENDING", "PENDING")])
def test_mark_as_done_works_on_failed_and_disabled(both: Both, status: str, after: str) -> None:
    talk = both()
    talk.add("a", status=status)
    assert talk.mark_as_done(task_id="a")["status"] == after


def test_scheduler_disable_refuses_every_status_but_done(both: Both) -> None:
    talk = both(retry_count=1)
    talk.fail("a")
    for status in ("PENDING", "RUNNING", "FAILED", "UNKNOWN", "SUSPENDED"):
        talk.add("a", status=status)
        assert talk.status("a") == "DISABLED"
    talk.add("a", status="DONE")
    assert talk.status("a") == "DONE"


@pytest.mark.parametrize(("later", "status"), [(9.75, "FAILED"), (10, "DISABLED")])
def test_hard_timeout_counts_from_the_first_failure(both: Both, later: float, status: str) -> None:
    talk = both(disable_hard_timeout=10, worker_disconnect_delay=1000)
    talk.fail("a")
    talk.advance(later)
    assert talk.status("a") == "FAILED"
    talk.fail("a")
    assert talk.status("a") == status


def test_suspended_is_stored_as_pending(both: Both) -> None:
    talk = both()
    talk.add("a", status="SUSPENDED")
    assert talk.status("a") == "PENDING"
