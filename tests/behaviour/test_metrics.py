"""What is counted for /metrics: each run once, whoever adds it up and when; waits from ready to the hand-out.

Prometheus takes a counter that goes back for one that began anew, and counts all of it once more. So scripts note what
happens as they do it, and notes are added up where they are removed. How many slots are wanted is read, not counted.
"""

import pytest

from broker_sched.redis_backend.commands import Call
from broker_sched.scheduler.execution import one
from broker_sched.scheduler.metric_counts import TASK_ENDS, histogram
from broker_sched.scheduler.metrics_reading import read_metrics, read_scale
from broker_sched.server.metrics.exposition import exposition
from tests.behaviour.test_flat_cost import SLACK, commands_of


def read(scheduler):
    return scheduler.drive(read_metrics(scheduler.namespace))


def counts(scheduler, family="F"):
    return read(scheduler).counts.families.get(family, {})


def run(scheduler, task_id, clock=None, seconds=0.0, status="DONE", **more):
    """Schedule a task, hand it out, and report what became of it after some seconds."""
    scheduler.add_task(worker="w", task_id=task_id, family="F", **more)
    assert scheduler.get_work(worker="w")["task_id"] == task_id
    if clock:
        clock.advance(seconds)
    scheduler.add_task(worker="w", task_id=task_id, status=status, family="F")


def test_a_run_is_counted_with_its_wait_and_its_time(scheduler, clock):
    scheduler.add_task(worker="w", task_id="t", family="F")
    clock.advance(30)
    scheduler.get_work(worker="w")
    clock.advance(400)
    scheduler.add_task(worker="w", task_id="t", status="DONE", family="F")
    found = counts(scheduler)
    assert (found["started"], found["done"], found["last"]) == (1, 1, 400)
    wait, runs = (histogram(found, kind, TASK_ENDS, f"{kind}_sum") for kind in ("wait", "run"))
    assert (wait.total, runs.total) == (30, 400)
    assert dict(zip(TASK_ENDS, wait.counts))[15.0] == 0 and dict(zip(TASK_ENDS, wait.counts))[60.0] == 1
    assert dict(zip(TASK_ENDS, runs.counts))[300.0] == 0 and dict(zip(TASK_ENDS, runs.counts))[900.0] == 1


def test_a_task_waits_from_when_its_last_dep_was_done(scheduler, clock):
    scheduler.add_task(worker="w", task_id="dep", family="Dep")
    scheduler.add_task(worker="w", task_id="t", family="F", deps=["dep"])
    clock.advance(1000)
    scheduler.get_work(worker="w")
    clock.advance(1000)
    scheduler.add_task(worker="w", task_id="dep", status="DONE", family="Dep")
    clock.advance(7)
    assert scheduler.get_work(worker="w")["task_id"] == "t"
    assert counts(scheduler)["wait_sum"] == 7
    assert counts(scheduler, "Dep")["wait_sum"] == 1000


def test_the_delay_before_a_retry_is_no_wait(scheduler_factory, clock):
    scheduler = scheduler_factory(retry_delay=600, worker_disconnect_delay=9999)
    run(scheduler, "t", status="FAILED")
    clock.advance(601)
    scheduler.prune()
    clock.advance(4)
    scheduler.get_work(worker="w")
    assert counts(scheduler)["wait_sum"] == 4


def test_a_hand_out_that_was_lost_starts_again_and_does_not_wait_again(scheduler, clock):
    scheduler.add_task(worker="w", task_id="t", family="F")
    scheduler.get_work(worker="w")
    clock.advance(50)
    assert scheduler.get_work(worker="w", current_tasks=[])["task_id"] == "t"
    found = counts(scheduler)
    assert (found["started"], found["wait_sum"]) == (2, 0)


def test_members_of_a_batch_wait_each_and_the_batch_runs_once(scheduler, clock):
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for day in "123":
        scheduler.add_task(worker="w", task_id=f"t{day}", family="F", params={"day": day}, batchable=True)
    clock.advance(2)
    work = scheduler.get_work(worker="w")
    assert len(work["batch_task_ids"]) == 3
    scheduler.add_task(worker="w", task_id="all", family="F", status="RUNNING", batch_id=work["batch_id"])
    clock.advance(9)
    scheduler.add_task(worker="w", task_id="all", family="F", status="DONE")
    found = counts(scheduler)
    assert "started" not in found  # Luigi: no batch is told of
    assert (found["wait_sum"], found["done"]) == (6, 4)


def test_notes_are_added_up_though_nobody_asks(scheduler):
    for number in range(300):
        run(scheduler, f"t{number}")
    left = scheduler._client.llen(scheduler.namespace.key("metric_notes"))
    assert left < 500
    assert float(scheduler._client.hget(scheduler.namespace.key("metrics", "F"), "done")) >= 200
    assert (counts(scheduler)["started"], counts(scheduler)["done"]) == (300, 300)


