"""`task_details` tells all that is known of one task: where it stands, who may run it, how its runs ended.

Its last 20 runs are kept for its life: on which worker and host, when, how they ended, and with which error.
"""

import json

from tests.behaviour.runs import add, run


def test_an_unknown_task_has_none(scheduler):
    assert scheduler.task_details("nobody's") is None


def test_a_task_tells_where_it_stands_and_what_it_is_about(scheduler, clock):
    add(scheduler, "dep", "done", family="D")
    scheduler.add_task(worker="w", task_id="done", status="DONE")
    scheduler.add_task(worker="v", task_id="t", module="pipe", family="F", deps=["dep", "done"], resources={"db": 1})
    scheduler.add_task(worker="w", task_id="t", resources={"db": 1}, tracking_url="http://x", owners=["a@x.test"])
    add(scheduler, "above", deps=["t"])
    details = scheduler.task_details("t")
    expected = {
        "task_id": "t",
        "family": "F",
        "status": "PENDING",
        "state": "WAITING",
        "module": "pipe",
        "resources": {"db": 1},
        "resources_held": None,
        "workers": ["v", "w"],
        "n_workers": 2,
        "n_deps": 2,
        "n_unmet": 1,
        "n_dependents": 1,
        "created": clock.now,
        "attempts": [],
        "tracking_url": "http://x",
        "log_size": None,
        "retry_at": None,
        "disabled_until": None,
    }
    assert {name: details[name] for name in expected} == expected


def test_its_state_is_the_one_under_which_it_is_listed(scheduler):
    add(scheduler, "ready", "bad", "dep")
    add(scheduler, "waiting", deps=["dep"])
    add(scheduler, "blocked", deps=["bad"])
    scheduler.add_task(worker="w", task_id="bad", status="DISABLED")
    for task in scheduler.tasks()["tasks"]:
        details = scheduler.task_details(task["task_id"])
        assert {name: details[name] for name in task if name != "error"} == {
            n: v for n, v in task.items() if n != "error"
        }


def test_a_failed_task_tells_its_whole_error_and_when_it_is_tried_again(scheduler_factory, clock):
    scheduler = scheduler_factory(retry_delay=50, retry_count=2, disable_persist=1000)
    error = "Traceback:\n  line\nOSError: disk full"
    add(scheduler, "t")
    run(scheduler, clock, "w", 3, status="FAILED", expl=json.dumps(error))
    details = scheduler.task_details("t")
    assert (details["error"], details["retry_at"]) == (error, clock.now + 50)
    scheduler.forgive_failures("t")
    run(scheduler, clock, "w", 3, status="FAILED", expl=json.dumps(error))
    details = scheduler.task_details("t")
    assert (details["status"], details["retry_at"], details["disabled_until"]) == ("DISABLED", None, clock.now + 1000)


def test_it_keeps_how_its_last_twenty_runs_ended(scheduler, clock):
    add(scheduler, "t")
    for number in range(22):
        run(scheduler, clock, "w", 2, status="FAILED", expl=json.dumps(f"error {number}"))
        scheduler.forgive_failures("t")
    run(scheduler, clock, "w", 5)
    attempts = scheduler.task_details("t")["attempts"]
    assert len(attempts) == 20
    assert attempts[-1] == {
        "attempt": scheduler.task_details("t")["attempt"],
        "started": clock.now - 5,
        "ended": clock.now,
        "outcome": "DONE",
        "worker": "w",
        "host": None,
        "error": None,
    }
    assert [attempt["error"] for attempt in attempts[:-1]] == [f"error {number}" for number in range(3, 22)]
    assert sorted(attempts, key=lambda attempt: attempt["attempt"]) == attempts


def test_its_log_is_told_by_its_size(scheduler):
    add(scheduler, "t")
    scheduler.get_work(worker="w")
    scheduler.set_task_log(task_id="t", log="so far", size=12_345)
    assert scheduler.task_details("t")["log_size"] == 12_345


def test_it_takes_messages_while_it_runs_and_they_are_on(scheduler):
    add(scheduler, "t", accepts_messages=True)
    assert not scheduler.task_details("t")["accepts_messages"]
    scheduler.get_work(worker="w")
    assert scheduler.task_details("t")["accepts_messages"]
    scheduler.update_options({"send_messages": False})
    assert not scheduler.task_details("t")["accepts_messages"]


def test_it_tells_in_which_batch_it_runs(scheduler):
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["n"])
    for number in range(2):
        add(scheduler, f"t{number}", params={"n": str(number)}, batchable=True)
    batch = scheduler.get_work(worker="w")["batch_id"]
    assert scheduler.task_details("t0")["batch_id"] == batch
    add(scheduler, "t0", status="DONE")
    assert scheduler.task_details("t0")["batch_id"] is None
