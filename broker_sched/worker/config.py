"""A worker's options, under the names they have in Luigi's [worker] section."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from broker_sched import luigi_config
from broker_sched.errors import ConfigurationError
from broker_sched.luigi_config import LuigiConfig
from broker_sched.truth_words import truth_of

T = TypeVar("T")
START_METHODS = ("fork", "spawn", "forkserver")
DURATIONS = (  # as luigi writes them: `1 week 2 days`, `3h`; P1DT2H of ISO 8601
    re.compile(
        r"(?:(\d+) ?w(?:eek)?s? ?)?(?:(\d+) ?d(?:ay)?s? ?)?(?:(\d+) ?h(?:our)?s? ?)?"
        r"(?:(\d+) ?m(?:inute)?s? ?)?(?:(\d+) ?s(?:econd)?s? ?)?"
    ),
    re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"),
)
UNIT_SECONDS = (604800, 86400, 3600, 60, 1)


@dataclass(frozen=True)
class WorkerConfig:
    """How a worker behaves. Times are seconds. Source: luigi.worker.worker, 3.8.1, where not said otherwise."""

    id: str = ""  # the worker's id; made from host, user and pid when empty
    ping_interval: float = 1.0  # between two pings of the heartbeat
    keep_alive: bool = False  # stay while tasks are pending, an assistant for ever
    count_uniques: bool = False  # stay only for tasks that no other worker can run
    count_last_scheduled: bool = False  # stay only for tasks that this worker was the last to schedule
    wait_interval: float = 1.0  # between two questions for work, when there was none
    wait_jitter: float = 5.0  # at most so much is added to it, at random
    max_keep_alive_idle_duration: float = 0.0  # stay idle so long at the most; 0: no limit
    max_reschedules: int = 1  # how often a task goes back because a dep was found missing when it was to run
    timeout: float = 0.0  # of a task without a worker_timeout of its own; 0: none
    task_limit: int | None = None  # tasks scheduled at the most
    retry_external_tasks: bool = False  # ask external tasks again whether they are complete
    no_install_shutdown_handler: bool = False  # leave SIGUSR1 and SIGINT alone
    check_unfulfilled_deps: bool = True  # look whether the deps are complete before a task runs
    check_complete_on_run: bool = False  # a task that has run must be complete
    force_multiprocessing: bool = False  # a process for each task, also with one worker process
    task_process_context: str | None = None  # 'module.Class': a context manager around each task
    cache_task_completion: bool = False  # believe a complete() that was true once
    send_failure_email: bool = True  # mail what fails to [email] receiver and the task's owner_email
    # Not in Luigi:
    start_method: str | None = None  # of task processes: fork, spawn, forkserver; None: the platform's own
    kill_after: float = 10.0  # after SIGTERM, a task process that still lives gets SIGKILL
    patience: float = 3600.0  # how long run() goes on trying when the scheduler can't be reached
    capture_output: bool = False  # of task processes: shown with the task's id, its end kept for `bsched task logs`
    tasks_per_process: int = 500  # a task process runs so many tasks at the most, one after another; 1: only one
    max_tasks: int | None = None  # leave after so many runs of tasks
    import_timeout: float = 120.0  # of the first import of a module of others' tasks; 0: any time, and no trial before
    allow_modules: tuple[str, ...] = ()  # patterns (fnmatch) of modules that tasks may be loaded from; none: any

    @classmethod
    def parse(cls, options: dict[str, Any]) -> WorkerConfig:
        """Make the options from keyword arguments; numbers and truths may be text.

        Raises ConfigurationError, naming the option.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in options:
            if name not in fields:
                near = difflib.get_close_matches(name, fields, n=1)
                hint = f"did you mean {near[0]}?" if near else f"the options are {', '.join(fields)}."
                raise ConfigurationError(f"A worker has no option {name!r}; {hint}")
        values = {name: _parsed(name, value, str(fields[name].type)) for name, value in options.items()}
        config = cls(**values)
        if config.wait_interval <= 0:
            raise ConfigurationError("wait_interval must be more than 0 s.")
        if config.tasks_per_process < 1:
            raise ConfigurationError("tasks_per_process must be 1 or more.")
        if config.start_method not in (None, *START_METHODS):
            raise ConfigurationError(f"start_method is {config.start_method!r}; use {', '.join(START_METHODS)}.")
        return config

    @classmethod
    def beside_luigi(cls, options: dict[str, Any]) -> WorkerConfig:
        """Do what parse() does; in a program that has imported luigi, its [worker] section gives what is not in
        options."""
        defaults = cls.from_luigi(luigi_config.read()) if luigi_config.is_luigi_used() else {}
        return cls.parse({**defaults, **options})

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> dict[str, str]:
        """Return what BSCHED_WORKER_<NAME> sets, as text, for parse()."""
        variables = {field.name: f"BSCHED_WORKER_{field.name.upper()}" for field in dataclasses.fields(cls)}
        return {name: environment[variable] for name, variable in variables.items() if variable in environment}

    @classmethod
    def from_luigi(cls, luigi: LuigiConfig) -> dict[str, Any]:
        """Return what luigi's configuration sets, for parse(). Raises ConfigurationError naming file and option."""
        section = luigi.section("worker")
        found = {}
        for field in dataclasses.fields(cls):
            if field.name in section:
                value: Any = section[field.name]
                value = None if value == "" and "None" in str(field.type) else value
                try:
                    cls.parse({field.name: value})
                except ConfigurationError as error:
                    raise ConfigurationError(f"{luigi.where('worker', field.name)}: {error}") from None
                found[field.name] = value
        return found


def _parsed(name: str, value: Any, kind: str) -> Any:
    if value is None and "None" in kind:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    try:
        if kind == "bool":
            return value != "" and truth_of(str(value))
        if kind.startswith("int"):
            return int(value)
        if kind == "float":
            return _seconds(value)
    except (TypeError, ValueError):
        what = {"bool": "true or false", "float": "a number of seconds, not negative"}.get(kind, "a whole number")
        raise ConfigurationError(f"The worker's option {name} is {value!r}; it must be {what}.") from None
    if kind.startswith("tuple"):
        return (value,) if isinstance(value, str) else tuple(value)
    return str(value)


def _seconds(value: Any) -> float:
    number = _duration(value) if isinstance(value, str) else float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError(value)
    return number


def _duration(text: str) -> float:
    """Source: luigi.parameter.TimeDeltaParameter, 3.8.1."""
    try:
        return float(text)
    except ValueError:
        for pattern in DURATIONS:
            found = pattern.fullmatch(text.strip())
            if found is not None and any(found.groups()):
                return float(sum(int(n or 0) * seconds for n, seconds in zip(found.groups(), UNIT_SECONDS)))
        raise
