"""What goes to Redis is text: where Ctrl-C comes while hiredis writes a number, hiredis 3.5 crashes the process."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import redis.connection

from broker_sched import Scheduler


def test_no_command_of_a_scheduler_in_memory_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[tuple[Any, ...]] = []
    commands: list[Any] = []
    pack = redis.connection.HiredisRespSerializer.pack

    def check(self: Any, *command: Any) -> Any:
        commands.append(command[0])
        if not all(isinstance(each, (str, bytes)) for each in command):
            numbers.append(command)
        return pack(self, *command)

    monkeypatch.setattr(redis.connection.HiredisRespSerializer, "pack", check)
    with contextlib.closing(Scheduler("memory:no numbers", prune_interval_seconds=0)) as scheduler:
        scheduler.add_task(worker="w", task_id="T", deps=["U"], priority=3, resources={"r": 2}, params={"n": "1"})
        scheduler.add_task(worker="w", task_id="U")
        scheduler.add_task(worker="w", task_id="U", status="FAILED")
        scheduler.get_work(worker="w", current_tasks=[])
        scheduler.await_work(worker="w", seconds=0.05)
        scheduler.task_list()
        scheduler.worker_list()
        scheduler.submission_list()
        scheduler.dep_graph(task_id="T")
        scheduler.prune()

    assert {"EVALSHA", "BLPOP", "SET", "ZRANGE"} <= set(commands)
    assert numbers == []
