"""What became of a run, for people, for exit codes, and for programs.

Source of the rules: luigi.execution_summary and luigi.retcodes, 3.8.1.
"""

from __future__ import annotations

import enum
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker_sched.worker.shown_tasks import TASKS_SHOWN, Summarized, by_family, one_line, one_value

log = logging.getLogger("bsched.worker")

SUPERSEDED = "SUPERSEDED"  # in place of a status: the run did not count any more, and was not reported
REASON_SHOWN = 400  # characters of why nobody could load a task


@dataclass(frozen=True)
class Report:
    """A status that the worker reported to the scheduler. A PENDING task that is not runnable is external."""

    task: Summarized
    status: str
    runnable: bool


@dataclass(frozen=True)
class Response:
    """A reply of get_work, of which is kept what it handed out and what ran elsewhere: [{"task_id", "worker", …}]."""

    task_id: str | None
    running_tasks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Standing:
    """How a task stands that did not end here, as the scheduler said at the end of the run."""

    status: str
    worker: str | None  # who ran it last
    refusal: str | None  # why the last who was to load it gave it back


@dataclass(frozen=True)
class RunHistory:
    """All that a worker did in one run, from which the summary is made."""

    worker_id: str
    scheduled: Mapping[str, Summarized]  # task_id → task: only these can be said to run elsewhere
    reports: Sequence[Report]  # one for each add_task, in order
    responses: Sequence[Response]  # one for each get_work, in order
    root_ids: Sequence[str]  # what was asked for
    run_succeeded: bool
    standings: Mapping[str, Standing] = field(default_factory=dict)  # of tasks that have not ended here
    forgotten: int = 0  # tasks of others whose runs here ended, and which are not among these any more


class RunStatus(enum.Enum):
    """How a run went as a whole; the names are those of Luigi's LuigiStatusCode. The value is a smiley and a reason."""

    SUCCESS = (":)", "nothing failed and nothing was missing")
    SUCCESS_WITH_RETRY = (":)", "what failed succeeded when it was tried again")
    FAILED = (":(", "tasks failed")
    FAILED_AND_SCHEDULING_FAILED = (":(", "tasks failed, and others could not be scheduled")
    SCHEDULING_FAILED = (":(", "tasks could not be scheduled")
    NOT_RUN = (":|", "tasks were not handed out by the scheduler")
    MISSING_EXT = (":|", "external tasks are missing")


# In the order of the summary. Those under `waiting` may overlap: a task can wait for several reasons.
GROUPS = {
    "already_done": "complete before",
    "completed": "ran successfully",
    "done_elsewhere": "ran successfully on another worker",
    "failed": "failed",
    "failed_elsewhere": "failed on another worker",
    "scheduling_error": "could not be scheduled",
    "disabled": "disabled",
    "superseded": "ran here, but were handed out anew or ended meanwhile: this run did not count",
    "missing_external": "external, and not there",
    "upstream_failure": "waiting: something they need failed",
    "upstream_missing": "waiting: something external that they need is missing",
    "upstream_elsewhere": "waiting: something they need runs on another worker",
    "upstream_scheduling_error": "waiting: something they need could not be scheduled",
    "refused": "waiting: no worker could load them so far",
    "elsewhere": "running on another worker",
    "not_run": "not handed out by the scheduler",
}


