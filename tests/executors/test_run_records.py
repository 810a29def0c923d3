"""Which job is a task's run: by the scripts that decide it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import redis

from broker_sched.worker.executors.rq.run_records import (
    GONE,
    KEEP_OUTCOME_SECONDS,
    LIVES,
    MOST_TOLD,
    Begin,
    RunRecords,
    Taken,
)
from tests.conftest import running


@pytest.fixture
def board() -> Iterator[RunRecords]:
    """On a namespace of its own; every key must be one that expires."""
    client = redis.Redis.from_url(running("redis8").url)
    namespace = f"board-{uuid.uuid4().hex[:8]}"
    yield RunRecords(client, namespace)
    keys = client.keys(f"bsched-rq:{namespace}:*")
    assert all(client.ttl(key) > 0 for key in keys)  # type: ignore[union-attr]  # redis-py: it may be awaitable
    client.close()


def take(board: RunRecords, job: str, supervisor: str) -> Taken:
    """What a supervisor gets."""
    with board.client.pipeline(transaction=False) as pipeline:
        board.take("task", job, supervisor, pipeline)
        return board.taken(pipeline.execute()[0])


def begin(board: RunRecords, job: str) -> Begin:
    """A job wants to run the task."""
    return board.begin("task", job, "host", 1, "rq-worker")


def end(board: RunRecords, job: str, status: str) -> None:
    """A job is through."""
    board.end("task", job, f'"{status}"', status, False, "")


def test_two_supervisors_get_the_same_job(board: RunRecords) -> None:
    assert board.claim("task", "first", "anna") == ("first", False)
    assert board.claim("task", "second", "ben") == ("first", False)


def test_a_job_begins_once(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    assert begin(board, "first")
    assert not begin(board, "first")


def test_a_job_that_is_not_the_tasks_run_may_not_begin(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    assert not begin(board, "other")


def test_what_a_job_leaves_goes_to_the_last_supervisor(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    board.claim("task", "second", "ben")
    begin(board, "first")
    board.tell("task", "first", "call")
    assert board.client.lrange(board.wake_key("anna"), 0, -1) == []
    assert board.client.lrange(board.wake_key("ben"), 0, -1) == [b"first"]
    assert take(board, "first", "anna").calls == []
    assert take(board, "first", "ben").calls == [b"call"]


def test_an_outcome_that_was_reported_is_gone_and_the_task_may_be_run_again(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    begin(board, "first")
    end(board, "first", "DONE")
    assert take(board, "first", "anna").fields["outcome"] == '"DONE"'
    assert board.revoke("task", "first", "anna")
    assert take(board, "first", "anna").fields == {}
    assert board.claim("task", "second", "anna") == ("second", False)
    assert begin(board, "second") is Begin.RUN


def test_an_outcome_that_nobody_took_is_there_for_the_next_supervisor(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    begin(board, "first")
    end(board, "first", "DONE")
    assert board.claim("task", "second", "ben") == ("first", True)
    assert take(board, "first", "ben").fields["outcome"] == '"DONE"'


def test_an_outcome_is_not_kept_for_longer_by_looking_at_it(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    begin(board, "first")
    end(board, "first", "DONE")
    take(board, "first", "anna")
    for key in ("task:task", "job:first"):
        assert 0 < board.client.ttl(f"{board.wake_key('')[: -len('wake:')]}{key}") <= KEEP_OUTCOME_SECONDS


def test_after_an_outcome_that_may_have_been_reported_only_what_is_not_complete_is_run(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    begin(board, "first")
    end(board, "first", "DONE")
    take(board, "first", "anna")
    assert board.claim("task", "second", "ben") == ("second", False)
    assert board.claim("task", "second", "ben") == ("second", False), "the answer was lost"
    assert begin(board, "second") is Begin.RUN_UNLESS_COMPLETE


def test_a_failure_that_nobody_took_is_no_reason_not_to_run_again(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    begin(board, "first")
    end(board, "first", "FAILED")
    assert board.claim("task", "second", "ben") == ("second", False)


def test_a_job_that_has_not_begun_can_be_revoked_for_good(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    assert board.revoke("task", "first", "anna", only_unbegun=True)
    assert not begin(board, "first")


def test_a_job_that_has_begun_is_not_revoked_as_one_that_has_not(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    begin(board, "first")
    assert not board.revoke("task", "first", "anna", only_unbegun=True)
    assert board.beat("task", "first", "") == LIVES


def test_a_revoked_job_hears_it_and_leaves_no_outcome(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    begin(board, "first")
    board.revoke("task", "first", "anna")
    board.claim("task", "second", "anna")
    assert board.beat("task", "first", "") == GONE
    end(board, "first", "DONE")
    assert "outcome" not in take(board, "second", "anna").fields
    assert take(board, "first", "anna").fields == {}


def test_a_supervisor_can_not_revoke_what_another_has_taken_over(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    board.claim("task", "second", "ben")
    assert not board.revoke("task", "first", "anna")
    assert begin(board, "first")


def test_a_job_hears_that_it_is_to_stop(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    begin(board, "first")
    assert board.stop("task", "first", "anna")
    assert board.beat("task", "first", "last lines") == "stop"
    assert take(board, "first", "anna").fields["tail"] == "last lines"


def test_a_supervisor_can_not_stop_what_another_has_taken_over(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    begin(board, "first")
    board.claim("task", "second", "ben")
    assert not board.stop("task", "first", "anna")
    assert board.beat("task", "first", "last lines") == "lives"


def test_a_task_that_never_stops_talking_fills_no_redis(board: RunRecords) -> None:
    board.claim("task", "first", "anna")
    begin(board, "first")
    for number in range(MOST_TOLD + 5):
        board.tell("task", "first", str(number))
    calls = take(board, "first", "anna").calls
    assert len(calls) == MOST_TOLD and calls[-1] == str(MOST_TOLD + 4).encode()
