"""Luigi's own scheduler as the yardstick: under a fake clock, its accidents neutralised one by one.

A private copy of the module `luigi.scheduler` is executed, so that neither the
fake clock nor a mutation (see mutants.py) reaches the copy other tests use.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, MutableSet
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from luigi.task_register import Register

TICK_SECONDS = 1e-6  # between the creation times of tasks created at one moment
# What is decided otherwise than there (docs/decisions/0003), and no accident.
DIFFERENCES = [
    (  # a worker is given members that are not its own: the next prune fails them
        "                and task.family == best_task.family\n",
        "                and task.family == best_task.family\n"
        "                and (assistant or worker_id in task.workers)\n",
    ),
]


def load_module(replacements: Iterable[tuple[str, str]] = ()) -> ModuleType:
    """Execute luigi.scheduler once more, with pieces of its text replaced, those of DIFFERENCES first.

    Each piece must occur, else a mutant would silently be no mutant.
    """
    spec = importlib.util.find_spec("luigi.scheduler")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    for old, new in (*DIFFERENCES, *replacements):
        assert old in source, f"luigi.scheduler has no {old!r} any more: adapt the mutant"
        source = source.replace(old, new)
    module = ModuleType("reference_scheduler")
    module.__file__ = spec.origin
    registered = list(Register._reg)  # a second class named `scheduler` would make Luigi's options ambiguous
    exec(compile(source, spec.origin, "exec"), module.__dict__)
    Register._reg[:] = registered
    module.__dict__.update(
        time=_Time(),
        set=InsertionOrderedSet,
        notifications=SimpleNamespace(send_error_email=lambda *args, **kwargs: None),
    )
    module.__dict__["logger"].disabled = True
    return module


class _Time:
    """Stands for the module `time`: `clock` is that of the reference being called."""

    clock: Callable[[], float]

    def time(self) -> float:
        return self.clock()


class InsertionOrderedSet(MutableSet):
    """Stands for `set` in the reference.

    Accident: hash order decides there which of several placeholders is created first, and so
    their rank and the order of traversal. Ours goes by the order in which deps were given.
    """

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self._items = dict.fromkeys(items)

    def __contains__(self, value: object) -> bool:
        return value in self._items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def add(self, value: Any) -> None:
        self._items[value] = None

    def discard(self, value: Any) -> None:
        self._items.pop(value, None)

    def update(self, values: Iterable[Any]) -> None:
        self._items.update(dict.fromkeys(values))

    def difference_update(self, values: Iterable[Any]) -> None:
        for value in values:
            self.discard(value)

    def clear(self) -> None:
        self._items.clear()


class Members(list):
    """A batch's members, with something to copy resources from even when there are none."""

    def __getitem__(self, index: Any) -> Any:
        # Accident: a RUNNING report whose batch has no members is an IndexError there. Ours holds {} then.
        return super().__getitem__(index) if self else SimpleNamespace(resources_running={})


def neutral_state(module: Any) -> type:
    """The reference's state without its accidents. Counts what happened in `events`."""

    class State(module.SimpleTaskState):
        def __init__(self, state_path: str) -> None:
            super().__init__(state_path)
            self.events: Counter[str] = Counter()

        def inactivate_tasks(self, delete_tasks: list[str]) -> None:
            # Accident: a removed task stays in worker.tasks, is counted on, or ends in a KeyError.
            for task_id in delete_tasks:
                task = self._tasks[task_id]
                for worker in self._active_workers.values():
                    worker.tasks.discard(task)
                self.events[f"removed task: {task.status}"] += 1
            super().inactivate_tasks(delete_tasks)

        def inactivate_workers(self, delete_workers: list[str]) -> None:
            self.events["removed worker"] += len(delete_workers)
            super().inactivate_workers(delete_workers)

        def fail_dead_worker_task(self, task: Any, config: Any, assistants: Any) -> None:
            runner = task.worker_running
            super().fail_dead_worker_task(task, config, assistants)
            self.events["failed for its dead runner"] += runner is not None and task.worker_running is None

        def get_batch_running_tasks(self, batch_id: str) -> list[Any]:
            return Members(super().get_batch_running_tasks(batch_id))

        def set_batch_running(self, task: Any, batch_id: str, worker_id: str) -> None:
            super().set_batch_running(task, batch_id, worker_id)
            # Accident: it is the same object as task.resources there, so giving back would lower the needs.
            task.resources_running = dict(task.resources_running)

        def set_status(self, task: Any, new_status: str, config: Any = None) -> None:
            old, locked, removal = task.status, task.scheduler_disable_time, task.remove
            super().set_status(task, new_status, config)
            if old == module.BATCH_RUNNING and task.status not in (old, module.RUNNING):
                # It keeps the batch that it leaves there: run alone, its end is that of the others who are in it still,
                # and, not batchable any more, it is removed when it fails.
                task.batch_id, task.remove = None, removal
            if task.status != old:
                self.events[f"{old} → {task.status}"] += 1
            if task.scheduler_disable_time is not None and locked is None:
                self.events["disabled by the scheduler"] += 1

    return State


