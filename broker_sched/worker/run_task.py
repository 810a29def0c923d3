"""Runs one task, wherever that is, and returns its result. Source: luigi.worker.TaskProcess.run, 3.8.1."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import time
import traceback
from collections.abc import Generator, Iterator, Set
from dataclasses import dataclass
from typing import Any

from broker_sched import tracing
from broker_sched.errors import WorkerError
from broker_sched.log_lines import with_fields
from broker_sched.tasks.protocol import TaskLike, checked_deps, flatten, logged_name
from broker_sched.tasks.requirements import DynamicRequirements
from broker_sched.worker.completion import Completion
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.run_result import RunResult, TaskSpec
from broker_sched.worker.status_reporter import StatusReporter
from broker_sched.worker.text_limits import explanation

log = logging.getLogger("bsched.worker")


@dataclass(frozen=True)
class RunOptions:
    """The part of a worker's configuration that a run needs."""

    worker_id: str
    check_unfulfilled_deps: bool = True
    check_complete_on_run: bool = False
    task_process_context: str | None = None
    known_complete: frozenset[str] | None = None  # None: no cache
    traceparent: str | None = None  # of the attempt's trace
    kill_after_seconds: float = 10.0  # for what a run on an rq worker has started, after a timeout

    @classmethod
    def of(
        cls, worker_id: str, config: WorkerConfig, known: Set[str] | None, traceparent: str | None = None
    ) -> RunOptions:
        """Make the options from a worker's configuration.

        known: ids of tasks that it knows to be complete; None: it keeps none. traceparent: of the attempt's trace.
        """
        return cls(
            worker_id,
            config.check_unfulfilled_deps,
            config.check_complete_on_run,
            config.task_process_context,
            None if known is None else frozenset(known),
            traceparent,
            config.kill_after,
        )


class Unfulfilled(WorkerError):
    """Deps of a task are not complete although the scheduler handed it out."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(f"Not complete when the task was to run: {', '.join(missing)}. It goes back to be scheduled.")
        self.missing = missing


def is_external(task: TaskLike) -> bool:
    """Return whether something else makes the task's output: it has no run()."""
    return getattr(task, "run", None) in (None, NotImplemented)


def read(task: TaskLike, name: str, default: Any) -> Any:
    """Return an attribute of a task, the default for None.

    Where it raises, a FAILED result: that shall end no worker.
    """
    try:
        value = getattr(task, name)
    except KeyboardInterrupt:
        raise
    except BaseException:
        log.error("%s could not be started: its %s raised", task.task_id, name, exc_info=True)
        return RunResult(task.task_id, "FAILED", explanation(traceback.format_exc()))
    return default if value is None else value


def execute(task: TaskLike, options: RunOptions, reporter: StatusReporter) -> RunResult:
    """Run the task, and return its result.

    Whatever the task raises, KeyboardInterrupt aside, is in there and not raised.
    """
    known = None if options.known_complete is None else set(options.known_complete)
    run = _Run(task, options, reporter, Completion(known))
    try:
        named = with_fields(task_id=task.task_id, worker=options.worker_id, **tracing.ids_of(options.traceparent))
        with named, tracing.attached(options.traceparent), _context(options.task_process_context, run):
            return run.run()
    except Exception as error:  # of the context around the run: the run itself raises nothing
        log.exception("[pid %d] Worker %s failed    %s", os.getpid(), options.worker_id, logged_name(task))
        return RunResult(task.task_id, "FAILED", explanation(f"{type(error).__name__}: {error}"))