@dataclass(frozen=True)
class ExecutionSummary:
    """groups: name (see GROUPS) → tasks, each in the order in which they were scheduled; empty ones are left out.

    Luigi leaves tasks that were reported DISABLED out of its summary; here they are counted, in a group of their own.
    """

    groups: Mapping[str, tuple[Summarized, ...]]
    status: RunStatus
    task_count: int
    other_workers: Mapping[str, int] = field(default_factory=dict)  # worker id → how many of these tasks it ran
    root_is_done: bool = True  # all that was asked for is; also when nothing was
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # lines that explain a group
    forgotten: int = 0  # tasks of others that ended here earlier, and are in no group

    @property
    def counts(self) -> dict[str, int]:
        """How many tasks each group has; empty ones are left out."""
        return {name: len(tasks) for name, tasks in self.groups.items()}

    @property
    def text(self) -> str:
        """Several lines for people; the last one says how the run went as a whole."""
        return self.shortened(0)

    def shortened(self, summary_length: int) -> str:
        """Return the summary's text with so many families in each group at the most; 0 for all of them.

        Source: luigi.execution_summary, [execution_summary] summary_length, 3.8.1.
        """
        if not self.task_count:
            return "===== Execution summary =====\nNo task was scheduled."
        lines = ["===== Execution summary =====", f"{self.task_count} task(s) scheduled:"]
        for name, title in GROUPS.items():
            if tasks := self.groups.get(name):
                families = by_family(tasks)
                shown = families[: summary_length or None]
                lines += [f"* {len(tasks)} {title}", *(f"    - {line}" for line in shown)]
                if left := len(families) - len(shown):
                    lines.append(f"    … and {left} more {'family' if left == 1 else 'families'}")
                lines += [f"    - {note}" for note in self.notes.get(name, ())]
        others = list(self.other_workers.items())
        lines += [f"Worker {one_value(worker)} ran {count} of them." for worker, count in others[:TASKS_SHOWN]]
        if len(others) > TASKS_SHOWN:
            lines.append(f"… and {len(others) - TASKS_SHOWN} more workers ran some.")
        if self.forgotten:
            lines.append(f"{self.forgotten} tasks that others scheduled ended here before, and are not listed.")
        return "\n".join([*lines, self._verdict()])

    def _verdict(self) -> str:
        if self.status is RunStatus.SUCCESS and not self.root_is_done:
            return ":| nothing failed, but what was asked for is not done"
        return " ".join(self.status.value)

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for programs: {status, task_count, groups: {name: [task_id]}, other_workers, notes}."""
        return {
            "status": self.status.name,
            "task_count": self.task_count,
            "groups": {name: [task.task_id for task in tasks] for name, tasks in self.groups.items()},
            "other_workers": dict(self.other_workers),
            "notes": {name: list(lines) for name, lines in self.notes.items()},
        }


@dataclass(frozen=True)
class ReturnCodes:
    """Exit codes by what went wrong, under Luigi's names, with the values that its documentation proposes.

    Luigi's own defaults are 0, and 4 for unhandled_exception.
    """

    already_running: int = 10  # tasks run on another worker
    missing_data: int = 20  # external tasks are missing
    not_run: int = 25  # tasks were not handed out
    task_failed: int = 30
    scheduling_error: int = 35
    unhandled_exception: int = 40


def return_code(summary: ExecutionSummary, codes: ReturnCodes) -> int:
    """The highest code of those that apply; codes.not_run when none does and a root is not done; else 0.

    A task that failed and was retried successfully is no failure. Of several roots Luigi looks at the first only.
    Source: luigi.retcodes.run_with_retcodes, 3.8.1.
    """
    by_group = {
        "missing_external": codes.missing_data,
        "failed": codes.task_failed,
        "failed_elsewhere": codes.task_failed,
        "elsewhere": codes.already_running,
        "superseded": codes.already_running,
        "scheduling_error": codes.scheduling_error,
        "not_run": codes.not_run,
        "refused": codes.not_run,
    }
    found = max((code for group, code in by_group.items() if summary.groups.get(group)), default=0)
    return found or (0 if summary.root_is_done else codes.not_run)


def summarize(history: RunHistory) -> ExecutionSummary:
    """Sort the tasks of a run by what became of them. Asks the deps() of those that wait, and changes nothing.

    Source: luigi.execution_summary, 3.8.1.
    """
    groups = _partition(history.reports)
    elsewhere, workers = _elsewhere(history)
    groups["elsewhere"] = elsewhere
    _look_elsewhere(groups, history)
    tasks = {report.task.task_id: report.task for report in history.reports}
    _explain_waiting(groups, tasks)
    done = groups["completed"] | groups["already_done"] | groups["done_elsewhere"]
    counted = (
        *("already_done", "completed", "failed", "scheduling_error", "missing_external", "waiting", "disabled"),
        *("superseded", "done_elsewhere", "failed_elsewhere", "refused"),
    )
    shown = {name: tuple(task for id_, task in tasks.items() if id_ in groups[name]) for name in GROUPS}
    return ExecutionSummary(
        {name: members for name, members in shown.items() if members},
        _status(groups),
        sum(len(groups[name]) for name in counted),
        workers,
        root_is_done=all(root in done for root in history.root_ids),
        notes=_notes(groups, history.standings),
        forgotten=history.forgotten,
    )


def _partition(reports: Sequence[Report]) -> dict[str, set[str]]:
    """Ids by group, as far as the reports alone tell."""

    def of(*statuses: str) -> set[str]:
        return {report.task.task_id for report in reports if report.status in statuses}

    groups: dict[str, set[str]] = defaultdict(set)
    pending, done = of("PENDING"), of("DONE")
    groups["completed"] = done & pending
    groups["already_done"] = done - pending
    groups["ever_failed"] = of("FAILED")
    groups["failed"] = groups["ever_failed"] - groups["completed"]
    groups["scheduling_error"] = of("UNKNOWN")
    groups["superseded"] = of(SUPERSEDED) - done - groups["ever_failed"]
    over = groups["ever_failed"] | groups["completed"] | groups["superseded"]
    for report in reports:
        if report.status == "PENDING" and report.task.task_id not in over:
            groups["waiting" if report.runnable else "missing_external"].add(report.task.task_id)
    listed = (groups[name] for name in ("already_done", "scheduling_error", "waiting", "missing_external"))
    groups["disabled"] = of("DISABLED") - over.union(*listed)
    return groups


def _elsewhere(history: RunHistory) -> tuple[set[str], dict[str, int]]:
    """The ids of our tasks that ran on other workers while there was no work for us, and how many ran where."""
    found: dict[str, set[str]] = defaultdict(set)
    for response in history.responses:
        for running in response.running_tasks if response.task_id is None else ():
            if running["worker"] != history.worker_id and running["task_id"] in history.scheduled:
                found[running["worker"]].add(running["task_id"])
    return set().union(*found.values()), {worker: len(ids) for worker, ids in found.items()}


def _look_elsewhere(groups: dict[str, set[str]], history: RunHistory) -> None:
    """Move those of which the scheduler knew more at the end: what others made of them, and that nobody could."""
    for task_id, standing in history.standings.items():
        group = None
        if standing.status == "DONE":
            group = None if task_id in groups["completed"] else "done_elsewhere"  # it was scheduled anew afterwards
        elif standing.status == "FAILED" or (standing.status == "DISABLED" and standing.worker is not None):
            group = "failed" if standing.worker == history.worker_id else "failed_elsewhere"
        elif standing.status == "DISABLED":
            group = "disabled"
        elif standing.refusal is not None:
            group = "refused"
        if group is not None:
            for name in ("waiting", "missing_external", "superseded", "elsewhere"):
                groups[name].discard(task_id)
            groups[group].add(task_id)


def _notes(groups: Mapping[str, set[str]], standings: Mapping[str, Standing]) -> dict[str, tuple[str, ...]]:
    """Who it was, and why: each worker and each reason once."""
    failed = {standing.worker for id_, standing in standings.items() if id_ in groups["failed_elsewhere"]}
    refused = {standing.refusal or "" for id_, standing in standings.items() if id_ in groups["refused"]}
    notes = {}
    if failed:
        first = min(groups["failed_elsewhere"])
        workers = sorted(f"on {one_value(worker) if worker else 'a worker that is gone'}" for worker in failed)
        notes["failed_elsewhere"] = (*_few(workers), f"why: bsched call fetch_error task_id={first}")
    if refused:
        notes["refused"] = tuple(_few([one_line(reason, REASON_SHOWN) for reason in sorted(refused)]))
    return notes


def _few(lines: Sequence[str]) -> list[str]:
    left = len(lines) - TASKS_SHOWN
    return [*lines[:TASKS_SHOWN], *([f"… and {left} more"] if left > 0 else [])]


def _explain_waiting(groups: dict[str, set[str]], tasks: Mapping[str, Summarized]) -> None:
    """Why each waiting task waits: a walk up from it, each task once."""
    reasons = {
        "upstream_failure": ("ever_failed", "failed_elsewhere", "upstream_failure"),
        "upstream_missing": ("missing_external", "upstream_missing"),
        "upstream_elsewhere": ("elsewhere", "upstream_elsewhere"),
        # Luigi: this reason isn't passed on (test_of_any_history_we_say_what_luigi_says).
        "upstream_scheduling_error": ("scheduling_error",),
    }
    explained: set[str] = set()
    stack = sorted(groups["waiting"])
    deps: dict[str, list[str]] = {}
    while stack:
        task_id = stack[-1]
        if task_id in explained:
            stack.pop()
            continue
        if task_id not in deps:
            deps[task_id] = _deps_of(tasks[task_id])
            stack += [dep for dep in deps[task_id] if dep in groups["waiting"] and dep not in deps]
            continue
        stack.pop()
        explained.add(task_id)
        waits = False
        for name, causes in reasons.items():
            if any(dep in groups[cause] for dep in deps[task_id] for cause in causes):
                groups[name].add(task_id)
                waits = True
        if not waits and task_id not in groups["elsewhere"]:
            groups["not_run"].add(task_id)


def _deps_of(task: Summarized) -> list[str]:
    """The ids of its deps; none when it can't tell them any more, since a summary must not end a run with a trace."""
    try:
        return [dep.task_id for dep in task.deps()]
    except Exception as error:
        reason = type(error).__name__
        log.warning("What %s waits for can't be told: its requires() now raises %s.", task.task_id, reason)
        return []


def _status(groups: Mapping[str, set[str]]) -> RunStatus:
    if groups["failed"] or groups["failed_elsewhere"]:
        return RunStatus.FAILED_AND_SCHEDULING_FAILED if groups["scheduling_error"] else RunStatus.FAILED
    if groups["ever_failed"]:
        return RunStatus.SUCCESS_WITH_RETRY
    if groups["scheduling_error"]:
        return RunStatus.SCHEDULING_FAILED
    if groups["not_run"] or groups["refused"]:
        return RunStatus.NOT_RUN
    return RunStatus.MISSING_EXT if groups["missing_external"] else RunStatus.SUCCESS