def neutral_scheduler(module: Any) -> type:
    """The reference's scheduler on such a state."""
    state_class = neutral_state(module)

    class Scheduler(module.Scheduler):
        def __init__(self, **options: Any) -> None:
            super().__init__(resources={}, **options)
            collector = self._state._metrics_collector
            self._state = state_class(self._config.state_path)
            self._state._metrics_collector = collector
            self._moment, self._ticks = 0.0, 0
            self._mentioned: dict[str, int] = {}  # task id → how many ids were named before it
            self.handed_out_again = False

        def add_task(self, **arguments: Any) -> None:
            named = [arguments.get("task_id"), *(arguments.get("deps") or ()), *(arguments.get("new_deps") or ())]
            for task_id in named:
                self._mentioned.setdefault(task_id, len(self._mentioned))
            before = len(self._state._tasks)
            super().add_task(**arguments)
            created = itertools.islice(reversed(self._state._tasks), len(self._state._tasks) - before)
            self._spread(sorted(created, key=lambda task_id: (task_id not in named, self._place(task_id, named))))

        def _place(self, task_id: str, named: list[Any]) -> int:
            return named.index(task_id) if task_id in named else self._mentioned[task_id]

        def get_work(self, **arguments: Any) -> dict[str, Any]:
            worker, believed = arguments["worker"], arguments.get("current_tasks")
            running = {t.id for t in self._state._status_tasks[module.RUNNING].values() if t.worker_running == worker}
            reply = super().get_work(**arguments)
            self.handed_out_again = reply["task_id"] in running and believed is not None
            return reply  # type: ignore[no-any-return]  # the reference is untyped

        def _spread(self, created: list[str]) -> None:
            """Give new tasks increasing times, and their places, in this order.

            Accident: tasks created at one moment tie there, and the order of a dict or a set decides. Ours: first
            created first; of placeholders, those the call names as it names them, then those named earlier.
            """
            now = module.time.time()
            if now != self._moment:
                self._moment, self._ticks = now, 0
            for task_id in created:
                task = self._state._tasks.pop(task_id)
                self._state._tasks[task_id] = task
                task.time = now + self._ticks * TICK_SECONDS
                self._ticks += 1

        def _upstream_status(self, task_id: str, upstream_status_table: dict[str, str]) -> str:
            # Accident: the upstream of an UNKNOWN task with deps depends on which task was looked at first.
            # Documented and neutral: only PENDING tasks pass on what is above them.
            if task_id in upstream_status_table:
                return upstream_status_table[task_id]
            task = self._state.get_task(task_id)
            upstream = ""
            if task is not None and task.status == module.PENDING and task.deps:
                above = [self._upstream_status(dep, upstream_status_table) for dep in task.deps]
                upstream = max(above, key=module.UPSTREAM_SEVERITY_KEY)
            elif task is not None:
                upstream = module.STATUS_TO_UPSTREAM_MAP.get(task.status, "")
            upstream_status_table[task_id] = upstream
            return upstream

        def decrease_running_task_resources(self, task_id: str, decrease_resources: dict[str, float]) -> None:
            # Accident: a task that nobody handed out (it was only reported as RUNNING) is an AttributeError.
            if hasattr(self._state.get_task(task_id), "resources_running"):
                super().decrease_running_task_resources(task_id, decrease_resources)

        def report_task_statistics(self, task_id: str, statistics: Any) -> None:
            """Only a metrics collector would see it."""

    return Scheduler


class Reference:
    """One side of a comparison: Luigi's scheduler, or a mutant of it."""

    def __init__(self, module: ModuleType, scheduler_class: type, clock: Callable[[], float], options: dict) -> None:
        self._time = module.__dict__["time"]
        self._clock = clock
        self._time.clock = clock
        self.scheduler = scheduler_class(**options)

    def call(self, method: str, arguments: dict[str, Any]) -> Any:
        """Call a method; whatever it raises is raised."""
        self._time.clock = self._clock
        return getattr(self.scheduler, method)(**arguments)

    def problems(self) -> list[str]:
        """The reference has no self-check."""
        return []

    def close(self) -> None:
        """Nothing to release."""

    @property
    def events(self) -> Counter[str]:
        """How often each change of state happened."""
        return self.scheduler._state.events  # type: ignore[no-any-return]  # the reference is untyped

    @property
    def handed_out_again(self) -> bool:
        """Whether the last get_work gave a task whose first reply was lost."""
        return self.scheduler.handed_out_again  # type: ignore[no-any-return]

    def needs(self, task_id: str) -> dict[str, float]:
        """The resources of a task."""
        return self.scheduler._state.get_task(task_id).resources or {}

    def guarded(self, worker_id: str, assistant: bool) -> bool:
        """Whether, after a reply without work, only the starvation guard kept a task from this worker."""
        scheduler = self.scheduler
        worker = scheduler._state._active_workers.get(worker_id)
        if worker is None or worker.disabled or scheduler._paused:
            return False
        used = scheduler._used_resources()
        for task in scheduler._state.get_active_tasks():
            allowed = worker_id in task.workers or (assistant and task.runnable)
            if allowed and scheduler._schedulable(task) and scheduler._has_resources(task.resources, used):
                return True
        return False


class ReferenceFactory:
    """Makes references of one kind: the real one, or one mutant."""

    def __init__(self, replacements: Iterable[tuple[str, str]] = ()) -> None:
        self._module = load_module(replacements)
        self._class = neutral_scheduler(self._module)

    def __call__(self, clock: Callable[[], float], options: dict[str, Any]) -> Reference:
        return Reference(self._module, self._class, clock, options)
