"""What wakes a worker that waits for work, and whom it wakes.

A worker that was given nothing waits with await_work, and is called when there may be something for it: a dep is
done, a resource is free, a retry is due, a limit changes, a message has come. For each task that becomes ready one
worker is woken, one that has a stake in it rather than an assistant.
"""

import threading
import time

import pytest

from broker_sched import Scheduler
from broker_sched.redis_backend.commands import Await
from broker_sched.scheduler.operations.work import awaiting


def wait(scheduler, worker, assistant=False, seconds=1000):
    """Note that a worker waits; its mailbox has its own name. Returns whether it should ask at once instead."""
    is_ready, _ = scheduler._run(awaiting(Await(worker, assistant, seconds), worker))
    return bool(is_ready)


def woken(scheduler, *workers):
    """Those of the workers that have been woken, from their mailboxes."""
    pop = scheduler._client.lpop
    return [worker for worker in workers if pop(scheduler.namespace.key("wake", worker))]


@pytest.fixture
def waiting(scheduler):
    """A scheduler for which `own` waits, whose task depends on another's and needs a resource."""
    scheduler.update_resources(db=1)
    scheduler.add_task(worker="other", task_id="dep", resources={"db": 1})
    scheduler.add_task(worker="own", task_id="task", deps=["dep"], resources={"db": 1})
    assert scheduler.get_work(worker="other")["task_id"] == "dep"
    assert scheduler.get_work(worker="own")["task_id"] is None
    assert not wait(scheduler, "own")
    assert woken(scheduler, "own") == []
    return scheduler


def test_a_dep_that_is_done_elsewhere(waiting):
    waiting.add_task(worker="other", task_id="dep", status="DONE")
    assert woken(waiting, "own") == ["own"]
    assert waiting.get_work(worker="own")["task_id"] == "task"


def test_a_resource_that_is_freed(waiting):
    waiting.add_task(worker="own", task_id="ready", resources={"db": 1}, priority=9)
    assert woken(waiting, "own") == [], "the resource is in use"
    waiting.decrease_running_task_resources("dep", {"db": 1})
    assert woken(waiting, "own") == ["own"]


def test_a_running_task_that_becomes_more_urgent_than_who_keeps_its_resources_for_themselves(scheduler):
    scheduler.update_resources(x=2)
    scheduler.add_task(worker="other", task_id="running", resources={"x": 1, "y": 1})
    assert scheduler.get_work(worker="other")["task_id"] == "running"
    scheduler.add_task(worker="idle", task_id="better", resources={"x": 1, "y": 1}, priority=1)
    assert scheduler.get_work(worker="idle")["task_id"] is None, "y is in use"
    scheduler.add_task(worker="own", task_id="task", resources={"x": 1})
    assert scheduler.get_work(worker="own")["task_id"] is None, "x is kept for the better one, which waits for y"
    assert not wait(scheduler, "own")
    scheduler.add_task(worker="own", task_id="running", priority=5, runnable=False)
    assert woken(scheduler, "own") == ["own"]
    assert scheduler.get_work(worker="own")["task_id"] == "task"


def test_a_retry_that_is_due(scheduler_factory, clock):
    scheduler = scheduler_factory(retry_delay=10)
    scheduler.add_task(worker="own", task_id="task")
    scheduler.get_work(worker="own")
    scheduler.add_task(worker="own", task_id="task", status="FAILED")
    wait(scheduler, "own")
    clock.advance(11)
    scheduler.prune()
    assert woken(scheduler, "own") == ["own"]


def test_a_limit_that_changes_and_the_end_of_a_pause_wake_everybody(waiting):
    wait(waiting, "assistant", assistant=True)
    waiting.update_resource("db", 2)
    assert woken(waiting, "own", "assistant") == ["own", "assistant"]
    waiting.pause()
    wait(waiting, "own")
    wait(waiting, "assistant", assistant=True)
    waiting.add_task(worker="own", task_id="meanwhile")
    assert woken(waiting, "own", "assistant") == []
    waiting.unpause()
    assert woken(waiting, "own", "assistant") == ["own", "assistant"]


