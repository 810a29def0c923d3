"""exchange: a worker's reports and its next tasks in one call.

A worker that has run a task wants the next one. With add_task and get_work these are two calls, one after the other; so
most of a short task's time went into waiting for answers.
"""

from __future__ import annotations

from typing import Any

import pytest

from broker_sched import InvalidArgument
from broker_sched.scheduler.scheduler import Scheduler


def add(scheduler: Any, *names: str, **more: Any) -> None:
    for name in names:
        scheduler.add_task(task_id=name, worker="w", **more)


def exchange(scheduler: Any, *reports: Any, **more: Any) -> Any:
    return scheduler.exchange(worker="w", reports=reports, **{"current_tasks": [], **more})


def done(name: str, work: Any) -> Any:
    attempt = next(each["attempt"] for each in work if each["task_id"] == name)
    return {"task_id": name, "status": "DONE", "attempt": attempt}


def test_reports_come_before_hand_outs(scheduler: Any) -> None:
    """So what waited for the task that is reported is handed out by the same call."""
    add(scheduler, "a")
    add(scheduler, "b", deps=["a"])
    work = exchange(scheduler)["work"]
    assert [each["task_id"] for each in work] == ["a"]
    answer = exchange(scheduler, done("a", work))
    assert answer["superseded"] == {}
    assert [each["task_id"] for each in answer["work"]] == ["b"]
    assert scheduler.task_list("DONE", "").keys() == {"a"}


def test_as_many_tasks_as_are_wanted_are_handed_out(scheduler: Any) -> None:
    add(scheduler, "a", "b", "c")
    two = exchange(scheduler, wanted=2)["work"]
    assert len({each["task_id"] for each in two}) == 2
    names = [each["task_id"] for each in two]
    rest = exchange(scheduler, wanted=4, current_tasks=names)["work"]
    assert [each["task_id"] for each in rest][1:] == [None] and rest[0]["task_id"] not in names
    assert rest[-1]["n_pending_tasks"] == 0


def test_nothing_wanted_only_reports(scheduler: Any) -> None:
    add(scheduler, "a", "b")
    work = exchange(scheduler)["work"]
    assert exchange(scheduler, done(work[0]["task_id"], work), wanted=0) == {"superseded": {}, "work": []}
    assert len(scheduler.task_list("PENDING", "")) == 1


def test_a_task_that_the_worker_was_given_and_does_not_name_is_handed_out_again(scheduler: Any) -> None:
    """As by get_work: the answer was lost."""
    add(scheduler, "a", "b")
    first = exchange(scheduler)["work"][0]["task_id"]
    assert exchange(scheduler)["work"][0]["task_id"] == first


def test_a_superseded_report_keeps_the_others_from_nothing(scheduler: Any) -> None:
    add(scheduler, "a", "b", "c")
    work = exchange(scheduler, wanted=2)["work"]
    lost, kept = (each["task_id"] for each in work)
    scheduler.release_task(lost, "w")
    scheduler.add_task(task_id=lost, worker="other")
    assert scheduler.get_work(worker="other")["task_id"] == lost
    answer = exchange(scheduler, done(lost, work), done(kept, work))
    assert list(answer["superseded"]) == [lost] and "does not count any more" in answer["superseded"][lost]
    assert scheduler.task_list("DONE", "").keys() == {kept}
    assert answer["work"][0]["task_id"] == "c"


def test_failures_and_new_deps_are_reported_too(scheduler: Any) -> None:
    add(scheduler, "a", "b")
    work = exchange(scheduler, wanted=2)["work"]
    add(scheduler, "new")
    attempt = {each["task_id"]: each["attempt"] for each in work}
    failed = {"task_id": "a", "status": "FAILED", "expl": "broken", "attempt": attempt["a"]}
    waits = {"task_id": "b", "status": "PENDING", "new_deps": ["new"], "attempt": attempt["b"]}
    answer = exchange(scheduler, failed, waits)
    assert [each["task_id"] for each in answer["work"]] == ["new"]
    assert scheduler.fetch_error("a")["error"] == "broken"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"task_id": "b", "status": "GONE"}, "reports[1].status"),
        ({"task_id": "b", "resource": {}}, "reports[1].resource"),
    ],
)
def test_with_a_wrong_report_nothing_is_changed(scheduler: Any, wrong: Any, field: str) -> None:
    add(scheduler, "a", "b")
    work = exchange(scheduler)["work"]
    with pytest.raises(InvalidArgument) as raised:
        exchange(scheduler, done("a", work), wrong)
    assert raised.value.field == field
    assert scheduler.task_list("DONE", "") == {}


def test_a_batch_comes_as_from_get_work(scheduler: Any) -> None:
    scheduler.add_task_batcher("w", "F", ["n"], 3)
    for n in range(3):
        add(scheduler, f"f{n}", family="F", params={"n": str(n)}, batchable=True)
    (batch,) = exchange(scheduler)["work"]
    assert batch["task_id"] is None and sorted(batch["batch_task_ids"]) == ["f0", "f1", "f2"]


