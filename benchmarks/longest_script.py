"""Everything that could hold Redis for long, on a namespace of many tasks; SLOWLOG says for how long it did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from benchmarks.loading import SPAWN
from benchmarks.processes import Redis
from benchmarks.tasks import LIMITS, flat, layered, task_id, with_resources
from broker_sched import Scheduler
from broker_sched.lua import loader

NAMESPACE = "long"
OWNER, HELPER = "owner", "helper"
PROCESSES = 4
BATCH = 50
SLOWLOG_US = 200  # what is faster is not logged
SETTLING_SECONDS = 0.5
SETTLING_CALLS = 50


class Longest(NamedTuple):
    """The longest script, and the longest other command, while one thing happened; 0 below SLOWLOG_US."""

    what: str
    script: str
    script_us: int
    other: str
    other_us: int


def least_of(runs: tuple[Longest, ...]) -> Longest:
    """Of several times that the same thing happened, the one with the shortest longest script.

    What a script has to do is the same each time; what the machine does beside it is not.
    """
    return min(runs, key=lambda run: run.script_us)


class LongestScript:
    """A hub with many dependents, a sink with as many deps, and other tasks of every kind, all owned by one worker."""

    def __init__(self, redis: Redis, tasks: int, hub: int, say: Callable[[str], None]) -> None:
        self.redis = redis
        self.tasks = tasks
        self.hub = hub
        self.say = say
        self.ahead_seconds = 0.0
        self.scheduler = Scheduler(
            redis.url,
            NAMESPACE,
            clock=lambda: time.time() + self.ahead_seconds,
            prune_interval_seconds=None,
            worker_disconnect_delay=3600,
            remove_delay=600,
            stable_done_cooldown_secs=0,
        )
        self.names = {loader.load(name).sha: f"{name}.lua" for name in loader.names()}

    def run(self) -> Iterator[Longest]:
        """Let everything happen, in order. Redis does not rewrite its append-only file meanwhile."""
        self.redis.client.config_set("auto-aof-rewrite-percentage", 0)
        for what, happen in self._events():
            self.say(f"longest script: {what}")
            self._forget_slowlog()
            happen()
            yield self._longest(what)

    def _events(self) -> list[tuple[str, Callable[[], Any]]]:
        hub, sink, call = f"{self.hub:,}", "Sink", self.scheduler
        return [
            ("all are added", self._fill),
            (f"a task with {hub} deps is added", self._add_sink),
            ("its priority is raised", partial(self._add_sink, priority=10)),
            (f"a task with {hub} dependents is disabled", partial(self._report_hub, "DISABLED")),
            (f"a task with {hub} dependents fails", partial(self._report_hub, "FAILED")),
            (f"a task with {hub} dependents finishes", partial(self._report_hub, "DONE")),
            (f"a task with {hub} dependents is to run again", partial(self._report_hub, "PENDING")),
            ("it finishes again", partial(self._report_hub, "DONE")),
            ("a batcher comes late", self._register_batcher),
            ("tasks are run, one by one", partial(self._run_tasks, OWNER, False)),
            ("batches are run", self._run_batches),
            ("an assistant runs tasks", partial(self._run_tasks, "assistant", True)),
            ("a second worker adds a tenth", self._share),
            ("the second worker is disabled", partial(call.disable_worker, worker=HELPER)),
            ("task_list, all", partial(call.task_list, limit=False)),
            ("task_list, upstream disabled", partial(call.task_list, "PENDING", "UPSTREAM_DISABLED")),
            ("task_list, a search", partial(call.task_list, search="country=DE 77")),
            ("task_search", partial(call.task_search, task_str="_77_")),
            ("dep_graph of the many deps", partial(call.dep_graph, task_id=sink)),
            ("inverse_dep_graph of the many dependents", partial(call.inverse_dep_graph, task_id="Hub")),
            ("worker_list, resource_list, count_pending", self._list_others),
            ("all is paused, and goes on", self._pause),
            ("verify", call.verify),
            ("the many deps are cleared", partial(call.add_task, worker=OWNER, task_id=sink, deps=[])),
            ("a prune with nothing due", call.prune),
            ("the owner of everything is dead, all is pruned", partial(self._prune_after, 3601)),
            ("all without stakeholders are removed", partial(self._prune_after, 601)),
        ]

    def _fill(self) -> None:
        self.scheduler.update_resources(**LIMITS)
        self.scheduler.add_task(worker=OWNER, task_id="Hub", priority=1)
        with SPAWN.Pool(PROCESSES) as pool:
            pool.starmap(
                _add_share, [(self.redis.url, self.tasks, self.hub, first, PROCESSES) for first in range(PROCESSES)]
            )

    def _add_sink(self, priority: int = 0) -> None:
        deps = [task_id(number) for number in range(self.hub)]
        self.scheduler.add_task(worker=OWNER, task_id="Sink", deps=deps, priority=priority)

    def _report_hub(self, status: str) -> None:
        """The call, and calls of others while what it left behind is worked off."""
        self.scheduler.add_task(worker=OWNER, task_id="Hub", status=status)
        for _ in range(10):
            self.scheduler.ping(worker=OWNER)
            self.scheduler.count_pending(worker=OWNER)
        self.scheduler.prune()

    def _register_batcher(self) -> None:
        self.scheduler.add_task_batcher(
            worker=OWNER, task_family="AggregateOrders", batched_args=["number", "date"], max_batch_size=BATCH
        )

    def _run_tasks(self, worker: str, assistant: bool) -> None:
        self.scheduler.add_worker(worker=worker, info={"workers": 4, "assistant": assistant})
        for _ in range(200):
            work = self.scheduler.get_work(worker=worker, assistant=assistant, current_tasks=[])
            if work.get("batch_task_ids"):
                self._run_batch(worker, work)
            elif work["task_id"]:
                self.scheduler.add_task(worker=worker, task_id=work["task_id"], status="DONE", assistant=assistant)

    def _run_batch(self, worker: str, work: Any) -> None:
        combined = "Combined_" + work["batch_id"]
        self.scheduler.add_task(worker=worker, task_id=combined, status="RUNNING", batch_id=work["batch_id"])
        self.scheduler.add_task(worker=worker, task_id=combined, status="DONE")

    def _run_batches(self) -> None:
        for first in range(self.tasks * 9 // 10, self.tasks, 5):
            task = _spare(first, self.tasks) | {"batchable": True, "priority": 5}
            self.scheduler.add_task(worker=OWNER, **task)
        self._run_tasks(OWNER, False)

    def _share(self) -> None:
        for number in range(0, self.tasks, 10):
            self.scheduler.add_task(worker=HELPER, **_task(number, self.tasks, self.hub))

    def _list_others(self) -> None:
        self.scheduler.worker_list()
        self.scheduler.resource_list()
        self.scheduler.count_pending(worker=OWNER)

    def _pause(self) -> None:
        self.scheduler.pause()
        self.scheduler.unpause()
        self.scheduler.pause_family(family="AggregateOrders")
        self.scheduler.unpause_family(family="AggregateOrders")

    def _prune_after(self, seconds: float) -> None:
        self.ahead_seconds += seconds
        self.scheduler.prune()

    def _forget_slowlog(self) -> None:
        """Empty it. That frees so much memory at once that the next script was seen to take three times as long."""
        self.redis.client.slowlog_reset()
        time.sleep(SETTLING_SECONDS)
        for _ in range(SETTLING_CALLS):
            self.scheduler.ping(worker=OWNER)

    def _longest(self, what: str) -> Longest:
        script, script_us, other, other_us = "", 0, "", 0
        entries: Any = self.redis.client.slowlog_get(1_000_000)
        for entry in entries:
            words = entry["command"].decode(errors="replace").split(" ", 2)
            duration_us = int(entry["duration"])
            if words[0] == "EVALSHA" and duration_us > script_us:
                script, script_us = self.names.get(words[1], words[1]), duration_us
            elif words[0] not in ("EVALSHA", "SCRIPT", "SLOWLOG") and duration_us > other_us:
                other, other_us = words[0], duration_us
        return Longest(what, script, script_us, other, other_us)


def _task(number: int, tasks: int, hub: int) -> dict[str, Any]:
    """The hub's dependents first, then layers, tasks with resources, and flat batchable ones."""
    if number < hub:
        return flat(number, tasks) | {"deps": ["Hub"]}
    if number < tasks // 2:
        return layered(number, tasks)
    if number < tasks * 3 // 4:
        return with_resources(number, tasks)
    return _spare(number, tasks) | {"batchable": True}


def _spare(number: int, tasks: int) -> dict[str, Any]:
    """Equal but for what is batched."""
    task = flat(number, tasks)
    return task | {"params": task["params"] | {"country": "DE"}}


def _add_share(url: str, tasks: int, hub: int, first: int, step: int) -> None:
    scheduler = Scheduler(url, NAMESPACE, prune_interval_seconds=None)
    for number in range(first, tasks, step):
        scheduler.add_task(worker=OWNER, **_task(number, tasks, hub))