def test_a_message(waiting):
    waiting.set_worker_processes("own", 2)
    assert woken(waiting, "own") == ["own"]
    assert wait(waiting, "own"), "the message is still there"
    waiting.ping(worker="own")
    assert not wait(waiting, "own")


def test_one_is_woken_for_each_task_its_own_workers_before_assistants(scheduler):
    everybody = ["own_a", "own_b", "assistant_a", "assistant_b", "stranger"]
    for worker in everybody:
        wait(scheduler, worker, assistant=worker.startswith("assistant"))
    for owner in ("own_a", "own_b"):
        scheduler.add_task(worker=owner, task_id="first", deps=["dep"])
    scheduler.add_task(worker="other", task_id="dep", status="DONE")
    first = woken(scheduler, *everybody)
    assert first in (["own_a"], ["own_b"])
    for number in range(2):
        scheduler.add_task(worker="own_a", task_id=f"more_{number}", deps=["second"])
    scheduler.add_task(worker="other", task_id="second", status="DONE")
    assert len(woken(scheduler, *everybody)) == 2
    assert "stranger" not in woken(scheduler, *everybody)


def test_what_is_there_already_is_not_waited_for(scheduler):
    scheduler.add_task(worker="own", task_id="task")
    assert wait(scheduler, "own")
    assert wait(scheduler, "assistant", assistant=True)
    assert not wait(scheduler, "stranger")


def test_a_wait_that_is_over_is_forgotten(waiting, clock):
    clock.advance(1001)
    waiting.add_task(worker="other", task_id="dep", status="DONE")
    assert woken(waiting, "own") == []
    wait(waiting, "stranger")
    assert waiting._client.zcard(waiting.namespace.key("idle")) == 1


def test_a_worker_that_was_woken_and_leaves_passes_the_call_on(scheduler):
    for worker in ("assistant_a", "assistant_b"):
        wait(scheduler, worker, assistant=True)
    scheduler.add_task(worker="own", task_id="task")
    (first,) = woken(scheduler, "assistant_a", "assistant_b")
    (second,) = {"assistant_a", "assistant_b"} - {first}
    wait(scheduler, first, assistant=True, seconds=0)
    assert woken(scheduler, first, second) == [second]


def test_a_worker_that_leaves_while_it_waits_is_told_so_itself(waiting):
    wait(waiting, "own", seconds=0)
    assert woken(waiting, "own") == ["own"]
    assert waiting._client.exists(waiting.namespace.key("idle")) == 0


def test_waiting_blocks_until_somebody_wakes(real_scheduler):
    real_scheduler.add_task(worker="own", task_id="task", deps=["dep"])
    answers = []
    thread = threading.Thread(target=lambda: answers.append(real_scheduler.await_work(worker="own", seconds=20)))
    started = time.monotonic()
    thread.start()
    while not real_scheduler._client.exists(real_scheduler.namespace.key("idle")):
        time.sleep(0.01)
    real_scheduler.add_task(worker="other", task_id="dep", status="DONE")
    thread.join()
    assert answers == [{"ready": True}]
    assert time.monotonic() - started < 15


def test_waiting_ends_when_the_time_is_over(real_scheduler):
    assert real_scheduler.await_work(worker="own", seconds=0.2) == {"ready": False}


def test_a_direct_user_who_waits_prunes_when_a_retry_is_due(scheduler_factory, redis_url):
    namespace = scheduler_factory().namespace.name
    scheduler = Scheduler(redis_url, namespace, retry_delay=0.5)
    scheduler.add_task(worker="own", task_id="task")
    scheduler.get_work(worker="own")
    scheduler.add_task(worker="own", task_id="task", status="FAILED")
    assert scheduler.await_work(worker="own", seconds=20) == {"ready": True}
    assert scheduler.get_work(worker="own")["task_id"] == "task"
    scheduler.close()