class _Run:
    """One run of one task. A `task_process_context` gets it."""

    def __init__(self, task: TaskLike, options: RunOptions, reporter: StatusReporter, completion: Completion) -> None:
        self.task = task
        self.worker_id = options.worker_id
        self.status_reporter = reporter
        self._options = options
        self._is_complete = completion
        self._known_before = set(completion.known or ())

    def run(self) -> RunResult:
        log.info("[pid %d] Worker %s running   %s", os.getpid(), self.worker_id, logged_name(self.task))
        try:
            return self._carried_out()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, too: a task may not end its worker
            missing = error.missing if isinstance(error, Unfulfilled) else ()
            log.error(
                "[pid %d] Worker %s failed    %s",
                os.getpid(),
                self.worker_id,
                logged_name(self.task),
                exc_info=not missing,
            )
            return self._failed(error, missing)

    def _carried_out(self) -> RunResult:
        task = self.task
        if self._options.check_unfulfilled_deps and not is_external(task):
            self._check_deps()
        task.trigger_event("event.core.start", task)
        started = time.monotonic()
        if is_external(task):
            if not self._is_complete(task):
                text = "It is an external task, and what it stands for does not exist (yet)."
                return RunResult(task.task_id, "FAILED", json.dumps(text))
        else:
            with self._attached():
                new_deps = self._run_until_wanting()
            if new_deps:
                log.info("[pid %d] Worker %s new requirements      %s", os.getpid(), self.worker_id, logged_name(task))
                return RunResult(task.task_id, "PENDING", new_deps=new_deps, complete_ids=self._found_complete())
            if not self._options.check_complete_on_run:
                self._note_complete()
            elif not self._is_complete(task):
                raise WorkerError("It has run, but complete() still says False. Look at what it wrote, and where.")
        task.trigger_event("event.core.processing_time", task, time.monotonic() - started)
        expl = task.on_success()
        log.info("[pid %d] Worker %s done      %s", os.getpid(), self.worker_id, logged_name(task))
        task.trigger_event("event.core.success", task)
        return RunResult(task.task_id, "DONE", explanation(expl), complete_ids=self._found_complete())

    def _check_deps(self) -> None:
        missing = []
        for dep in self.task.deps():
            if not self._is_complete(dep):
                outputs = [each for each in flatten(dep.output()) if callable(getattr(each, "exists", None))]
                absent = [str(output) for output in outputs if not output.exists()]
                missing.append(f"{dep.task_id} ({', '.join(absent)})" if absent else dep.task_id)
        if missing:
            raise Unfulfilled(tuple(missing))

    def _run_until_wanting(self) -> tuple[TaskSpec, ...]:
        """Run to the end, or until the task yields tasks that are not complete: those."""
        generator = self.task.run()
        if not isinstance(generator, Generator):
            return ()
        answer: Any = None
        while True:
            try:
                yielded = generator.send(answer)
            except StopIteration:
                return ()
            is_wrapped = hasattr(type(yielded), "flat_requirements")  # DynamicRequirements, luigi's or ours
            requirements = yielded if is_wrapped else DynamicRequirements(yielded)
            checked_deps(requirements.flat_requirements, f"run() of {self.task.task_id} yielded")
            if not requirements.complete(self._is_complete):
                generator.close()
                new_deps = requirements.flat_requirements
                return tuple(
                    TaskSpec(task.task_module, task.task_family, task.to_str_params(), task.task_id)
                    for task in new_deps
                )
            answer = requirements.paths

    def _failed(self, error: BaseException, missing: tuple[str, ...]) -> RunResult:
        """FAILED; what on_failure returns explains it, and the stack trace where that fails itself."""
        try:
            self.task.trigger_event("event.core.failure", self.task, error)
            expl = self.task.on_failure(error)
        except Exception:
            expl = traceback.format_exc()
        return RunResult(self.task.task_id, "FAILED", explanation(expl), missing, complete_ids=self._found_complete())

    def _note_complete(self) -> None:
        if self._is_complete.known is not None:
            self._is_complete.known.add(self.task.task_id)

    def _found_complete(self) -> tuple[str, ...]:
        return tuple(sorted(set(self._is_complete.known or ()) - self._known_before))

    @contextlib.contextmanager
    def _attached(self) -> Iterator[None]:
        """Let the task report by methods of its own, as long as the context lasts."""
        for name, source in StatusReporter.ATTACHED.items():
            setattr(self.task, name, getattr(self.status_reporter, source))
        try:
            yield
        finally:
            for name in StatusReporter.ATTACHED:
                setattr(self.task, name, None)


@contextlib.contextmanager
def _context(name: str | None, run: _Run) -> Iterator[None]:
    """The user's own context manager around the run: `module.Class`, made with the run."""
    if not name:
        yield
        return
    module_name, _, class_name = name.rpartition(".")
    try:
        made = getattr(importlib.import_module(module_name), class_name)(run)
    except (ImportError, AttributeError, ValueError) as error:
        raise WorkerError(f"task_process_context {name!r} can't be used: {error}. It names a class.") from error
    with made:
        yield
