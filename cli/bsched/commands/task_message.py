"""`bsched task message`: a message to a running task, and its answer."""

from __future__ import annotations

import time
from typing import Any

import click

from bsched.exit_codes import REFUSED
from bsched.options.numbers import FiniteNumber
from bsched.options.place import Place, place_options
from bsched.output import Output, json_option, text

LOOK_SECONDS = 0.2  # between two looks for the answer


@click.command()
@click.argument("task_id")
@click.argument("content", metavar="TEXT")
@click.option(
    "--wait",
    type=FiniteNumber(0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for an answer; 0: don't.",
)
@click.option("--force", is_flag=True, help="Send it though the task has not said that it takes messages.")
@place_options
@json_option
def message(task_id: str, content: str, wait: float, force: bool, place: Place, output: Output) -> None:
    """Send TEXT to a running task that takes messages, and show its answer.

    Its worker takes the message with its next heartbeat. A task need not answer. Exits with 1 when the task does not
    run, or has not said that it takes messages: stock Luigi forgets that when a task sets its tracking URL.
    """
    scheduler = place.scheduler()
    task = scheduler.task_details(task_id=task_id)
    is_running = task["status"] == "RUNNING"
    if not (task["accepts_messages"] or (force and is_running)):
        why = "has not said that it takes messages; --force" if is_running else f"does not run: it is {task['status']}"
        output.thing({"message_id": None, "response": None}, lambda: ())
        output.note(f"Nothing was sent: {task_id} {why}.")
        click.get_current_context().exit(REFUSED)
    sent = scheduler.send_scheduler_message(worker=task["worker"], task=task_id, content=content)["message_id"]
    response = _answer(scheduler, task_id, sent, wait) if sent else None
    output.thing({"message_id": sent, "response": response}, lambda: () if response is None else text(response))
    if response is None:
        output.note(f"Sent to {task_id} on {task['worker']}; no answer so far." if sent else "Messages are off.")


def _answer(scheduler: Any, task_id: str, message_id: str, wait: float) -> Any:
    """The task's answer, which is taken, or None when there is none by then."""
    deadline = time.monotonic() + wait
    while True:
        response = scheduler.get_scheduler_message_response(task_id=task_id, message_id=message_id)["response"]
        left = deadline - time.monotonic()
        if response is not None or left <= 0:
            return response
        time.sleep(min(LOOK_SECONDS, left))