def test_what_is_counted_costs_a_hand_out_and_a_report_one_command_each(real_scheduler):
    scheduler = real_scheduler
    for task_id in ("first", "second"):
        scheduler.add_task(worker="w", task_id=task_id, family="F")
    client, notes = scheduler._client, scheduler.namespace.key("metric_notes")

    def commands(call):
        found = []
        with client.monitor() as monitor:
            call()
            client.echo("over")
            while not (command := monitor.next_command()["command"]).startswith("ECHO"):
                if "metric" in command.partition(" ")[2].partition(" ")[0]:
                    found.append(command.split(" ")[:2])
        return found

    assert commands(lambda: scheduler.get_work(worker="w")) == [["RPUSH", notes]]
    assert commands(lambda: scheduler.add_task(worker="w", task_id="first", status="DONE")) == [["RPUSH", notes]]
    assert commands(lambda: scheduler.add_task(worker="w", task_id="third", family="F")) == []


def test_a_wakeup_is_timed_until_the_worker_asks_and_forgotten_when_it_does_not(scheduler, clock):
    def wake(task_id):
        scheduler.drive(waiting(scheduler))
        clock.advance(1)
        scheduler.add_task(worker="w", task_id=task_id, family="F")
        clock.advance(0.2)

    def woken():
        found = read(scheduler).counts.wakeups
        return found.counts[-1], found.total

    wake("first")
    assert scheduler.get_work(worker="w")["task_id"] == "first"
    assert woken() == (1, pytest.approx(0.2))
    scheduler.add_task(worker="w", task_id="first", status="DONE")
    wake("second")
    scheduler.await_work(worker="w", seconds=0)  # it left, and asks for something much later
    clock.advance(50)
    scheduler.get_work(worker="w")
    assert woken() == (1, pytest.approx(0.2))


def waiting(scheduler):
    """The script of a worker that begins to wait, without the wait."""
    return one(Call("await_work", worker="w", assistant="0", mailbox="m", seconds="30"))


def test_reading_costs_the_same_at_100_and_at_1000_tasks(real_scheduler):
    scheduler, size, found = real_scheduler, 0, []
    scheduler.update_resources(db=2)
    for target in (100, 1000):
        tasks = [
            {"task_id": f"t{number}", "family": f"F{number % 7}", "deps": [f"t{number - 1}"] if number % 3 else []}
            for number in range(size, target)
        ]
        scheduler.add_tasks(worker="w", tasks=tasks)
        size = target
        found.append([commands_of(scheduler, call) for call in (lambda: read(scheduler), lambda: scale(scheduler))])
    assert all(large <= small + SLACK for small, large in zip(*found)), found


def scale(scheduler, *families):
    return scheduler.drive(read_scale(scheduler.namespace, list(families) or None))


def test_without_tasks_nothing_is_wanted(scheduler):
    assert (scale(scheduler).wanted, scale(scheduler, "Nobody's").wanted) == (0, 0)


def test_a_limit_keeps_tasks_from_wanting_a_slot(scheduler):
    scheduler.update_resources(db=3)
    for number in range(10):
        scheduler.add_task(worker="w", task_id=f"t{number}", family="F", resources={"db": 1})
    scheduler.get_work(worker="w")
    found = scale(scheduler)
    assert (found.running, found.runnable, found.wanted) == (1, 2, 3)


def test_ready_tasks_that_go_in_batches_want_a_slot_for_each_batch(scheduler):
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"], max_batch_size=4)
    for day in range(10):
        params = {"day": str(day), "kind": "even" if day % 2 == 0 else "odd"}
        scheduler.add_task(worker="w", task_id=f"t{day}", family="F", params=params, batchable=True)
    assert scale(scheduler).wanted == 4  # 5 even ones and 5 odd ones, four in a batch


def test_of_a_large_backlog_is_looked_at_what_could_run_and_the_rest_is_worked_out(scheduler):
    scheduler.update_resources(db=2)
    for start in range(0, 1500, 500):
        tasks = [{"task_id": f"t{start + n}", "family": "F", "resources": {"db": 1}} for n in range(500)]
        scheduler.add_tasks(worker="w", tasks=tasks)
    found = scale(scheduler)
    assert (found.wanted, found.is_exact) == (2, True)
    scheduler.update_resources(db=1200)
    found = scale(scheduler)
    assert (found.wanted, found.is_exact) == (1200, False)
    assert scale(scheduler, "F").wanted == 1200


@pytest.mark.parametrize("with_names", [True, False])
def test_names_that_users_gave_are_left_out_for_who_may_see_counts_only(scheduler, with_names):
    scheduler.update_resources(secret_resource=1)
    run(scheduler, "t", resources={"secret_resource": 1})
    scheduler.add_task(worker="w", task_id="more", family="Secret")
    run(scheduler, "again", priority=1)
    text = exposition(read(scheduler), "", with_names=with_names)[0].decode()
    assert ('family="F"' in text) is with_names and ("secret_resource" in text) is with_names
    assert ('luigi_task_done_total{family=""} 2.0' in text) is not with_names


def test_a_family_of_any_text_is_counted(scheduler):
    for number, family in enumerate(["", " ", "a b\nc", "k", "other"]):
        scheduler.add_task(worker="w", task_id=f"t{number}", family=family, status="DONE")
    families = read(scheduler).counts.families
    assert {family: fields["done"] for family, fields in families.items()} == dict.fromkeys(
        ["", " ", "a b\nc", "k", "other"], 1
    )
