"""People can pause the scheduler, and send a message to a running task.

While it is paused nobody is given work; what runs goes on. A message reaches the worker with its next ping, in the
order in which they were sent, each once; the task may answer, and whoever sent the message can ask for the answer.
"""

from __future__ import annotations

from broker_sched import Scheduler
from tests.conftest import SchedulerFactory


def test_while_it_is_paused_nobody_is_given_work(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler.pause()
    assert scheduler.is_paused() == {"paused": True}
    assert scheduler.get_work(worker="w")["task_id"] is None
    scheduler.unpause()
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_a_message_reaches_the_worker_with_its_next_ping_and_once(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(send_messages=True)
    scheduler.add_task(worker="w", task_id="a", accepts_messages=True)
    scheduler.get_work(worker="w")
    for content in ("one", "two"):
        scheduler.send_scheduler_message(worker="w", task="a", content=content)
    messages = scheduler.ping(worker="w")["rpc_messages"]
    assert [each["kwargs"]["content"] for each in messages] == ["one", "two"]
    assert scheduler.ping(worker="w")["rpc_messages"] == []


def test_the_answer_to_a_message_can_be_asked_for(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(send_messages=True)
    scheduler.add_task(worker="w", task_id="a", accepts_messages=True)
    scheduler.get_work(worker="w")
    sent = scheduler.send_scheduler_message(worker="w", task="a", content="how far?")["message_id"]
    assert scheduler.get_scheduler_message_response("a", sent) == {"response": None}
    scheduler.add_scheduler_message_response("a", sent, "half")
    assert scheduler.get_scheduler_message_response("a", sent) == {"response": "half"}
