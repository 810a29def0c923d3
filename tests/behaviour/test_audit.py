"""Each change that a person asks for leaves one record of who, what, how much and how it ended. Nothing else does.

A team that shares a scheduler asks who has paused it, or forgotten a worker, and when; a record that
a crash could lose, or that a worker's reports could push out, would not tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from broker_sched import BrokerSchedError, Scheduler
from broker_sched.contract.request_ids import Request
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.redis_backend.commands import Call, Commands
from broker_sched.scheduler.auditing import AUDITED, HIDDEN, MAX_ARGUMENTS, Asker, audited, shown
from broker_sched.scheduler.operations import OPERATIONS
from broker_sched.scheduler.operations.audit import note_refusals
from broker_sched.this_user import user_at_host
from tests.conftest import FakeClock, SchedulerFactory
from tests.servers import until

ANN = Asker("ann", "user", "192.0.2.7")


def prepare(on: Any) -> None:
    """What the calls below change."""
    on.add_worker(worker="w", info={"workers": 9}, start_id="s")
    on.add_worker(worker="old", info={})
    for name in ("failed", "failed2"):
        on.add_task(worker="w", task_id=name, family="F", status="FAILED")
    on.update_options(options={"retry_count": 1})
    on.add_task(worker="w", task_id="disabled", family="D", status="FAILED")
    on.update_options(options={"retry_count": None})
    for name in ("run", "kept"):
        on.add_task(worker="w", task_id=name, family="R", priority=9)
    on.get_work(worker="w")
    on.add_worker(worker="s", info={})
    on.add_task(worker="s", task_id="submitted", family="S")
    on.update_resources(db=1)


# Method → arguments, and how many tasks the call changes; None where that is not told.
CALLS: dict[str, tuple[dict[str, Any], int | None]] = {
    "stop_task": ({"task_id": "run"}, 1),
    "forgive_failures": ({"task_id": "failed"}, 1),
    "mark_as_done": ({"task_id": "failed2"}, 1),
    "re_enable_task": ({"task_id": "disabled"}, 1),
    "change_tasks": ({"task_ids": ["failed", "disabled", "nobody's"], "action": "disable", "by": "ann@h"}, 2),
    "pause_family": ({"family": "R"}, 2),
    "unpause_family": ({"family": "R"}, 2),
    "add_submission": ({"submission": "s", "tasks": ["submitted"]}, None),
    "cancel_submission": ({"submission": "s"}, None),
    "set_worker_processes": ({"worker": "w", "n": 2}, 0),
    "send_scheduler_message": ({"worker": "w", "task": "run", "content": {"key": "private"}}, 0),
    "drain_worker": ({"worker": "w"}, 0),
    "disable_worker": ({"worker": "w"}, 0),
    "forget_worker": ({"worker": "w", "force": True}, 1),
    "update_resources": ({"db": 3}, 0),
    "update_resource": ({"resource": "db", "amount": 4}, 0),
    "remove_resource": ({"resource": "db"}, 0),
    "pause": ({}, 0),
    "unpause": ({}, 0),
    "update_options": ({"options": {"retry_delay": 7}}, 0),
    "prune": ({}, None),
}


def records(scheduler: Any, **filters: Any) -> list[dict[str, Any]]:
    found = scheduler.audit(limit=1000, **filters)
    assert found["unfinished"] == []
    return list(found["records"])


def test_every_audited_method_is_called_here() -> None:
    assert CALLS.keys() == AUDITED


def test_every_audited_call_leaves_just_one_record_with_the_right_count(scheduler: Scheduler) -> None:
    prepare(scheduler)
    for method, (arguments, tasks) in CALLS.items():
        before = len(records(scheduler))
        getattr(scheduler, method)(**arguments)
        *_, record = found = records(scheduler)
        assert len(found) == before + 1, method
        assert (record["method"], record["tasks"], record["result"]) == (method, tasks, "done")
        assert (record["who"], record["kind"], record["why"]) == (user_at_host(), "redis", None)
    assert scheduler.audit(method="pause", who=user_at_host())["records"][0]["method"] == "pause"
    assert "private" not in json.dumps(records(scheduler))


def test_what_is_not_audited_leaves_no_record(scheduler: Scheduler) -> None:
    prepare(scheduler)
    before = records(scheduler)
    known: dict[str, Any] = {"worker": "w", "submission": "s", "task_ids": ["run"], "tasks": [], "deps": []}
    known |= {"statistics": {}, "task": {}, "batched_args": [], "params": {}, "owners": [], "decrease_resources": {}}
    known |= {"info": {}, "size": 1, "reason": "no", "seconds": 0, "progress_percentage": 1, "traces": {}, "links": []}
    for method in METHODS.values():
        if method.name not in AUDITED:
            needed = {each.name for each in method.parameters if each.default is each.empty}
            try:
                getattr(scheduler, method.name)(**{each: known.get(each, "run") for each in needed})
            except BrokerSchedError:  # it is refused, and leaves none likewise
                continue
    assert records(scheduler) == before


def test_a_dry_run_is_no_change(scheduler: Scheduler) -> None:
    prepare(scheduler)
    before = records(scheduler)
    scheduler.change_tasks(task_ids=["failed"], action="remove", dry_run=True)
    assert records(scheduler) == before


def test_what_changes_nothing_counts_none(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler.forgive_failures("a")
    scheduler.mark_as_done("nobody's")
    assert [record["tasks"] for record in records(scheduler)] == [0, 0]


def test_a_refused_call_says_why(scheduler: Scheduler) -> None:
    prepare(scheduler)
    scheduler.add_submission("s", ["submitted"])
    with pytest.raises(BrokerSchedError):
        scheduler.disable_worker("s")
    record = records(scheduler)[-1]
    assert (record["method"], record["tasks"], record["result"]) == ("disable_worker", 0, "refused")
    assert "is a submission" in str(record["why"])


def test_a_call_that_is_made_again_under_its_name_leaves_one_record(scheduler: Scheduler) -> None:
    prepare(scheduler)

    def change(is_repetition: bool) -> Any:
        arguments: dict[str, Any] = {"task_ids": ["failed"], "action": "done", "dry_run": False, "by": None}
        commands = OPERATIONS["change_tasks"](scheduler.namespace, **arguments)
        request = Request("caller", "1", is_repetition)
        return scheduler.drive(audited(scheduler.namespace, ANN, "change_tasks", arguments, commands), request)

    before = len(records(scheduler))
    first = change(False)
    assert change(True) == first
    assert len(records(scheduler)) == before + 1
    assert records(scheduler)[-1]["tasks"] == 1


def stopped_after(commands: Commands[Any], scripts: int) -> Commands[None]:
    """Carry out the first scripts, and no more: as of a process that is killed."""
    reply: Any = None
    while True:
        try:
            command = commands.send(reply)
        except StopIteration:
            return
        if isinstance(command, Call):
            if not scripts:
                return
            scripts -= 1
        reply = yield command


@pytest.mark.parametrize("scripts", range(4))
def test_wherever_a_process_dies_no_change_is_without_a_record(
    scheduler: Scheduler, clock: FakeClock, scripts: int
) -> None:
    """A change needs the note before it; who reads the audit sees that, and after a while there is a record of it."""
    scheduler.add_task(worker="w", task_id="a", status="FAILED")
    arguments: dict[str, Any] = {"task_ids": ["a"], "action": "done", "dry_run": False, "by": None}
    commands = OPERATIONS["change_tasks"](scheduler.namespace, **arguments)
    whole = audited(scheduler.namespace, ANN, "change_tasks", arguments, commands)
    scheduler.drive(stopped_after(whole, scripts))
    is_changed = scheduler.task_statuses(["a"])["a"]["status"] == "DONE"
    found = scheduler.audit()
    assert is_changed is (scripts >= 2)
    assert len(found["records"]) + len(found["unfinished"]) == (scripts >= 1)
    clock.advance(901)
    scheduler.pause()  # any later call
    mine = records(scheduler, who="ann")
    assert [(each["method"], each["address"]) for each in mine] == [("change_tasks", "192.0.2.7")] * (scripts >= 1)
    if scripts in (1, 2):
        assert (mine[0]["result"], mine[0]["tasks"]) == ("unknown", None)


def test_as_many_records_are_kept_as_the_option_says(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(audit_max_records=5)
    for _ in range(9):
        scheduler.pause()
    assert len(records(scheduler)) == 5


def test_records_go_when_they_are_too_old(real_scheduler: Scheduler) -> None:
    for _ in range(3):
        real_scheduler.pause()
    assert len(records(real_scheduler)) == 3
    real_scheduler.update_options(options={"audit_max_age": 0})

    def left_after_another() -> set[str]:
        real_scheduler.unpause()
        return {each["method"] for each in records(real_scheduler)}

    until(lambda: left_after_another() <= {"update_options", "unpause"}, "no record of its own millisecond is older")


def test_refusals_drive_no_other_record_out(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(audit_max_records=40)
    for _ in range(20):
        scheduler.pause()
    refusal = {"who": "", "kind": "anonymous", "address": "192.0.2.9", "method": "login", "result": "refused"}
    scheduler.drive(note_refusals(scheduler.namespace, [refusal] * 300))
    found = records(scheduler)
    assert [each["method"] for each in found] == ["pause"] * 20 + ["login"] * 4


def test_pages_and_filters_lead_through_all_records(scheduler: Scheduler) -> None:
    for _ in range(120):
        scheduler.pause()
    scheduler.unpause()
    newest = scheduler.audit(limit=3)
    assert [each["method"] for each in newest["records"]] == ["pause", "pause", "unpause"]
    seen: list[dict[str, Any]] = []
    page = scheduler.audit(after="0-0", limit=50)
    while page["records"]:
        seen += page["records"]
        page = scheduler.audit(after=page["last"], limit=50)
    assert len({each["id"] for each in seen}) == len(seen) == 121
    assert [each["method"] for each in records(scheduler, method="unpause")] == ["unpause"]
    assert records(scheduler, who="nobody") == []
    for wrong in ({"after": "x"}, {"before": "x"}, {"before": "1-0", "after": "1-0"}):
        with pytest.raises(BrokerSchedError, match=next(iter(wrong))):
            scheduler.audit(**wrong)


def test_pages_lead_back_to_the_oldest_record_each_once(scheduler: Scheduler) -> None:
    for _ in range(120):
        scheduler.pause()
    seen: list[dict[str, Any]] = []
    page = scheduler.audit(limit=50)
    while True:
        seen = [*page["records"], *seen]
        if page["first"] is None:
            break
        page = scheduler.audit(before=page["first"], limit=50)
    assert [each["id"] for each in seen] == [each["id"] for each in records(scheduler)]
    assert len(seen) == 120


def test_what_was_refused_can_be_asked_for_alone(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.pause()
    with pytest.raises(BrokerSchedError):
        scheduler.update_options({"retry_delay": "soon"})
    assert [each["method"] for each in records(scheduler, result="refused")] == ["update_options"]
    assert [each["method"] for each in records(scheduler, result="done")] == ["pause"]
    clock.advance(100)
    scheduler.unpause()
    late = scheduler.audit(since=clock.now - 50, limit=1)
    assert [each["method"] for each in late["records"]] == ["unpause"]
    assert scheduler.audit(since=clock.now - 50)["first"] is None, "those before that are left out"


def test_since_leaves_out_what_was_before(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.pause()
    clock.advance(100)
    scheduler.unpause()
    assert [each["method"] for each in records(scheduler, since=clock.now - 50)] == ["unpause"]


SECRETS = ("geheim", "bst_AbC-123", "hunter2")


@pytest.mark.parametrize(
    "arguments",
    [
        {"options": {"smtp_password": "geheim"}},
        {"options": {"deep": [{"api_key": "geheim"}]}},
        {"by": "redis://me:geheim@host"},
        {"by": "Bearer hunter2"},
        {"task_ids": ["T_bst_AbC-123", "bst_AbC-123"]},
        {"by": "x?password=hunter2&y=1"},
    ],
)
def test_no_secret_is_in_a_record(arguments: dict[str, Any]) -> None:
    text = shown("change_tasks", arguments)
    assert HIDDEN in text
    assert not [secret for secret in SECRETS if secret in text.replace("T_bst_AbC-123", "")]


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"task_ids": [f"task-{number}" * 40 for number in range(1000)]},
        lambda: {"by": "x" * 10**6},
        lambda: {"options": {f"name{number}": ["y" * 300] * 300 for number in range(300)}},
        lambda: {"options": {"deep": json.loads("[" * 90 + "]" * 90)}},
    ],
)
def test_arguments_are_cut(make: Callable[[], dict[str, Any]]) -> None:
    text = shown("change_tasks", make())
    assert len(text) <= MAX_ARGUMENTS and json.loads(text)
