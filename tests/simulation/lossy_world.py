"""Workers, submitters and people on a bad network, before a real scheduler whose clock stands until it is moved.

A history is a list of steps, plain data: it can be carried out again, and made shorter. Whoever acts is a process whose
calls may get lost before the scheduler has them, or whose answers may; then it makes the same call again. Copies may
arrive late, after calls that were made later. A process may die between any two calls, stand still, or start again
under its name. After each step the tasks are looked at, and what has changed must be the doing of that step.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from broker_sched import BrokerSchedError, Scheduler
from broker_sched.contract.request_ids import Request
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.validation import check
from broker_sched.errors import NameTaken, Superseded
from broker_sched.scheduler.operations import OPERATIONS

FAMILIES = "FGB"  # by a task's number; of B there are batches
LIMITS = {"db": 2, "gpu": 1}
NEEDS: list[dict[str, float]] = [{"db": 1}, {}, {}, {"gpu": 1, "db": 1}, {}, {}, {"db": 2}, {}]  # by a task's number
SILENCE = 60.0  # worker_disconnect_delay
SHORTEST_SILENCE = 5.0  # then a new process may take a worker's name over
OPTIONS = {
    "retry_delay": 5,
    "remove_delay": 10_000_000,
    "worker_disconnect_delay": SILENCE,
    "disable_persist": 100,
    "retry_count": 4,
    "stable_done_cooldown_secs": 0,
}
ENDED_ROUNDS = 400  # in which everything must end, once nothing goes wrong any more


def needs_of(name: str) -> dict[str, float]:
    """What a task needs, as each report on it tells: it is what it needs from then on. A batch needs nothing."""
    return {} if name.startswith("batch-") else NEEDS[int(name[1:]) % len(NEEDS)]


class Step(NamedTuple):
    """One step of a history. who and what choose among those there are; fate: what the network does with the call."""

    kind: str
    who: int
    what: int
    fate: str


class Violation(AssertionError):
    """The scheduler did what it must never do."""


class Standing(NamedTuple):
    """How a task stands in Redis."""

    status: str
    worker: str
    attempt: int


UNKNOWN = Standing("", "", 0)
KINDS = {
    "ask": 20,
    "exchange": 20,
    "done": 14,
    "failed": 5,
    "new deps": 3,
    "release": 2,
    "refuse": 1,
    "shrink": 2,
    "ping": 4,
    "prune": 6,
    "a moment": 8,
    "a long time": 2,
    "clock set back": 1,
    "dies": 2,
    "starts again": 2,
    "stands still": 2,
    "goes on": 3,
    "submit": 18,
    "people": 4,
    "pause": 2,
    "late copy": 5,
}
SIGNS_OF_LIFE = ("add_worker", "add_task", "get_work", "exchange", "ping")
FATES = {"arrives": 16, "call lost": 2, "answer lost": 3, "copied": 2}
ACTIONS = ["retry", "forgive", "enable", "disable", "done", "stop", "remove"]


def history(seed: int, length: int) -> list[Step]:
    """The steps of this seed."""
    chance = random.Random(seed)
    kinds = chance.choices([*KINDS], [*KINDS.values()], k=length)
    fates = chance.choices([*FATES], [*FATES.values()], k=length)
    return [Step(kind, chance.randrange(1000), chance.randrange(1_000_000), fate) for kind, fate in zip(kinds, fates)]


@dataclass
class Sent:
    """A call that was made: what it asks, and what its caller does with the answer."""

    method: str
    arguments: dict[str, Any]
    request: Request
    heard: Callable[[Any], None]


@dataclass(eq=False)
class Process:
    """A worker's process, as it sees the world."""

    name: str
    start_id: str
    slots: int
    is_assistant: bool
    runs: dict[str, int] = field(default_factory=dict)  # what it believes to run: task or batch → attempt
    members: dict[str, list[str]] = field(default_factory=dict)  # batch → its tasks
    reports: list[dict[str, Any]] = field(default_factory=list)  # that wait for exchange
    unanswered: Sent | None = None
    first: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # batches of which it must tell that they run
    is_still: bool = False
    is_out: bool = False  # another one has its name now
    losses: int = 0
    calls: int = 0

    def request(self) -> Request:
        """The name of its next call. After a loss it is a new caller."""
        self.calls += 1
        return Request(f"{self.start_id}.{self.losses}", str(self.calls))


