"""What every index should hold, worked out from the tasks alone, slowly and plainly.

The Lua scripts keep the indexes as states change and never rebuild them. This is
the other way to know them: the self-check compares the two.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from fractions import Fraction
from typing import Any

from broker_sched.contract.types import MAX_SAFE_INTEGER
from broker_sched.redis_backend.encoding import to_bytes
from broker_sched.scheduler.dates import date_of
from broker_sched.scheduler.integrity.snapshot import Snapshot

NOBODY = "0"
RUNNING_STATUSES = ("RUNNING", "BATCH_RUNNING")
TIME = re.compile(r"\d+\.\d{6}")  # as scripts write it


class ExpectedIndexes:
    """The indexes that follow from a snapshot's tasks, workers, runner sets and stakeholder sets.

    `expected` maps a key's name to its content; a name that is absent must not exist in Redis.
    `fields` maps the name of a task's hash to the fields that only record where it is indexed.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.tasks = dict(snapshot.named("task"))
        self.by_number = {task["n"]: task_id for task_id, task in self.tasks.items() if "n" in task}
        self.expected: dict[str, Any] = {}
        self.fields: dict[str, dict[str, str | None]] = {}
        self._sets: dict[str, set[str]] = defaultdict(set)
        self._zsets: dict[str, dict[str, float]] = defaultdict(dict)
        self._hashes: dict[str, dict[str, str]] = defaultdict(dict)
        self._runner_sets: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._blocking = self._find_blocking()
        self._paused_families = json.loads(snapshot.hash("config").get("paused_families", "{}"))
        for task_id, task in self.tasks.items():
            if "n" in task:
                self._add_task(task_id, task)
        self._add_used()
        self._add_worker_sets("runner_set")
        self._add_worker_sets("stakeholder_set")
        self._add_workers()
        for content in (self._sets, self._zsets, self._hashes):
            self.expected.update((name, value) for name, value in content.items() if value)

    def _add_task(self, task_id: str, task: dict[str, str]) -> None:
        n = task["n"]
        self._hashes["ids"][n] = task_id
        deps = self.snapshot.members(f"deps:{n}")
        for dep in deps:
            self._sets[f"dependents:{dep}"].add(n)
            self._hashes["ids"].setdefault(dep, self.snapshot.hash("ids").get(dep, "?"))
            if not self._is_done(dep):
                self._sets[f"unmet:{n}"].add(dep)
            if dep in self._blocking:
                self._sets[f"blockers:{n}"].add(dep)
            if dep not in self.by_number:
                self._hashes["missing_deps"][self._hashes["ids"][dep]] = dep
        if "linking" in task:
            self._sets[f"unmet:{n}"].add("!")
        stakeholder_set = task.get("stakeholder_set", NOBODY)
        if stakeholder_set != NOBODY:
            self._sets[f"stakeholder_set:{stakeholder_set}:tasks"].add(n)
        self._add_running(task)
        self._add_placing(task_id, task)
        if "disabled_at" in task and "disabled_by" not in task:
            self._zsets["due:enable"][n] = float(task["disabled_at"])
        if "postponed" in task:
            self._zsets["due:postponed"][n] = float(task["postponed"])

    def _status_of(self, n: str) -> str | None:
        task_id = self.by_number.get(n)
        return None if task_id is None else self.tasks[task_id]["status"]

    def _is_done(self, n: str) -> bool:
        return self._status_of(n) == "DONE"

    def _find_blocking(self) -> set[str]:
        """The tasks that make their dependents UPSTREAM_DISABLED: DISABLED, or PENDING and so themselves."""
        dependents: dict[str, set[str]] = defaultdict(set)
        for n in self.by_number:
            for dep in self.snapshot.members(f"deps:{n}"):
                dependents[dep].add(n)
        wave = {n for n in self.by_number if self._status_of(n) == "DISABLED"}
        found: set[str] = set()
        while wave:
            found |= wave
            above = {n for dep in wave for n in dependents[dep]}
            wave = {n for n in above - found if self._status_of(n) == "PENDING"}
        return found

    def _add_running(self, task: dict[str, str]) -> None:
        n, runner = task["n"], task.get("worker_running", "")
        if task["status"] == "RUNNING":
            self._sets[f"running:{runner}"].add(n)
            self._zsets["running"][task.get("rank", n)] = -float(task["priority"])
        elif task["status"] == "BATCH_RUNNING":
            batch_id = task.get("batch_id", "?")
            self._sets[f"batch:{batch_id}"].add(n)
            self._sets["batch_running"].add(n)
            batches = self._hashes[f"worker_batches:{runner}"]
            batches[batch_id] = str(int(batches.get(batch_id, "0")) + 1)

    def _add_placing(self, task_id: str, task: dict[str, str]) -> None:
        n, status, runner_set = task["n"], task["status"], task.get("runner_set", NOBODY)
        needs = task.get("resources", "")
        tally = counted = ready = None
        blocked = bool(self._sets.get(f"blockers:{n}"))
        if runner_set != NOBODY:
            self._runner_sets[runner_set]["tasks"] += 1
            if status == "RUNNING":
                tally = f"{runner_set}R"
                self._hashes[f"runner_set:{runner_set}:running"][task_id] = task.get("worker_running", "")
            elif status == "PENDING":
                tally = f"{runner_set}{'r' if needs else 'p'}"
                self._runner_sets[runner_set]["pending"] += 1
                self._runner_sets[runner_set]["with_resources"] += bool(needs)
            last = self._last_worker(task, runner_set)
            if last and (status == "FAILED" or (status == "PENDING" and not blocked)):
                counted = f"{runner_set}:{last}"
                self._sets[f"counted:{counted}"].add(n)
                self._runner_sets[runner_set]["counted"] += 1
        if status == "PENDING" and not self._sets.get(f"unmet:{n}"):
            ready = self._place_of(task, runner_set)
            self._zsets[f"ready:{ready}"][task.get("rank", n)] = -float(task["priority"])
            self._sets["ready_queues"].add(ready)
            self._sets[f"ready_queues:{runner_set}"].add(ready)
        batched = "1" if ready and task.get("batchable") == "1" and "refusals" not in task else None
        if batched:
            self._add_batches(task_id, task, runner_set)
        self.fields[task_id] = {"tally": tally, "counted": counted, "ready": ready, "batched": batched}
        self._add_listing(task_id, task, bool(ready), blocked)

    def _add_listing(self, task_id: str, task: dict[str, str], ready: bool, blocked: bool) -> None:
        """Where it is listed (lua/lib/tasks/listing.lua). When it became ready is known from its field alone."""
        state, family = task["status"], task.get("family", "")
        if state == "PENDING":
            state = "READY" if ready else "BLOCKED" if blocked else "WAITING"
        ready_since = task.get("ready_since") if state == "READY" and _is_time(task.get("ready_since")) else None
        self._zsets[f"tasks:{state}:{family}"][task["n"]] = float(ready_since or task["updated"])
        self._sets["families"].add(family)
        self._add_date(task_id, task, state, family)
        self.fields[task_id]["blocked"] = "1" if state == "BLOCKED" else None
        self.fields[task_id]["ready_since"] = ready_since

    def _add_date(self, task_id: str, task: dict[str, str], state: str, family: str) -> None:
        """Where it is listed by its date, which its parameters name."""
        detail = self.snapshot.hash(f"detail:{task_id}")
        params = json.loads(task.get("params") or detail.get("params") or "{}")
        date = date_of(params, json.loads(detail.get("param_visibilities", "{}")))
        self.fields[task_id]["date"] = date or None
        if date:
            self._sets[f"dated:{state}:{date}:{family}"].add(task["n"])
            months = self._hashes[f"months:{family}"]
            months[date[:7]] = str(int(months.get(date[:7], "0")) + 1)

    def _place_of(self, task: dict[str, str], runner_set: str) -> str:
        """The ready queue it says it stands in, when that is one of the right ones (lua/lib/hand_out/labels.lua)."""
        needs = task.get("resources", "")
        module = _label(task.get("module", ""))
        family = f"{module}:{_label(task.get('family', ''))}"
        if "postponed" in task:
            return f"{runner_set}@{family}!|{needs}"
        if task.get("family") in self._paused_families:
            return f"{runner_set}@{family}|{needs}"
        places = [f"{runner_set}{mark}|{needs}" for mark in ("", f"@{module}", f"@{family}")]
        return task["ready"] if task.get("ready") in places else places[0]

    def _last_worker(self, task: dict[str, str], runner_set: str) -> str | None:
        members = self.snapshot.members(f"runner_set:{runner_set}:workers")
        alive = [w for w in task.get("workers", "").split(",") if w in members]
        return alive[-1] if alive else None

    def _add_batches(self, task_id: str, task: dict[str, str], runner_set: str) -> None:
        family, n = task.get("family", ""), task["n"]
        self._sets[f"batchable:{family}"].add(n)
        text = task.get("params") or self.snapshot.hash(f"detail:{task_id}").get("params") or "{}"
        for names_text in self.snapshot.members(f"batch_names:{family}"):
            params = json.loads(text)
            names = json.loads(names_text)
            if any(name not in params for name in names):
                continue
            try:
                others = canonical({name: value for name, value in params.items() if name not in names})
            except OverflowError:
                continue
            signature = "|".join((names_text, task.get("resources", ""), others, family))
            self._zsets[f"batch_ready:{runner_set}|{signature}"][task.get("rank", n)] = -float(task["priority"])
            self._sets[f"batch_runner_sets:{signature}"].add(runner_set)
            self._sets[f"batch_keys:{n}"].add(f"{runner_set}|{signature}")

    def _add_used(self) -> None:
        used: dict[str, Fraction] = defaultdict(Fraction)
        for task in self.tasks.values():
            if task.get("status") == "RUNNING":
                for name, amount in self._holding(task).items():
                    used[name] += Fraction(amount)
        for name, total in used.items():
            if total:
                self._hashes["used"][name] = text_of_sum(total)

    def _holding(self, task: dict[str, str]) -> dict[str, float]:
        if "held" not in task:
            return dict(json.loads(task.get("resources", "{}")))
        return {} if task["held"] == "1" else dict(json.loads(task["held"]))

    def _add_worker_sets(self, kind: str) -> None:
        """Sizes, keys and members of runner sets or stakeholder sets; which worker is in which."""
        weights = {worker["w"]: int(worker["weight"]) for _, worker in self.snapshot.named("worker")}
        for name, members in self.snapshot.named(kind):
            worker_set, _, part = name.partition(":")
            if part != "workers":
                continue
            for w in members:
                self._sets[f"worker_{kind}s:{w}"].add(worker_set)
            if all(w in weights for w in members):
                key = str(sum(weights[w] for w in members) % 2**52)
                self._hashes[f"{kind}:{worker_set}"].update(key=key, size=str(len(members)))
        for name, found in self.snapshot.named(kind):
            if ":" not in name:
                self._hashes[f"{kind}:{name}"].setdefault("size", "0")
                self._hashes[f"{kind}:{name}"].setdefault("key", found.get("key", "?"))
        if kind == "runner_set":
            for runner_set, counts in self._runner_sets.items():
                self._hashes[f"runner_set:{runner_set}"].update(
                    (name, str(count)) for name, count in counts.items() if count
                )

    def _add_workers(self) -> None:
        for worker_id, worker in self.snapshot.named("worker"):
            self._hashes["worker_ids"][worker["w"]] = worker_id
            if "submission" in worker:
                self._sets["submissions"].add(worker["w"])


