"""What became of a run, for people, for exit codes, and for programs.

Source of the rules: luigi.execution_summary and luigi.retcodes, 3.8.1.
"""

from __future__ import annotations

import datetime
import enum
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from broker_sched.model.contract import without_password

log = logging.getLogger("bsched.worker")

SUPERSEDED = "SUPERSEDED"  # in place of a status: the run did not count any more, and was not reported
TASKS_SHOWN = 5  # of one family in one group; also how many runs of values, and how many other workers
VALUE_SHOWN = 80  # characters of one parameter
NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")  # one that is written the way int() would write it
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Summarized(Protocol):
    """A task, as far as the summary needs it."""

    @property
    def task_id(self) -> str:
        """Its id."""

    @property
    def task_family(self) -> str:
        """Its family."""

    def deps(self) -> Iterable[Any]:
        """The tasks it depends on."""

    def to_str_params(self, only_significant: bool = False, only_public: bool = False) -> dict[str, str]:
        """Its parameters as text."""


@dataclass(frozen=True)
class Report:
    """A status that the worker told the scheduler. A PENDING one that is not runnable is external."""

    task: Summarized
    status: str
    runnable: bool


@dataclass(frozen=True)
class Response:
    """A reply of get_work: what it handed out, and what ran elsewhere: [{"task_id", "worker", …}]."""

    task_id: str | None
    running_tasks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class RunHistory:
    """All that a worker did."""

    worker_id: str
    scheduled: Mapping[str, Summarized]  # task_id → task: only these can be said to run elsewhere
    reports: Sequence[Report]  # one for each add_task, in order
    responses: Sequence[Response]  # one for each get_work, in order
    root_ids: Sequence[str]  # what was asked for
    scheduling_succeeded: bool
    run_succeeded: bool


