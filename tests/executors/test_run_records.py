"""Which job is a task's run: by the scripts that decide it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import redis

from broker_sched.worker.executors.rq.run_records import (
    GONE,
    KEEP_RESULT_SECONDS,
    LIVES,
    MOST_CALLS,
    Begin,
    RunRecords,
    Taken,
)
from tests.conftest import running


@pytest.fixture
def run_records() -> Iterator[RunRecords]:
    """On a namespace of its own; every key must be one that expires."""
    client = redis.Redis.from_url(running("redis8").url)
    namespace = f"records-{uuid.uuid4().hex[:8]}"
    yield RunRecords(client, namespace)
    keys = client.keys(f"bsched-rq:{namespace}:*")
    assert all(client.ttl(key) > 0 for key in keys)  # type: ignore[union-attr]  # redis-py: it may be awaitable
    client.close()


def take(run_records: RunRecords, job: str, supervisor: str) -> Taken:
    """What a supervisor gets."""
    with run_records.client.pipeline(transaction=False) as pipeline:
        run_records.queue_take("task", job, supervisor, pipeline)
        return run_records.taken_from_reply(pipeline.execute()[0])


def begin(run_records: RunRecords, job: str) -> Begin:
    """A job wants to run the task."""
    return run_records.begin_run("task", job, "host", 1, "rq-worker")


def end(run_records: RunRecords, job: str, status: str) -> None:
    """A job is through."""
    run_records.leave_result("task", job, f'"{status}"', status, False, "")


def test_two_supervisors_get_the_same_job(run_records: RunRecords) -> None:
    assert run_records.register_run("task", "first", "anna") == ("first", False)
    assert run_records.register_run("task", "second", "ben") == ("first", False)


def test_a_job_begins_once(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    assert begin(run_records, "first")
    assert not begin(run_records, "first")


def test_a_job_that_is_not_the_tasks_run_may_not_begin(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    assert not begin(run_records, "other")


def test_what_a_job_leaves_goes_to_the_last_supervisor(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    run_records.register_run("task", "second", "ben")
    begin(run_records, "first")
    run_records.leave_call("task", "first", "call")
    assert run_records.client.lrange(run_records.wake_key("anna"), 0, -1) == []
    assert run_records.client.lrange(run_records.wake_key("ben"), 0, -1) == [b"first"]
    assert take(run_records, "first", "anna").calls == []
    assert take(run_records, "first", "ben").calls == [b"call"]


def test_a_result_that_was_reported_is_gone_and_the_task_may_be_run_again(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    begin(run_records, "first")
    end(run_records, "first", "DONE")
    assert take(run_records, "first", "anna").fields["result"] == '"DONE"'
    assert run_records.revoke_run("task", "first", "anna")
    assert take(run_records, "first", "anna").fields == {}
    assert run_records.register_run("task", "second", "anna") == ("second", False)
    assert begin(run_records, "second") is Begin.RUN


def test_a_result_that_nobody_took_is_there_for_the_next_supervisor(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    begin(run_records, "first")
    end(run_records, "first", "DONE")
    assert run_records.register_run("task", "second", "ben") == ("first", True)
    assert take(run_records, "first", "ben").fields["result"] == '"DONE"'


def test_a_result_is_not_kept_for_longer_by_looking_at_it(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    begin(run_records, "first")
    end(run_records, "first", "DONE")
    take(run_records, "first", "anna")
    for key in ("task:task", "job:first"):
        assert 0 < run_records.client.ttl(f"{run_records.wake_key('')[: -len('wake:')]}{key}") <= KEEP_RESULT_SECONDS


def test_after_a_result_that_may_have_been_reported_only_what_is_not_complete_is_run(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    begin(run_records, "first")
    end(run_records, "first", "DONE")
    take(run_records, "first", "anna")
    assert run_records.register_run("task", "second", "ben") == ("second", False)
    assert run_records.register_run("task", "second", "ben") == ("second", False), "the answer was lost"
    assert begin(run_records, "second") is Begin.RUN_UNLESS_COMPLETE


def test_a_failure_that_nobody_took_is_no_reason_not_to_run_again(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    begin(run_records, "first")
    end(run_records, "first", "FAILED")
    assert run_records.register_run("task", "second", "ben") == ("second", False)


def test_a_job_that_has_not_begun_can_be_revoked_for_good(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    assert run_records.revoke_run("task", "first", "anna", only_unbegun=True)
    assert not begin(run_records, "first")


def test_a_job_that_has_begun_is_not_revoked_as_one_that_has_not(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    begin(run_records, "first")
    assert not run_records.revoke_run("task", "first", "anna", only_unbegun=True)
    assert run_records.note_heartbeat("task", "first", "") == LIVES


def test_a_revoked_job_hears_it_and_leaves_no_result(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    begin(run_records, "first")
    run_records.revoke_run("task", "first", "anna")
    run_records.register_run("task", "second", "anna")
    assert run_records.note_heartbeat("task", "first", "") == GONE
    end(run_records, "first", "DONE")
    assert "result" not in take(run_records, "second", "anna").fields
    assert take(run_records, "first", "anna").fields == {}


def test_a_supervisor_can_not_revoke_what_another_has_taken_over(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    run_records.register_run("task", "second", "ben")
    assert not run_records.revoke_run("task", "first", "anna")
    assert begin(run_records, "first")


def test_a_job_hears_that_it_is_to_stop(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    begin(run_records, "first")
    assert run_records.request_stop("task", "first", "anna")
    assert run_records.note_heartbeat("task", "first", "last lines") == "stop"
    assert take(run_records, "first", "anna").fields["tail"] == "last lines"


def test_a_supervisor_can_not_stop_what_another_has_taken_over(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    begin(run_records, "first")
    run_records.register_run("task", "second", "ben")
    assert not run_records.request_stop("task", "first", "anna")
    assert run_records.note_heartbeat("task", "first", "last lines") == "lives"


def test_a_task_that_never_stops_talking_fills_no_redis(run_records: RunRecords) -> None:
    run_records.register_run("task", "first", "anna")
    begin(run_records, "first")
    for number in range(MOST_CALLS + 5):
        run_records.leave_call("task", "first", str(number))
    calls = take(run_records, "first", "anna").calls
    assert len(calls) == MOST_CALLS and calls[-1] == str(MOST_CALLS + 4).encode()