def _is_time(text: str | None) -> bool:
    return text is not None and TIME.fullmatch(text) is not None


def _label(text: str) -> str:
    """A module or family as it stands in the name of a ready queue."""
    return "".join(f"%{ord(char):02X}" if char in "%:!|" else char for char in text)


def text_of_sum(total: Fraction) -> str:
    """An exact sum of doubles as lib/tasks/resources.lua writes it: as many doubles as it takes, largest first."""
    parts = []
    while total:
        parts.append(float(total))
        total -= Fraction(parts[-1])
    return " ".join(f"{part:.17g}" for part in parts) or "0"


def sum_of_text(text: str) -> Fraction:
    """The exact sum behind such a text, which is not the only one for it."""
    return sum((Fraction(float(part)) for part in text.split()), Fraction())


def canonical(value: Any) -> str:
    """The text that lib/batches/batch_index.lua makes of a JSON value: equal exactly when the values are.

    Raises OverflowError for a number that a double may not hold exactly.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"{len(to_bytes(value))}:{value}"
    if isinstance(value, (int, float)):
        if abs(value) >= MAX_SAFE_INTEGER:
            raise OverflowError(value)
        return f"{float(value):.17g}"
    entries = value.items() if isinstance(value, dict) else enumerate(value, start=1)
    parts = [f"{canonical(name)}={canonical(inner)}" for name, inner in entries]
    return "{" + ",".join(sorted(parts, key=to_bytes)) + "}"
