"""`bsched submission` and `bsched wait`: what becomes of what was submitted."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from typing import Any

import click

from broker_sched.worker.summary import ReturnCodes
from bsched.checked_scheduler import missing
from bsched.options.place import Place, place_options
from bsched.outages import ask_patiently
from bsched.output import Column, Output, column, json_option, when
from bsched.progress import progress
from bsched.signals import Interruption
from bsched.terminal import echo

UNKNOWN = 1  # exit code
CODES = ReturnCodes()
EXIT_CODES = {"DONE": 0, "FAILED": CODES.task_failed, "INCOMPLETE": CODES.missing_data, "CANCELLED": CODES.not_run}
FIRST_PAUSE_SECONDS = 0.5  # between two looks
SHARE = 5  # a look at many tasks takes long: so many times as long is the pause after it
FAILED = ("FAILED", "DISABLED")


@click.group()
def submission() -> None:
    """Show and end submissions. They are kept for a week after their end."""


@submission.command("list")
@place_options
@json_option
def list_(place: Place, output: Output) -> None:
    """List all submissions, newest first."""
    found = place.scheduler().submission_list()
    output.rows(found, COLUMNS, "No submissions; bsched submit MODULE TASK makes one.")


@submission.command()
@click.argument("submission_id", metavar="ID")
@place_options
@json_option
def show(submission_id: str, place: Place, output: Output) -> None:
    """Show a submission, with its tasks by status. Exits with 1 when there is none such."""
    scheduler = place.scheduler()
    found = scheduler.submission(submission=submission_id)
    _known(found, scheduler)
    details = scheduler.submission_details(submission=submission_id) if found["state"] == "ACTIVE" else None
    told = {**found, "estimated_end": details["estimated_end"] if details else None}
    output.thing(told, lambda: described(told, place))


@submission.command()
@click.argument("submission_id", metavar="ID")
@place_options
@json_option
def cancel(submission_id: str, place: Place, output: Output) -> None:
    """End a submission: its tasks that nobody else wants are not run any more.

    What runs goes on; bsched task stop ends it.
    """
    scheduler = place.scheduler()
    reply = scheduler.cancel_submission(submission=submission_id)
    _known(reply, scheduler)
    output.thing(reply, lambda: f"{submission_id} is {reply['state']}.")


@click.command()
@click.argument("submission_id", metavar="ID")
@place_options
@click.option(
    "--until-stuck",
    is_flag=True,
    help="Leave, too, when only failed tasks and what waits for them or for data are left.",
)
@json_option
@click.option("--no-progress", is_flag=True, help="No live line on a terminal.")
def wait(submission_id: str, place: Place, until_stuck: bool, output: Output, no_progress: bool) -> None:
    """Follow a submission until it has ended. Ctrl-C, SIGTERM and SIGHUP end only the waiting.

    \b
    Exit codes: 0 all is done, 20 something is missing that no worker can make, 25 cancelled,
    30 a task failed; 1 there is no such submission; 130, 143, 129 ended by a signal.
    """
    followed = Followed(place.scheduler(), submission_id)
    interruption = Interruption()
    interruption.take()
    try:
        with progress(followed, not no_progress):
            followed.wait(until_stuck)
    except KeyboardInterrupt:
        interruption.leave(f"{submission_id} goes on; bsched wait {submission_id} follows it again.")
    output.thing(followed.found, lambda: described(followed.found, place))
    click.get_current_context().exit(followed.exit_code)


class Followed:
    """A submission that is looked at again and again until it has ended. found: how it stood when it was seen last."""

    def __init__(self, scheduler: Any, submission_id: str) -> None:
        self._scheduler = scheduler
        self._id = submission_id
        self.found: dict[str, Any] = {}
        self._has_told_refusal = False
        self._look()
        _known(self.found, scheduler)

    def _look(self) -> float:
        """Ask how the submission stands. Returns how many seconds to leave until the next time."""
        started = time.monotonic()
        self.found = self._scheduler.submission(submission=self._id)
        return max(FIRST_PAUSE_SECONDS, SHARE * (time.monotonic() - started))

    def wait(self, until_stuck: bool) -> None:
        """Wait until the submission has ended; with until_stuck also until nothing of it runs or could run.

        That must be seen twice: what was done may still be told to those that wait for it.
        """
        pause, times_stuck = FIRST_PAUSE_SECONDS, int(self._is_stuck())
        while self.found["state"] == "ACTIVE" and not (until_stuck and times_stuck > 1):
            self._tell_refusal()
            time.sleep(pause)
            pause = ask_patiently(self._look, f"{self._id} goes on; it is asked about again")
            times_stuck = times_stuck + 1 if self._is_stuck() else 0

    def _tell_refusal(self) -> None:
        """Say, once, that the submission waits for a worker that can load its tasks."""
        refused = self.found.get("refused")  # a server of an older version does not tell
        if refused and not self._has_told_refusal:
            self._has_told_refusal = True
            echo(f"{self._id} goes on, but waits for a worker that can load {_refused(refused)}", err=True)

    def _is_stuck(self) -> bool:
        found = self.found
        is_running = any(found["counts"].get(status) for status in ("RUNNING", "BATCH_RUNNING"))
        return not is_running and not found["n_ready"]

    def counts(self) -> dict[str, int]:
        """Return how many tasks are scheduled, done, running and failed."""
        counts = self.found["counts"]
        return {
            "scheduled": sum(counts.values()),
            "done": counts.get("DONE", 0),
            "running": counts.get("RUNNING", 0) + counts.get("BATCH_RUNNING", 0),
            "failed": sum(counts.get(status, 0) for status in FAILED),
        }

    @property
    def exit_code(self) -> int:
        """Return 0 when all is done, else the code that says what is not."""
        state = self.found["state"]
        if state != "ACTIVE":
            return EXIT_CODES.get(state, UNKNOWN)
        return CODES.task_failed if self.counts()["failed"] else CODES.missing_data


def described(found: dict[str, Any], place: Place) -> str:
    """Return how a submission stands, in some lines for people."""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(found["counts"].items())) or "none"
    ended = f", ended {when(found['ended'])}" if found["ended"] else ""
    lines = [
        f"{found['submission']}: {found['state']}, submitted {when(found['submitted'])}{ended}",
        f"asked for: {' '.join(found['tasks'])}",
        f"tasks: {counts}",
    ]
    if end := found.get("estimated_end"):
        lines.append(f"ends about {when(end['at'])}" if end["at"] else f"no estimate of its end: {end['reason']}")
    lines += [f"failed: {task_id}" for task_id in found["failed"]]
    if refused := found.get("refused"):
        lines.append(f"waiting for a worker that can load {_refused(refused)}")
    if found["failed"]:
        lines.append(f"why: {place.command('task', 'show', found['failed'][0])}")
    return "\n".join(lines)


def _refused(task_ids: list[str]) -> str:
    more = f" and {len(task_ids) - 1} more" if len(task_ids) > 1 else ""
    return f"{task_ids[0]}{more}; why: bsched task why {shlex.quote(task_ids[0])}"


def _known(found: Mapping[str, Any], scheduler: Any) -> None:
    if found["state"] is None:
        names = [each["submission"] for each in scheduler.submission_list()]
        raise missing("submission", found["submission"], names, "bsched submission list shows those of the last week")


def _standing(found: Mapping[str, Any]) -> str:
    is_active = found["state"] == "ACTIVE"
    left = f", {found['n_running']} running, {found['n_pending']} pending" if is_active else ""
    return f"{found['state']}{left}"


COLUMNS = (
    column("Submission"),
    column("Submitted", form=when),
    Column("State", _standing),
    column("Tasks"),
)
