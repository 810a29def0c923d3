"""Who needs whom, as far as a worker knows: tasks that need each other can never run, and are found before that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from broker_sched.errors import WorkerError


class DependencyGraph:
    """Keeps the deps of tasks by their ids, those that a run() asked for included."""

    def __init__(self) -> None:
        self._deps: dict[str, tuple[str, ...]] = {}

    def note_deps(self, task_id: str, deps: Iterable[str]) -> None:
        """Keep the ids that the task's requires() gives now, in the place of those noted before."""
        self._deps[task_id] = tuple(deps)

    def note_new_deps(self, task_id: str, deps: Collection[str], is_done: Callable[[str], bool]) -> None:
        """Add the ids that the task's run() asks for. Raises WorkerError when one of these needs the task itself.

        is_done: whether the task of an id is done, so that nobody waits for it.
        """
        came_from: dict[str, str] = dict.fromkeys(deps, task_id)
        waiting = list(came_from)
        while waiting:
            found = waiting.pop()
            if found == task_id:
                raise WorkerError(_message([*_path_to(came_from, task_id), task_id]))
            if not is_done(found):
                new = [dep for dep in self._deps.get(found, ()) if dep not in came_from]
                came_from.update(dict.fromkeys(new, found))
                waiting += new
        self._deps[task_id] = tuple(dict.fromkeys((*self._deps.get(task_id, ()), *deps)))

    def cycles(self, task_ids: Iterable[str]) -> tuple[list[list[str]], set[str]]:
        """Find the tasks, among these, that can never run. O(tasks and their deps).

        Returns the cycles, each as a list of ids of which each requires the next, and the last the first; and the ids
        of all that can't run, because they are in a cycle or need a task that is.
        """
        deps = {task_id: self._deps[task_id] for task_id in task_ids if task_id in self._deps}
        stuck = _stuck(deps)
        cycles, seen = [], set()
        for start in deps:
            way: dict[str, int] = {}
            task_id = start
            while task_id in stuck and task_id not in seen:
                seen.add(task_id)
                way[task_id] = len(way)
                task_id = next(dep for dep in deps[task_id] if dep in stuck)
            if task_id in way:
                cycles.append(list(way)[way[task_id] :])
        return cycles, stuck


def cycle_message(cycle: list[str]) -> str:
    """Return what to tell the user about a cycle that cycles() found."""
    return _message([*cycle, cycle[0]])


def _message(ids: list[str]) -> str:
    return f"Tasks that need each other can never run: {' → '.join(ids)}. Remove one of these deps."


def _stuck(deps: dict[str, tuple[str, ...]]) -> set[str]:
    """What is left when those that need nothing, or only what is gone already, go one after the other."""
    missing = {task_id: sum(dep in deps for dep in set(ids)) for task_id, ids in deps.items()}
    dependents = defaultdict(list)
    for task_id, ids in deps.items():
        for dep in set(ids):
            dependents[dep].append(task_id)
    free = [task_id for task_id, count in missing.items() if not count]
    while free:
        for task_id in dependents[free.pop()]:
            missing[task_id] -= 1
            if not missing[task_id]:
                free.append(task_id)
    return {task_id for task_id, count in missing.items() if count}


def _path_to(came_from: dict[str, str], task_id: str) -> list[str]:
    """Return the ids from the task up to the one that needs it."""
    way = [came_from[task_id]]
    while way[-1] != task_id:
        way.append(came_from[way[-1]])
    return way[::-1]