def test_a_batch_is_the_last_that_is_handed_out(scheduler: Any) -> None:
    """Its members go back when the worker asks for more before it has said that it runs them."""
    scheduler.add_task_batcher("w", "F", ["n"], 2)
    for n in range(4):
        add(scheduler, f"f{n}", family="F", params={"n": str(n)}, batchable=True)
    (batch,) = exchange(scheduler, wanted=3)["work"]
    run = {"family": "F", "status": "RUNNING", "batch_id": batch["batch_id"], "attempt": batch["attempt"]}
    scheduler.add_task(worker="w", task_id="f0+f1", **run)
    (other,) = exchange(scheduler, wanted=2, current_tasks=["f0+f1"])["work"]
    assert sorted(batch["batch_task_ids"] + other["batch_task_ids"]) == ["f0", "f1", "f2", "f3"]


def test_what_is_reported_is_not_handed_out_again_though_redis_has_lost_only_the_script_for_reports(
    scheduler: Scheduler,
) -> None:
    """The question is carried out then, and the report is sent once more after it."""
    add(scheduler, "a", "b")
    work = exchange(scheduler)["work"]
    scheduler._client.script_flush()
    scheduler.get_work(worker="another")
    answer = exchange(scheduler, done(work[0]["task_id"], work))
    assert answer["superseded"] == {}
    assert [each["task_id"] for each in answer["work"]] == ["b"]
    assert scheduler.task_list("DONE", "").keys() == {"a"}


def test_a_report_and_a_hand_out_take_one_round_trip(scheduler: Scheduler) -> None:
    add(scheduler, *"abcd")
    work = exchange(scheduler)["work"]
    sent = list[Any]()
    send = scheduler._connection.send
    scheduler._connection.send = lambda commands, *more: (sent.append(list(commands)), send(commands, *more))[1]  # type: ignore[method-assign]
    exchange(scheduler, done("a", work))
    assert [len(each) for each in sent] == [2]


def test_as_many_hand_outs_as_reports_take_one_round_trip(scheduler: Scheduler) -> None:
    """Who has run three tasks will have three more. Each later question would be a round trip by itself."""
    add(scheduler, *"abcdefg")
    work = exchange(scheduler, wanted=3)["work"]
    sent = list[Any]()
    send = scheduler._connection.send
    scheduler._connection.send = lambda commands, *more: (sent.append(list(commands)), send(commands, *more))[1]  # type: ignore[method-assign]
    answer = exchange(scheduler, *(done(each["task_id"], work) for each in work), wanted=4)["work"]
    assert [len(each) for each in sent] == [6, 1]
    assert len({each["task_id"] for each in (*work, *answer)}) == 7


def test_what_was_lost_is_found_by_the_first_of_several_hand_outs_at_once(scheduler: Any) -> None:
    add(scheduler, *"abcdef")
    work = exchange(scheduler, wanted=3)["work"]
    lost, *known = (each["task_id"] for each in work)
    reports = [done(each, work) for each in known]
    first, second = (each["task_id"] for each in exchange(scheduler, *reports, wanted=2)["work"])
    assert first == lost and second not in (lost, *known)


def test_of_several_batches_at_once_each_is_another(scheduler: Any) -> None:
    add(scheduler, "a", "b", priority=2)
    work = exchange(scheduler, wanted=2)["work"]
    scheduler.add_task_batcher("w", "F", ["n"], 2)
    for n in range(4):
        add(scheduler, f"f{n}", family="F", params={"n": str(n)}, batchable=True)
    answer = exchange(scheduler, done("a", work), done("b", work), wanted=2)["work"]
    assert [each["task_id"] for each in answer] == [None, None]
    assert sorted(each for batch in answer for each in batch["batch_task_ids"]) == ["f0", "f1", "f2", "f3"]


def test_a_batch_comes_after_the_tasks_that_were_asked_for_with_it(scheduler: Any) -> None:
    add(scheduler, "a", "b", priority=2)
    work = exchange(scheduler, wanted=2)["work"]
    scheduler.add_task_batcher("w", "F", ["n"], 2)
    for n in range(2):
        add(scheduler, f"f{n}", family="F", params={"n": str(n)}, batchable=True, priority=1)
    add(scheduler, "c")
    answer = exchange(scheduler, done("a", work), done("b", work), wanted=2)["work"]
    assert [each["task_id"] for each in answer] == ["c", None] and "batch_id" in answer[1]


def test_of_questions_at_once_that_find_nothing_one_is_told(scheduler: Any) -> None:
    add(scheduler, "a", "b", "c")
    work = exchange(scheduler, wanted=2)["work"]
    reports = [done(each["task_id"], work) for each in work]
    answer = exchange(scheduler, *reports, wanted=2)["work"]
    assert [each["task_id"] for each in answer] == ["c", None] and answer[-1]["running_tasks"]


def test_what_runs_is_told_only_where_nothing_is_handed_out(scheduler: Any) -> None:
    """A worker wants to know it for its summary, when it has nothing to do. With a fleet it is most of an answer."""
    add(scheduler, "a")
    first = exchange(scheduler, wanted=2)["work"]
    assert [each["running_tasks"] for each in first if each["task_id"] == "a"] == [[]]
    assert [each["task_id"] for each in first[-1]["running_tasks"]] == ["a"]
    assert scheduler.get_work(worker="w", current_tasks=[])["running_tasks"][0]["task_id"] == "a"