class RunStatus(enum.Enum):
    """The verdict; the names are those of Luigi's LuigiStatusCode. The value is a smiley and a reason."""

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
    "failed": "failed",
    "scheduling_error": "could not be scheduled",
    "disabled": "disabled",
    "superseded": "ran here, but were handed out anew or ended meanwhile: this run did not count",
    "missing_external": "external, and not there",
    "upstream_failure": "waiting: something they need failed",
    "upstream_missing": "waiting: something external that they need is missing",
    "upstream_elsewhere": "waiting: something they need runs on another worker",
    "upstream_scheduling_error": "waiting: something they need could not be scheduled",
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

    @property
    def counts(self) -> dict[str, int]:
        """How many tasks each group has; empty ones are left out."""
        return {name: len(tasks) for name, tasks in self.groups.items()}

    @property
    def text(self) -> str:
        """Several lines for people; the last one is the verdict."""
        if not self.task_count:
            return "===== Execution summary =====\nNo task was scheduled."
        lines = ["===== Execution summary =====", f"{self.task_count} task(s) scheduled:"]
        for name, title in GROUPS.items():
            if tasks := self.groups.get(name):
                lines += [f"* {len(tasks)} {title}", *(f"    - {line}" for line in _by_family(tasks))]
        others = list(self.other_workers.items())
        lines += [f"Worker {_value(worker)} ran {count} of them." for worker, count in others[:TASKS_SHOWN]]
        if len(others) > TASKS_SHOWN:
            lines.append(f"… and {len(others) - TASKS_SHOWN} more workers ran some.")
        return "\n".join([*lines, self._verdict()])

    def _verdict(self) -> str:
        if self.status is RunStatus.SUCCESS and not self.root_is_done:
            return ":| nothing failed, but what was asked for is not done"
        return " ".join(self.status.value)

    def as_dict(self) -> dict[str, Any]:
        """The same for programs: {status, task_count, groups: {name: [task_id]}, other_workers}."""
        return {
            "status": self.status.name,
            "task_count": self.task_count,
            "groups": {name: [task.task_id for task in tasks] for name, tasks in self.groups.items()},
            "other_workers": dict(self.other_workers),
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
        "elsewhere": codes.already_running,
        "superseded": codes.already_running,
        "scheduling_error": codes.scheduling_error,
        "not_run": codes.not_run,
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
    tasks = {report.task.task_id: report.task for report in history.reports}
    _explain_waiting(groups, tasks)
    done = groups["completed"] | groups["already_done"]
    counted = (
        *("already_done", "completed", "failed", "scheduling_error", "missing_external", "waiting", "disabled"),
        "superseded",
    )
    shown = {name: tuple(task for id_, task in tasks.items() if id_ in groups[name]) for name in GROUPS}
    return ExecutionSummary(
        {name: members for name, members in shown.items() if members},
        _status(groups),
        sum(len(groups[name]) for name in counted),
        workers,
        root_is_done=all(root in done for root in history.root_ids),
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
    told = (groups[name] for name in ("already_done", "scheduling_error", "waiting", "missing_external"))
    groups["disabled"] = of("DISABLED") - over.union(*told)
    return groups


def _elsewhere(history: RunHistory) -> tuple[set[str], dict[str, int]]:
    """The ids of our tasks that ran on other workers while there was no work for us, and how many ran where."""
    found: dict[str, set[str]] = defaultdict(set)
    for response in history.responses:
        for running in response.running_tasks if response.task_id is None else ():
            if running["worker"] != history.worker_id and running["task_id"] in history.scheduled:
                found[running["worker"]].add(running["task_id"])
    return set().union(*found.values()), {worker: len(ids) for worker, ids in found.items()}


def _explain_waiting(groups: dict[str, set[str]], tasks: Mapping[str, Summarized]) -> None:
    """Why each waiting task waits: a walk up from it, each task once."""
    reasons = {
        "upstream_failure": ("ever_failed", "upstream_failure"),
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
    if groups["failed"]:
        return RunStatus.FAILED_AND_SCHEDULING_FAILED if groups["scheduling_error"] else RunStatus.FAILED
    if groups["ever_failed"]:
        return RunStatus.SUCCESS_WITH_RETRY
    if groups["scheduling_error"]:
        return RunStatus.SCHEDULING_FAILED
    if groups["not_run"]:
        return RunStatus.NOT_RUN
    return RunStatus.MISSING_EXT if groups["missing_external"] else RunStatus.SUCCESS


def _by_family(tasks: Iterable[Summarized]) -> list[str]:
    families: dict[str, list[dict[str, str]]] = defaultdict(list)
    for task in tasks:
        families[task.task_family].append(task.to_str_params(only_significant=True, only_public=True))
    return [_family_line(family, members) for family, members in families.items()]


def _family_line(family: str, members: list[dict[str, str]]) -> str:
    """`3 Sales(country=AT, date=2024-03-01 … 2024-03-03)`; several that differ in more: the first few, one by one."""
    names = list(members[0])
    varying = [name for name in names if len({member.get(name) for member in members}) > 1]
    if len(varying) < 2:
        values = {name: _value(value) for name, value in members[0].items()}
        for name in varying:
            values[name] = _values([member.get(name, "") for member in members])
        return f"{len(members)} {family}{_listed(values)}"
    shown = [_listed({name: _value(value) for name, value in member.items()}) for member in members[:TASKS_SHOWN]]
    return f"{len(members)} {family}{', '.join(shown)}{_rest(len(members))}"


def _listed(values: Mapping[str, str]) -> str:
    return f"({', '.join(f'{name}={value}' for name, value in values.items())})"


def _rest(count: int) -> str:
    return f" … and {count - TASKS_SHOWN} more" if count > TASKS_SHOWN else ""


def _value(text: str) -> str:
    """One value in one line, of bounded length, without the password of a URL."""
    plain = without_password(text)
    line = plain if plain.isprintable() else repr(plain)[1:-1]
    return line if len(line) <= VALUE_SHOWN else f"{line[: VALUE_SHOWN - 1]}…"


def _values(found: Sequence[str]) -> str:
    """The values of one parameter. Whole numbers and dates are sorted; three or more in a row are `first … last`."""
    for pattern, ordinal in ((NUMBER, int), (DATE, _day_number)):
        if all(pattern.fullmatch(text) for text in found):
            try:
                runs = _runs({ordinal(text): text for text in found})
            except ValueError:  # 2024-02-30
                break
            return ", ".join(runs[:TASKS_SHOWN]) + _rest(len(runs))
    return ", ".join(_value(text) for text in found[:TASKS_SHOWN]) + _rest(len(found))


def _day_number(text: str) -> int:
    return datetime.date.fromisoformat(text).toordinal()


def _runs(texts: Mapping[int, str]) -> list[str]:
    """`1 … 3`, `7`, `8` from what stands at 1, 2, 3, 7 and 8."""
    runs: list[list[str]] = []
    previous: int | None = None
    for number in sorted(texts):
        if previous is None or number != previous + 1:
            runs.append([])
        runs[-1].append(texts[number])
        previous = number
    shown = ([f"{run[0]} … {run[-1]}"] if len(run) > 2 else run for run in runs)
    return [text for texts_of_run in shown for text in texts_of_run]