class World:
    """A scheduler and everybody around it."""

    def __init__(self, scheduler: Scheduler, clock: Any, workers: int, tasks: int) -> None:
        self.scheduler = scheduler
        self.clock = clock
        self.tasks = [f"t{number}" for number in range(tasks)]
        self.submitters = [Process("planner", "planner", 0, False), Process("other planner", "other", 0, False)]
        self.started = 0
        self.processes: list[Process] = []
        self.late: list[Sent] = []
        self.assistants: dict[str, bool] = {}  # worker → whether it is one, whoever has the name
        self.is_new = False  # the call that arrived last had not arrived before
        self.heard_at: dict[str, float] = {}  # worker → when the scheduler had a call of it last
        self.arrived: set[str] = set()  # calls that the scheduler has had before
        self.run_by: dict[tuple[str, int], Process] = {}  # a hand-out → whose it is
        self.standings: dict[str, Standing] = {}
        self.given_up: set[tuple[str, int]] = set()  # task and attempt: failed with a batch whose worker was missed
        self.touched: set[str] = set()  # tasks that people have changed in this step
        self.submitted: set[str] = set()  # tasks that were added in this step
        self.reported: dict[str, int | None] = {}  # tasks on whose runs the step has reported, with the attempt
        self.reporting: set[str | None] = set()  # the worker that reports in this step
        self.asked: set[str] = set()  # workers that have asked for work in this step
        self.excused: set[str] = set()  # workers that a new process has replaced in this step
        self.is_paused = False
        self.paused: set[str] = set()  # families
        scheduler.update_resources(**LIMITS)
        for number in range(workers):
            self.start(f"w{number}")

    # Carrying out steps

    def take(self, step: Step) -> None:
        """Carry out one step, and look at what it has changed. Raises Violation."""
        self.touched, self.submitted, self.reported, self.excused, self.asked = set(), set(), {}, set(), set()
        worker = self.processes[step.who % len(self.processes)]
        if step.kind == "late copy":
            self.deliver_late(step.what)
        elif step.kind in WITHOUT_WORKER:
            WITHOUT_WORKER[step.kind](self, step)
        elif step.kind in ("goes on", "starts again"):
            WITH_WORKER[step.kind](self, worker, step)
        elif not worker.is_still and not worker.is_out:
            if worker.unanswered is not None and step.kind != "dies":
                self.send_again(worker, step.fate)
            elif worker.first and step.kind != "dies":
                self.begin_batch(worker, step)
            else:
                WITH_WORKER[step.kind](self, worker, step)
        self.look(step)

    def call(self, process: Process, fate: str, method: str, heard: Callable[[Any], None], **arguments: Any) -> None:
        """Make a call, with whose answer `heard` is called, unless that is lost."""
        self.send(process, Sent(method, arguments, process.request(), heard), fate)

    def send_again(self, process: Process, fate: str) -> None:
        """Make the call again that was not answered."""
        sent = process.unanswered
        assert sent is not None
        again = Request(sent.request.caller, sent.request.number, is_repetition=True)
        self.send(process, Sent(sent.method, sent.arguments, again, sent.heard), fate)

    def send(self, process: Process, sent: Sent, fate: str) -> None:
        if fate == "copied":
            self.late.append(sent)
        if fate == "call lost":
            process.losses += process.unanswered is None
            process.unanswered = sent
            return
        answer = self.carry_out(sent)
        if fate == "answer lost":
            process.losses += process.unanswered is None
            process.unanswered = sent
            return
        process.unanswered = None
        if isinstance(answer, NameTaken):
            process.is_out = True
        elif isinstance(answer, Superseded):
            self.forget(process, sent.arguments["task_id"])
        elif isinstance(answer, BrokerSchedError):
            raise Violation(f"{sent.method} {sent.arguments} was refused: {answer}")
        else:
            sent.heard(answer)

    def carry_out(self, sent: Sent) -> Any:
        """The call arrives at the scheduler. Returns its answer, or the error that it is."""
        request = Request(sent.request.caller, sent.request.number, sent.request.is_repetition)
        commands = OPERATIONS[sent.method](self.scheduler.namespace, **check(METHODS[sent.method], sent.arguments))
        self.note_reports(sent)
        if sent.method in ("get_work", "exchange"):
            self.asked.add(sent.arguments["worker"])
        before = {task_id: self.fields(task_id) for task_id in self.reported}
        worker = sent.arguments.get("worker") if sent.method in SIGNS_OF_LIFE else None
        self.is_new = str(request) not in self.arrived  # else it may be answered by what was kept, or carried out again
        answer: Any
        try:
            answer = self.scheduler.drive(commands, request)
        except BrokerSchedError as error:
            answer = error
        if worker and not isinstance(answer, NameTaken | Superseded):
            self.heard_at[worker] = (
                self.clock.now if self.is_new else min(self.clock.now, self.heard_at.get(worker, 0.0))
            )
        self.arrived |= {f"{request.caller}:{request.number}", f"{request.caller}:{request.number}!"}
        if isinstance(answer, Superseded) and before != {name: self.fields(name) for name in before}:
            raise Violation(f"a report that does not count has changed something: {sent.arguments}")
        if isinstance(answer, Superseded) and self.is_new and any(map(self.counts, before, before.values())):
            raise Violation(f"a report of the worker that runs it does not count: {sent.arguments}")
        return answer

    def counts(self, name: str, fields: dict[str, str]) -> bool:
        """Whether what the step reports is of the run that is under way, by the worker that has it."""
        attempt, is_run = self.reported[name], fields.get("status") == "RUNNING"
        return is_run and fields["attempt"] == str(attempt) and fields["worker_running"] in self.reporting

    def note_reports(self, sent: Sent) -> None:
        self.reporting = {sent.arguments.get("worker")}
        reports = sent.arguments.get("reports", ())
        if sent.method in ("add_task", "release_task", "decrease_running_task_resources"):
            reports = [sent.arguments]
        elif sent.method == "refuse_tasks":
            reports = [{"task_id": each, "attempt": sent.arguments["attempt"]} for each in sent.arguments["task_ids"]]
        for each in reports:
            if "attempt" in each:
                self.reported.update(dict.fromkeys(self.members_of(each["task_id"]), each["attempt"]))
            else:
                self.submitted.add(each["task_id"])

    def members_of(self, name: str) -> list[str]:
        """The tasks of a batch, or the one task."""
        return next((each.members[name] for each in self.processes if name in each.members), [name])

    def fields(self, task_id: str) -> dict[str, str]:
        """All that Redis keeps in the task's hash."""
        found: dict[str, str] = self.scheduler._client.hgetall(self.scheduler.namespace.key("task", task_id))
        return found

    def forget(self, process: Process, name: str) -> None:
        process.runs.pop(name, None)

    # What workers do

    def start(self, name: str, is_assistant: bool | None = None) -> None:
        """A process begins to work under this name."""
        self.started += 1
        number = self.started
        helps = self.assistants.setdefault(name, number % 4 == 0 if is_assistant is None else is_assistant)
        process = Process(name, f"start{number}", 1 + number % 3, helps)
        self.processes.append(process)
        info = {"workers": process.slots, "assistant": process.is_assistant}
        if self.clock.now - self.heard_at.get(name, 0.0) >= SHORTEST_SILENCE:
            self.excused.add(name)
        self.call(
            process, "arrives", "add_worker", lambda answer: None, worker=name, info=info, start_id=process.start_id
        )
        if not process.is_out:
            batcher = {"task_family": "B", "batched_args": ["x"], "max_batch_size": 3}
            self.call(process, "arrives", "add_task_batcher", lambda answer: None, worker=name, **batcher)

    def ask(self, process: Process, step: Step) -> None:
        if process.reports:
            self.exchange(process, step)
        elif len(process.runs) < process.slots:
            more = dict(worker=process.name, start_id=process.start_id, current_tasks=self.current(process))
            more["assistant"] = process.is_assistant
            self.call(process, step.fate, "get_work", lambda work: self.take_work(process, work), **more)

    def exchange(self, process: Process, step: Step) -> None:
        reports, process.reports = process.reports, []
        more = dict(worker=process.name, start_id=process.start_id, current_tasks=self.current(process))
        more["assistant"] = process.is_assistant
        wanted = max(0, process.slots - len(process.runs))

        def heard(answer: Any) -> None:
            for each in reports:
                name = each["task_id"]
                if name not in answer["superseded"] and each["status"] == "DONE":
                    self.expect_done(each)
            for work in answer["work"]:
                self.take_work(process, work)

        if wanted or reports:
            self.call(process, step.fate, "exchange", heard, reports=reports, wanted=wanted, **more)

    def current(self, process: Process) -> list[str]:
        """What it says that it runs."""
        return list(process.runs)

    def take_work(self, process: Process, work: Any) -> None:
        batch, attempt = work.get("batch_id"), work.get("attempt")
        members = work["batch_task_ids"] if batch else [work["task_id"]]
        if members == [None]:
            return
        standings = self.read_standings(members).values()
        if not any((each.worker, each.attempt) == (process.name, attempt) for each in standings):
            raise Violation(f"{process.name} was told to run {members} as attempt {attempt}; they are {[*standings]}")
        for task_id in members:
            other = self.run_by.setdefault((task_id, attempt), process)
            if other is not process:
                raise Violation(f"{task_id}, attempt {attempt}, was given to {other.name} and {process.name}")
        if not batch:
            process.runs[work["task_id"]] = attempt
            return
        name = "-".join(["batch", *sorted(members)])
        process.runs[name], process.members[name] = attempt, members
        run = dict(family="B", status="RUNNING", batch_id=batch, attempt=attempt)
        process.first.append((name, run))  # told before anything else of it

    def begin_batch(self, process: Process, step: Step) -> None:
        """It puts a batch together, and tells that it runs."""
        name, run = process.first.pop(0)
        self.call(process, step.fate, "add_task", lambda _: None, worker=process.name, task_id=name, **run)

    def report(self, process: Process, step: Step) -> None:
        """A run ends, DONE or FAILED. DONE may wait for exchange."""
        if not process.runs:
            return
        name = list(process.runs)[step.what % len(process.runs)]
        attempt = process.runs.pop(name)
        report = {"task_id": name, "status": step.kind.upper(), "attempt": attempt}
        if step.kind == "done" and step.what % 3:
            process.reports.append(report)
            return

        def heard(answer: Any) -> None:
            if step.kind == "done":
                self.expect_done(report)

        more = {"assistant": process.is_assistant, "resources": needs_of(name)}
        self.call(process, step.fate, "add_task", heard, worker=process.name, **more, **report)

    def expect_done(self, report: dict[str, Any]) -> None:
        """Its report was taken: the task must be DONE, unless something else has happened since it arrived first."""
        if not self.is_new:
            return
        for task_id in self.members_of(report["task_id"]):
            standing = self.standing(task_id)
            if (task_id, report["attempt"]) in self.given_up:  # which members a batch had is known while it runs
                continue
            if standing.attempt == report["attempt"] and task_id in self.reported and standing.status != "DONE":
                raise Violation(f"{task_id} was reported DONE, and is {standing}")

    def new_deps(self, process: Process, step: Step) -> None:
        """A run wants tasks that come before it, and waits."""
        running = [name for name in process.runs if name in self.tasks[1:]]
        if not running:
            return
        name = running[step.what % len(running)]
        attempt = process.runs.pop(name)
        below = self.tasks[: self.tasks.index(name)]
        more = {"new_deps": [below[step.what % len(below)]], "attempt": attempt, "runnable": True}
        more["resources"] = needs_of(name)
        self.call(process, step.fate, "add_task", lambda _: None, worker=process.name, task_id=name, **more)

    def release(self, process: Process, step: Step) -> None:
        running = [name for name in process.runs if name in self.tasks]
        if running:
            name = running[step.what % len(running)]
            arguments = {"worker": process.name, "attempt": process.runs.pop(name)}
            self.call(process, step.fate, "release_task", lambda _: None, task_id=name, **arguments)

    def refuse(self, process: Process, step: Step) -> None:
        running = [name for name in process.runs if name in self.tasks]
        if running:
            name = running[step.what % len(running)]
            more = {"reason": "it is not here", "seconds": 20.0, "attempt": process.runs.pop(name)}
            self.call(process, step.fate, "refuse_tasks", lambda _: None, worker=process.name, task_ids=[name], **more)

    def shrink(self, process: Process, step: Step) -> None:
        """A run gives back some of its resources."""
        running = [name for name in process.runs if name in self.tasks]
        if running:
            name = running[step.what % len(running)]
            more = {"decrease_resources": {"db": 1}, "attempt": process.runs[name]}
            self.call(process, step.fate, "decrease_running_task_resources", lambda _: None, task_id=name, **more)

    def ping(self, process: Process, step: Step) -> None:
        def heard(answer: Any) -> None:
            for message in answer["rpc_messages"]:
                if message["name"] == "stop_task":
                    self.stopped(process, message["kwargs"]["task_id"])

        self.call(process, step.fate, "ping", heard, worker=process.name, start_id=process.start_id)

    def stopped(self, process: Process, task_id: str) -> None:
        """It was asked to end a run; so that fails."""
        for name in list(process.runs):
            if task_id in process.members.get(name, [name]):
                process.reports.append({"task_id": name, "status": "FAILED", "attempt": process.runs.pop(name)})

    def dies(self, process: Process, step: Step) -> None:
        if len(self.processes) > 1:
            self.processes.remove(process)
            self.start(f"{process.name}'" if step.what % 2 else process.name)

    def starts_again(self, process: Process, step: Step) -> None:
        """A second process under its name: it is refused while the first one was heard of lately, else replaces it."""
        self.start(process.name)
        new = self.processes[-1]
        if new.is_out:
            self.processes.remove(new)
        elif process.is_out or step.what % 2:
            self.processes.remove(process)  # else it stays, and believes that it still runs what it ran

    def stands_still(self, process: Process, step: Step) -> None:
        process.is_still = True

    def goes_on(self, process: Process, step: Step) -> None:
        process.is_still = False
        if process.is_out and len(self.processes) > 1:
            self.processes.remove(process)

    # What others do

    def submit(self, step: Step) -> None:
        """A submitter adds a task; deps are of those before it, so that there are no cycles."""
        chance = random.Random(step.what)
        who = self.submitters[step.who % len(self.submitters)]
        if who.unanswered is not None:
            self.send_again(who, step.fate)
            return
        number = chance.randrange(len(self.tasks))
        deps = chance.sample(self.tasks[:number], min(number, chance.choice([0, 0, 1, 3])))
        family = FAMILIES[number % 3]
        needs = needs_of(self.tasks[number])
        batch = {"batchable": True, "params": {"x": str(number)}} if family == "B" and not needs else {}
        more = dict(deps=deps, family=family, resources=needs, priority=chance.choice([0, 0, 5]), **batch)
        worker = chance.choice(self.processes).name if chance.random() < 0.7 else who.name
        self.call(who, step.fate, "add_task", lambda _: None, worker=worker, task_id=self.tasks[number], **more)

    def people(self, step: Step) -> None:
        names = {self.tasks[step.who % len(self.tasks)], self.tasks[step.what % len(self.tasks)]}
        self.touched |= names
        self.scheduler.change_tasks(sorted(names), ACTIONS[step.what % len(ACTIONS)])

    def pause(self, step: Step) -> None:
        family = FAMILIES[step.who % 3]
        pauses = step.what % 3 == 0
        if step.what % 2:
            self.is_paused = pauses
            (self.scheduler.pause if pauses else self.scheduler.unpause)()
        elif pauses:
            self.paused.add(family)
            self.scheduler.pause_family(family=family)
        else:
            self.paused.discard(family)
            self.scheduler.unpause_family(family=family)

    def prune(self, step: Step) -> None:
        self.scheduler.prune()

    def a_moment(self, step: Step) -> None:
        self.clock.advance([0.5, 2, 6][step.what % 3])

    def a_long_time(self, step: Step) -> None:
        """Nobody who does not stand still is silent so long; their heartbeats come through."""
        self.clock.advance([45, 70, 200][step.what % 3])
        for process in self.processes:
            if not process.is_still and not process.is_out and (step.who + process.calls) % 5:
                unanswered = process.unanswered  # another thread pings: this one has its call to send again still
                self.ping(process, step._replace(fate="arrives"))
                process.unanswered = unanswered

    def set_back(self, step: Step) -> None:
        self.clock.advance(-[1, 30, 100][step.what % 3])

    def deliver_late(self, what: int) -> None:
        """A copy of an earlier call arrives. Nobody waits for its answer."""
        if self.late:
            self.carry_out(self.late.pop(what % len(self.late)))

    # Looking

    def standing(self, task_id: str) -> Standing:
        """How one task stands."""
        return self.read_standings([task_id])[task_id]

    def read_standings(self, names: list[str]) -> dict[str, Standing]:
        """How these tasks stand."""
        with self.scheduler._client.pipeline(transaction=False) as pipeline:
            for name in names:
                key = self.scheduler.namespace.key("task", name)
                pipeline.hmget(key, "status", "worker_running", "attempt")
            replies = pipeline.execute()
        return {name: Standing(a or "", b or "", int(c or 0)) for name, (a, b, c) in zip(names, replies)}

    def look(self, step: Step) -> None:
        """Compare how all tasks stand with how they stood before. Raises Violation."""
        now = self.read_standings(self.tasks)
        for name, standing in now.items():
            before = self.standings.get(name, UNKNOWN)
            if standing != before:
                self.judge(step, name, before, standing)
        self.standings = now
        used = self.scheduler._client.hgetall(self.scheduler.namespace.key("used"))
        for resource, amount in used.items():
            if not 0 <= sum(map(float, str(amount).split())) <= LIMITS[resource]:
                raise Violation(f"{amount} of {resource} are used, and there are {LIMITS[resource]}")

    def judge(self, step: Step, name: str, before: Standing, now: Standing) -> None:
        """Whether this step may have changed the task so."""

        def fail(why: str) -> None:
            raise Violation(f"{name}: {before} became {now} by {step}, {why}")

        is_run = before.status in ("RUNNING", "BATCH_RUNNING")
        if now.attempt < before.attempt and name not in self.touched:
            fail("its attempts went backwards")
        if not now.status and name not in self.touched:
            fail("it is lost")
        is_handed_out = now.status in ("RUNNING", "BATCH_RUNNING") and now.attempt != before.attempt
        if before.status == "BATCH_RUNNING" and now.status == "FAILED" and name not in self.reported:
            self.given_up.add((name, before.attempt))
        if is_handed_out and not is_run and self.unmet(name):
            fail(f"and waits for {self.unmet(name)}")
        if is_handed_out and not is_run and (self.is_paused or FAMILIES[int(name[1:]) % 3] in self.paused):
            fail("though it is paused")
        knows = [each for each in self.processes if each.runs.get(name) == before.attempt and each.name == now.worker]
        if is_handed_out and is_run and any(not each.is_out for each in knows) and name not in self.touched:
            fail("and its worker runs it already")
        if is_handed_out and is_run and now.worker != before.worker and not self.may_end(name, before):
            fail("while another one ran it")
        if is_run and not is_handed_out and not self.may_end(name, before):
            fail("but nobody has ended its run")
        if before.status == "DONE" and name not in self.touched | self.submitted:
            fail("but it was DONE")

    def may_end(self, name: str, before: Standing) -> bool:
        """Whether what was called in this step may end the run that was under way."""
        silent = self.clock.now - self.heard_at.get(before.worker, 0.0) >= SILENCE
        is_reported = self.reported.get(name) == before.attempt
        is_excused = before.worker in self.excused or self.is_unheard_of(name, before)
        return name in self.touched or is_reported or silent or is_excused

    def is_unheard_of(self, name: str, before: Standing) -> bool:
        """Whether it is in a batch that its worker asks for work without: the hand-out was lost, and is taken back."""
        if before.status != "BATCH_RUNNING" or before.worker not in self.asked:
            return False
        return not any(
            each.name == before.worker and each.runs.get(batch) == before.attempt and name in members
            for each in self.processes
            for batch, members in each.members.items()
        )

    def unmet(self, name: str) -> list[str]:
        """Deps of a task that are not DONE."""
        client, namespace = self.scheduler._client, self.scheduler.namespace
        number = client.hget(namespace.key("task", name), "n")
        ids = [client.hget(namespace.key("ids"), dep) for dep in client.smembers(namespace.key("deps", number))]
        return [each for each in ids if client.hget(namespace.key("task", each), "status") != "DONE"]

    # The end

    def end_everything(self) -> None:
        """Nothing goes wrong any more: each task that was ever submitted must become DONE. Raises Violation."""
        self.late = []
        self.clock.advance(1000)  # whoever stood still is missed
        self.scheduler.prune()
        self.scheduler.unpause()
        for family in FAMILIES:
            self.scheduler.unpause_family(family=family)
        self.processes = []
        for number in range(3):
            self.start(f"fresh{number}", is_assistant=True)
        standings = self.read_standings(self.tasks)
        self.scheduler.change_tasks([name for name, each in standings.items() if each.status], "enable")
        for name in self.tasks:
            if self.fields(name).get("runner_set", "0") == "0":  # it was only depended on: nobody may run it yet
                self.scheduler.add_task(worker="planner", task_id=name)
        for _ in range(ENDED_ROUNDS):
            for process in self.processes:
                self.touched = set()
                step = Step("exchange", 0, 0, "arrives")
                self.exchange(process, step)
                while process.first:
                    self.begin_batch(process, step)
                while process.runs:
                    self.report(process, Step("done", 0, 1, "arrives"))
            left = {name: each for name, each in self.read_standings(self.tasks).items() if each.status != "DONE"}
            if not left:
                return
            self.clock.advance(3)
            self.scheduler.prune()
        raise Violation(f"these never ended: {left}")


WITH_WORKER: dict[str, Callable[[World, Process, Step], None]] = {
    "ask": World.ask,
    "exchange": World.exchange,
    "done": World.report,
    "failed": World.report,
    "new deps": World.new_deps,
    "release": World.release,
    "refuse": World.refuse,
    "shrink": World.shrink,
    "ping": World.ping,
    "dies": World.dies,
    "starts again": World.starts_again,
    "stands still": World.stands_still,
    "goes on": World.goes_on,
}
WITHOUT_WORKER: dict[str, Callable[[World, Step], None]] = {
    "prune": World.prune,
    "a moment": World.a_moment,
    "a long time": World.a_long_time,
    "clock set back": World.set_back,
    "submit": World.submit,
    "people": World.people,
    "pause": World.pause,
}
