"""A fleet that works while things go wrong: Redis, a server, and workers over HTTP and straight to Redis."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from broker_sched import Scheduler, submit
from tests.faults.network import Network
from tests.faults.steps import Round
from tests.harness import ServerProcess
from tests.nightly import by_night
from tests.programs import Program, environment_with
from tests.servers import RunningRedis, free_port, until

LAYERS = by_night(4, 3)
ACKNOWLEDGED = "Informed scheduler that task"
QUICK = ["--set", "wait_interval=0.1", "--set", "wait_jitter=0", "--set", "ping_interval=0.5"]


class Fleet:
    """What a round's tasks are run by.

    redis: what faults happen to; it ends with the fleet. url: where all reach it, if not at its own address. kinds: of
    its workers, see start_worker. rq_settings: a module by which `rq worker` finds Redis; without it there is none.
    """

    def __init__(
        self,
        directory: Path,
        redis: RunningRedis,
        url: str | None = None,
        kinds: tuple[str, ...] = ("http", "redis"),
        rq_settings: str = "",
    ) -> None:
        self.directory = directory
        self.redis = redis
        self.redis_url = url or redis.url
        for name in ("journal", "out", "overlaps", "logs"):
            (directory / name).mkdir()
        self.namespace = f"faults-{uuid.uuid4().hex[:8]}"
        # Redis, or the network, is away for a second and more: a worker missed meanwhile would be thought dead.
        options = {"worker_disconnect_delay": 10, "retry_delay": 0.5, "retry_count": 1000}
        self.scheduler = Scheduler(self.redis_url, self.namespace, **options)
        self.port = free_port()
        self.start_server()
        self.network = Network(self.port)
        self.started = 0
        self.rounds = 0
        self.workers: dict[str, Program] = {}
        self.kinds = kinds
        self.rq_workers = [self._start_rq_worker(rq_settings) for _ in range(2 * bool(rq_settings))]
        for kind in kinds:
            self.start_worker(kind)

    def start_server(self) -> None:
        where = ("--redis", self.redis_url, "--namespace", self.namespace, "--port", str(self.port))
        self.server = ServerProcess(*where).await_ready()

    def start_worker(self, kind: str) -> None:
        """Start a worker in place of the last of its kind.

        It reaches the scheduler over `http`, or straight through `redis`; `rq` does so, too, and supervises rq workers.
        """
        self.started += 1
        straight = ["--redis", self.redis_url, "--namespace", self.namespace]
        at = {
            "http": ["--scheduler-url", f"http://127.0.0.1:{self.network.port}"],
            "redis": straight,
            "rq": [*straight, "--executor", "rq", "--rq-queue", self.namespace],
        }[kind]
        words = ["worker", "--processes", "2", "--name", f"{kind}-{self.started}", "--log-format", "json", *at, *QUICK]
        with (self.directory / "logs" / f"{self.started}").open("w") as log:
            self.workers[kind] = Program(*words, stdout=log, stderr=log, env=environment_with())

    def _start_rq_worker(self, settings: str) -> Program:
        """A stock rq worker, which has this module with settings."""
        environment = environment_with(self.directory, BSCHED_LOG_FORMAT="json", BSCHED_WORKER_PING_INTERVAL="0.5")
        words = ("worker", "-c", settings, "--serializer", "json", self.namespace)
        with (self.directory / "logs" / "rq").open("a") as log:
            return Program(*words, program="rq.cli", stdout=log, stderr=log, env=environment)

    def begin_round(self) -> Round:
        """Submit the tasks of another round."""
        self.rounds += 1
        round_ = Round(directory=str(self.directory), round=self.rounds, layers=LAYERS)
        submit(round_, scheduler=self.scheduler)
        return round_

    def await_end(self, round_: Round) -> None:
        """Wait until all tasks of the round are DONE, and nothing runs any more."""
        until(round_.complete, "all is done", 90)
        ids = [each.task_id for each in (*round_.steps(), round_)]

        def is_told() -> bool:
            return all(each["status"] == "DONE" for each in self.scheduler.task_statuses(ids).values())

        until(is_told, "the scheduler knows", 30)
        until(lambda: not self.scheduler.task_list("RUNNING", ""), "nothing runs any more", 30)

    def starts(self, task_id: str) -> list[float]:
        """When runs of the task began, by the clock of the task (s)."""
        journal = self.directory / "journal" / task_id
        lines = journal.read_text().splitlines() if journal.exists() else []
        return [float(line.split()[2]) for line in lines if line.startswith("start")]

    def acknowledged(self) -> dict[str, float]:
        """Task id → when a worker was told that the scheduler knows it DONE (s)."""
        found: dict[str, float] = {}
        for line in self.log_lines():
            if ACKNOWLEDGED in line.get("message", "") and "DONE" in line["message"]:
                found[line["message"].split()[4]] = datetime.fromisoformat(
                    line["time"].replace("Z", "+00:00")
                ).timestamp()
        return found

    def log_lines(self) -> Iterator[dict[str, Any]]:
        """What all workers have logged."""
        for log in (self.directory / "logs").iterdir():
            for line in log.read_text().splitlines():
                if line.startswith("{") and line.endswith("}"):
                    yield json.loads(line)

    def stop(self) -> None:
        """End everything."""
        for process in (*self.workers.values(), *self.rq_workers):
            process.kill()
            process.wait()
        self.network.close()
        if self.server.process.poll() is None:
            self.server.stop()
        self.redis.kill()


def reconcile(fleet: Fleet, round_: Round, since: float, loses_a_second: bool, loses_hand_outs: bool = False) -> None:
    """Compare what the tasks, the workers and the scheduler say of a round that has ended.

    since: when something went wrong (s). loses_a_second: whether Redis may have forgotten what it was told last.
    loses_hand_outs: whether it may have told others, who act on it, what it forgot: so a task may run twice at a time.
    """
    names = [each.task_id for each in round_.steps()]
    assert loses_hand_outs or list((fleet.directory / "overlaps").iterdir()) == [], "a task ran twice at a time"
    assert fleet.scheduler.verify() == []
    acknowledged = fleet.acknowledged()
    assert len(acknowledged.keys() & set(names)) > len(names) / 2, "the logs tell nothing"
    for name in names:
        told = acknowledged.get(name)
        if told is not None and not (loses_a_second and told > since - 2):
            late = [start for start in fleet.starts(name) if start > told]
            assert late == [], f"{name} was DONE at {told}, and ran again at {late}"
    if loses_a_second:
        return
    changes: dict[str, list[tuple[str, str]]] = {name: [] for name in names}
    for _, event in fleet.scheduler._client.xrange(fleet.scheduler.namespace.key("events")):
        if event["task_id"] in changes and event["from"] != event["to"]:
            changes[event["task_id"]].append((event["from"], event["to"]))
    for name, told_changes in changes.items():
        starts = [each for each in told_changes if each[1] == "RUNNING"]
        ends = [each for each in told_changes if each[0] == "RUNNING"]
        assert len(starts) == len(ends) and told_changes[-1] == ("RUNNING", "DONE"), (name, told_changes)
        assert len(fleet.starts(name)) <= len(starts), (name, told_changes, fleet.starts(name))
        assert [before for before, _ in told_changes[1:]] == [after for _, after in told_changes[:-1]], name
