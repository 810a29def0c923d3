"""A random policy: fed with the reference's replies, it decides the next step.

It behaves in part like real workers (schedule a graph, ask for work, report on
it) and in part like nobody should. What it emits is pure data, see pair.py.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from broker_sched.contract.types import REPORTABLE
from tests.parity.pair import ADVANCE, LABEL, Step
from tests.parity.views import draw_view
from tests.parity.world import NEEDS, PRIORITIES, RESOURCE_NAMES, UNSEEN, Task, World, draw_world

# How often each kind of step comes, and what a profile multiplies. A profile makes one theme frequent.
WEIGHTS = {
    "schedule": 8, "add": 8, "ask": 16, "report": 14, "stray": 5, "advance": 7, "ping": 3, "info": 4, "batcher": 2,
    "disable": 0.7, "limit": 3, "decrease": 1.5, "message": 1.5, "note": 2, "operate": 4, "pause": 0.6, "view": 7,
    "prune": 5,
}  # fmt: skip
PROFILES: dict[str, dict[str, float]] = {
    "mixed": {},
    "resources": {"limit": 2, "decrease": 2.5, "info": 2.5, "ask": 1.5, "advance": 0.4},
    "guard": {"add": 3, "ask": 1.5, "info": 2.5, "ping": 2, "stray": 0.2, "operate": 0.2, "view": 0.5},
    "batches": {"batcher": 5, "ask": 1.6, "report": 1.5, "note": 4, "advance": 0.6},
    "failures": {"report": 2, "advance": 1.2, "prune": 2, "operate": 3, "stray": 3},
    "deaths": {"advance": 2, "prune": 2, "view": 1.5, "disable": 2},
    "chaos": {"stray": 6, "message": 3, "note": 3, "operate": 2, "pause": 3},
}


class Run(NamedTuple):
    """What a worker believes to run."""

    task_id: str
    family: str | None
    batch_id: str | None


class Policy:
    """Decides step after step. `next` gives one; `learn` takes the reference's reply to it."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        self.profile = self.rng.choice([*PROFILES, "batches", "batches", "guard"])  # these take long to come about
        self.world: World = draw_world(self.rng, self.profile)
        self._soon: deque[Step] = deque()
        self._running: dict[str, list[Run]] = {worker: [] for worker in self.world.workers}
        self._batches: list[tuple[str, str]] = []  # (batch_id, combined task id)
        self._messages: list[tuple[str, str]] = []  # (symbolic id, task id)
        self._failed: deque[str] = deque(maxlen=4)  # tasks that failed lately
        self._losing = self.rng.choice((0.0, 0.05, 0.2))  # share of get_work replies lost on the way
        self._recent: deque[str] = deque(maxlen=3)  # workers that scheduled lately: they get work when they ask
        factors = PROFILES[self.profile]
        self._weights = [weight * factors.get(kind, 1) for kind, weight in WEIGHTS.items()]
        self._makers: list[Callable[[str], Step]] = [getattr(self, f"_{kind}") for kind in WEIGHTS]
        if self.profile == "batches":
            self._soon.extend(self._batcher(worker) for worker in self.world.workers[:3] for _ in range(2))
            self._soon.append(self._schedule(self.world.workers[0]))

    def next(self) -> Step:
        """The next step: something begun earlier, or something new."""
        if self._soon and self.rng.random() < 0.85:
            return self._soon.popleft()
        make = self.rng.choices(self._makers, self._weights)[0]
        return make(self._some_worker())

    def _some_worker(self) -> str:
        """The first workers are the busiest, so that several calls in a row meet the same one."""
        workers = self.world.workers
        return self.rng.choices(workers, [1 / (1 + number) for number in range(len(workers))])[0]

    def learn(self, step: Step, reply: Any) -> None:
        """Take what the worker now knows from the reference's reply."""
        name, arguments = step
        if name != "get_work" or self.rng.random() < self._losing:
            return
        worker, task_id, batch_id = arguments["worker"], reply["task_id"], reply.get("batch_id")
        if task_id and all(run.task_id != task_id for run in self._running[worker]):
            self._running[worker].append(Run(task_id, reply["task_family"], None))
        elif batch_id:
            self._start_batch(worker, batch_id, reply)

    def _start_batch(self, worker: str, batch_id: str, reply: dict[str, Any]) -> None:
        combined = f"{reply['task_family']}_batch_{batch_id[:6]}"
        self._batches.append((batch_id, combined))
        if self.rng.random() < 0.1:
            return  # the worker dies before it reports the start
        self._running[worker].append(Run(combined, reply["task_family"], batch_id))
        started = {
            "worker": worker,
            "task_id": combined,
            "module": reply["task_module"],
            "family": reply["task_family"],
            "params": reply["task_params"],
            "status": "RUNNING",
            "batch_id": batch_id,
        }
        self._soon.append(("add_task", started))

    # Scheduling

    def _schedule(self, worker: str) -> Step:
        """Add a task and what it depends on, parents first, as a client does."""
        self._recent.append(worker)
        known = {task.task_id: task for task in self.world.tasks}
        wanted, found = deque([self.rng.choice(self.world.tasks)]), []
        while wanted and len(found) < 7:
            task = wanted.popleft()
            found.append(task)
            wanted.extend(known[dep] for dep in task.deps if dep in known and known[dep] not in found)
        if self.rng.random() < 0.15:
            found.reverse()
        siblings = [task for task in self.world.tasks if task.family == found[0].family and not task.deps]
        if found[0].family.batchable and self.rng.random() < (0.9 if self.profile == "batches" else 0.5):
            found += self.rng.sample(siblings, min(6 if self.profile == "batches" else 3, len(siblings)))
        steps = [self._add_as_client(worker, task) for task in found]
        self._soon.extend(steps[1:])
        return steps[0]

    def _add_as_client(self, worker: str, task: Task) -> Step:
        arguments = self._described(worker, task) | {"deps": list(task.deps)}
        chance = self.rng.random()
        if chance < 0.15:
            arguments |= {"status": "DONE", "runnable": False}
        elif chance < 0.22:
            arguments |= {"status": "PENDING", "runnable": False}  # an external task
        elif chance < 0.25:
            arguments |= {"status": "UNKNOWN", "runnable": False, "deps": None}
        return "add_task", arguments

    def _described(self, worker: str, task: Task) -> dict[str, Any]:
        """The arguments that describe a task. Each time a little differs from the last time."""
        rng = self.rng
        arguments: dict[str, Any] = {
            "worker": worker,
            "task_id": task.task_id,
            "family": task.family.name,
            "module": "flows",
            "params": task.params,
            "param_visibilities": task.family.visibilities,
            "resources": task.resources if rng.random() < 0.9 else rng.choice(NEEDS),
            "priority": task.priority if rng.random() < 0.85 else rng.choice(PRIORITIES),
            "assistant": worker in self.world.assistants,
            "batchable": task.family.batchable if rng.random() < 0.93 else not task.family.batchable,
        }
        if rng.random() < 0.25:
            arguments["retry_policy_dict"] = self._retry_policy()
        if rng.random() < 0.3:
            arguments["accepts_messages"] = rng.choice((True, False, None))
        if rng.random() < 0.15:
            arguments["tracking_url"] = f"http://host/{rng.randrange(9)}"
        if rng.random() < 0.1:
            arguments["expl"] = rng.choice(("", "boom", '"quoted/é"', 7, ["boom"], False))
        return arguments

    def _retry_policy(self) -> dict[str, float | None]:
        choices: dict[str, tuple[float | None, ...]] = {
            "retry_count": (0, 1, 2, 5, None),
            "disable_hard_timeout": (0, 5, 60, None),
            "disable_window": (0, 5, 60, None),
        }
        chosen = self.rng.sample(list(choices), self.rng.randint(0, 3))
        return {name: self.rng.choice(choices[name]) for name in chosen}

    def _add(self, worker: str) -> Step:
        """Add one task in an unusual way."""
        rng = self.rng
        number = rng.randrange(len(self.world.tasks))
        task = self.world.tasks[number]
        arguments = self._described(worker, task)
        arguments["deps"] = rng.choice((None, None, [], list(task.deps), self._earlier(number)))
        if rng.random() < 0.2:
            arguments["new_deps"] = self._earlier(number)
        if rng.random() < 0.25:
            arguments["status"] = rng.choice(REPORTABLE)
        if rng.random() < 0.2:
            arguments["runnable"] = False
        if rng.random() < 0.15:
            arguments["assistant"] = not arguments["assistant"]
        if rng.random() < 0.15:
            arguments["batchable"] = rng.choice((True, False, None))
        if rng.random() < 0.1:
            arguments |= {"family": "", "params": None, "module": None}
        return "add_task", arguments

    def _earlier(self, number: int) -> list[str]:
        """Deps for the task of this number: earlier ones only, so that no cycle comes about."""
        ids = self.world.task_ids[:number] + list(UNSEEN)
        return self.rng.sample(ids, min(len(ids), self.rng.randint(0, 3)))

    # Working

    def _ask(self, worker: str) -> Step:
        if self._recent and self.rng.random() < 0.6:
            worker = self.rng.choice(self._recent)
        running = [run.task_id for run in self._running[worker]]
        believed = self.rng.choices(
            (None, running, [], running[1:], [*running, "elsewhere"]), weights=(30, 45, 7, 10, 8)
        )[0]
        arguments: dict[str, Any] = {"worker": worker, "host": f"host-{worker}", "current_tasks": believed}
        if worker in self.world.assistants or self.rng.random() < 0.04:
            arguments["assistant"] = self.rng.random() < 0.95
        return "get_work", arguments

    def _report(self, worker: str) -> Step:
        """Report on what some worker runs."""
        busy = [name for name, runs in self._running.items() if runs]
        if not busy:
            return self._ask(worker)
        worker = self.rng.choice(busy)
        run = self.rng.choice(self._running[worker])
        status = self.rng.choices(
            ("DONE", "FAILED", "PENDING", "RUNNING", "DISABLED", "UNKNOWN"), weights=(45, 30, 10, 9, 4, 2)
        )[0]
        arguments: dict[str, Any] = {"worker": worker, "task_id": run.task_id, "status": status, "runnable": None}
        if status != "RUNNING":
            self._running[worker].remove(run)
        known = {task.task_id: number for number, task in enumerate(self.world.tasks)}
        number = known.get(run.task_id)
        if number is not None:
            arguments |= self._described(worker, self.world.tasks[number])
        elif self.rng.random() < 0.5:
            arguments["batch_id"] = run.batch_id
        if status == "PENDING":
            arguments["new_deps"] = self._earlier(number if number is not None else len(self.world.tasks))
        elif self.rng.random() < 0.3:
            arguments["new_deps"] = []
        if status == "FAILED":
            self._failed.append(run.task_id)
        if status in ("FAILED", "RUNNING") and self.rng.random() < 0.5:
            arguments["expl"] = f"because {self.rng.randrange(9)}"
        if self.rng.random() < 0.2:
            arguments["tracking_url"] = f"http://run/{self.rng.randrange(9)}"
        return "add_task", arguments

    def _stray(self, worker: str) -> Step:
        """A report that no well-behaved worker would send."""
        rng = self.rng
        again = self._failed and rng.random() < 0.4
        arguments: dict[str, Any] = {
            "worker": worker,
            "task_id": rng.choice(self._failed) if again else self._some_task(),
            "status": "FAILED" if again and rng.random() < 0.7 else rng.choice(REPORTABLE),
            "runnable": rng.choice((True, False, None)),
        }
        if self._batches and rng.random() < 0.2:
            arguments["batch_id"] = rng.choice(self._batches)[0]
        if rng.random() < 0.15:
            known = {task.task_id: number for number, task in enumerate(self.world.tasks)}
            arguments["new_deps"] = self._earlier(known.get(arguments["task_id"], 0))
        if rng.random() < 0.2:
            arguments["resources"] = rng.choice(NEEDS)
        if rng.random() < 0.2:
            arguments["priority"] = rng.choice(PRIORITIES)
        return "add_task", arguments

    def _some_task(self) -> str:
        """A task id: one that runs, a combined one, or any."""
        running = [run.task_id for runs in self._running.values() for run in runs]
        combined = [task_id for _, task_id in self._batches]
        pool = self.rng.choice((running, combined, self.world.task_ids, self.world.task_ids))
        return self.rng.choice(pool or [*self.world.task_ids, "nobody_knows"])

    # Time, workers, resources

    def _advance(self, worker: str) -> Step:
        """Let time pass; often exactly to an edge, and then often some workers are heard of first."""
        options = self.world.options
        edges = [value for value in options.values() if type(value) is int and 0 < value <= 90000]
        near = [max(0.25, edge + offset) for edge in edges for offset in (0, 0, 0.25, -0.25)]
        near = [value for value in near if value <= 1000 or self.rng.random() < 0.3]
        pool = self.rng.choices(((0.25, 0.5, 1.0, 2.0), near, (90.0, 700.0, 4000.0, 90000.0)), weights=(40, 50, 10))[0]
        seconds = float(self.rng.choice(pool))
        if seconds >= 5 and self.rng.random() < 0.7:
            workers = self.world.workers
            alive = workers if self.rng.random() < 0.5 else self.rng.sample(workers, self.rng.randint(1, len(workers)))
            self._soon.extend(("ping", {"worker": name}) for name in alive)
        if self.rng.random() < 0.5:
            self._soon.append(("prune", {}))
        return ADVANCE, seconds

    def _ping(self, worker: str) -> Step:
        return "ping", {"worker": worker}

    def _info(self, worker: str) -> Step:
        choices: list[dict[str, Any]] = [
            {"workers": self.rng.randrange(4)},
            {"workers": 2, "host": "h", "username": "u"},
            {"first_task": self._some_task()},
            {"assistant": self.rng.random() < 0.7},
        ]
        info = self.rng.choices(choices, weights=(6, 2, 1, 1))[0]
        return "add_worker", {"worker": worker, "info": self.rng.choice((info, [list(pair) for pair in info.items()]))}

    def _batcher(self, worker: str) -> Step:
        families = [task.family for task in self.world.tasks]
        family = self.rng.choice([family for family in families if family.batchable] or families)
        names = list(family.parameters)
        batched = self.rng.choices((names[:1], names[1:2], names, ["absent"]), weights=(14, 2, 2, 1))[0]
        arguments: dict[str, Any] = {"worker": worker, "task_family": family.name, "batched_args": batched}
        size = self.rng.choice((2, 2, 3, 3, 1, None, None))
        return "add_task_batcher", arguments | ({} if size is None else {"max_batch_size": size})

    def _disable(self, worker: str) -> Step:
        return "disable_worker", {"worker": worker}

    def _limit(self, worker: str) -> Step:
        name = self.rng.choice(RESOURCE_NAMES)
        if self.rng.random() < 0.4:
            return "update_resource", {"resource": name, "amount": self.rng.choice((0, 1, 1, 2, 3, -1, 1.5, "many"))}
        return "update_resources", {name: self.rng.choice((0, 0.5, 1, 1, 2, 3, 1.5))}

    def _decrease(self, worker: str) -> Step:
        amounts = {name: self.rng.choice((0.5, 1, 3, 0, -1)) for name in self.rng.sample(RESOURCE_NAMES, 2)}
        return "decrease_running_task_resources", {"task_id": self._some_task(), "decrease_resources": amounts}

    # Messages, notes, operators

    def _message(self, worker: str) -> Step:
        if not self._messages or self.rng.random() < 0.4:
            label, task_id = f"message-{len(self._messages) + 1}", self._some_task()
            self._messages.append((label, task_id))
            content = self.rng.choice(("stop", {"a": [1, None]}, 3.5))
            return "send_scheduler_message", {"worker": worker, "task": task_id, "content": content, LABEL: label}
        label, task_id = self.rng.choice(self._messages)
        if self.rng.random() < 0.5:
            response = self.rng.choice(("ok", None, {"b": []}))
            self._soon.extend([("get_scheduler_message_response", {"task_id": task_id, "message_id": label})] * 2)
            return "add_scheduler_message_response", {"task_id": task_id, "message_id": label, "response": response}
        return "get_scheduler_message_response", {"task_id": task_id, "message_id": label}

    def _note(self, worker: str) -> Step:
        batches = [run.task_id for runs in self._running.values() for run in runs if run.batch_id]
        task_id = self.rng.choice(batches) if batches and self.rng.random() < 0.7 else self._some_task()
        choices: list[Step] = [
            ("set_task_status_message", {"task_id": task_id, "status_message": self.rng.choice(("half", "", None))}),
            ("set_task_progress_percentage", {"task_id": task_id, "progress_percentage": self.rng.choice((0, 5.5))}),
            ("report_task_statistics", {"task_id": task_id, "statistics": {"rows": 5}}),
            ("set_worker_processes", {"worker": worker, "n": self.rng.randrange(5)}),
            ("announce_scheduling_failure", {"worker": worker, "task_name": task_id, "family": "Load", "params": {},
                                             "expl": "e", "owners": []}),
        ]  # fmt: skip
        return self.rng.choices(choices, weights=(3, 3, 0.5, 1, 0.5))[0]

    def _operate(self, worker: str) -> Step:
        method = self.rng.choice(("forgive_failures", "mark_as_done", "re_enable_task"))
        task_id = self.rng.choice(self._failed) if self._failed and self.rng.random() < 0.6 else self._some_task()
        return method, {"task_id": task_id}

    def _pause(self, worker: str) -> Step:
        # Unpaused sooner than paused, else most sequences would hand out nothing.
        self._soon.append(("unpause", {}))
        return self.rng.choice(("pause", "pause", "unpause")), {}

    def _view(self, worker: str) -> Step:
        return draw_view(self.rng, self.world, worker, self._some_task())

    def _prune(self, worker: str) -> Step:
        return "prune", {}
