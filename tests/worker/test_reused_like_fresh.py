"""Whether processes are used again makes no difference to what becomes of a pipeline."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from broker_sched import Scheduler
from broker_sched.worker.summary import ReturnCodes, return_code
from tests.nightly import by_night
from tests.servers import RunningRedis
from tests.worker.conftest import worker_on
from tests.worker.random_tasks import KINDS, Step


def plan_of(seed: int) -> tuple[str, ...]:
    chance = random.Random(seed)
    size = chance.randint(3, 9)
    steps = []
    for number in range(size):
        later = range(number + 1, size)
        deps = sorted(chance.sample(later, chance.randint(0, min(3, len(later)))))
        steps.append(f"{chance.choice(KINDS)}:{','.join(map(str, deps))}")
    return tuple(steps)


def outcome(redis_url: str, seed: int, directory: Path, tasks_per_process: int) -> dict[str, Any]:
    """What a worker made of the pipeline, and what the scheduler knows of it."""
    directory.mkdir()
    plan = plan_of(seed)
    with contextlib.closing(Scheduler(redis_url, f"plan-{seed}-{tasks_per_process}", retry_delay=1000.0)) as scheduler:
        with worker_on(scheduler, worker_processes=2, tasks_per_process=tasks_per_process) as worker:
            worker.add(Step(str(directory), plan, 0))
            succeeded = worker.run()
        summary = worker.summary()
        events = scheduler.events(limit=1000)["events"]
        lines = scheduler.tasks(limit=1000)["tasks"]
        errors = {each["task_id"]: scheduler.fetch_error(each["task_id"])["error"] for each in lines}
        assert not scheduler.verify()
    found = {
        "statuses": {each["task_id"]: each["status"] for each in lines},
        "events": Counter((each["task_id"], each["from"], each["to"]) for each in events),
        "reasons": {task_id: (error or "").splitlines()[-1:] for task_id, error in errors.items()},
        "summary": {**summary.as_dict(), "groups": {k: sorted(v) for k, v in summary.as_dict()["groups"].items()}},
        "files": sorted(each.name for each in directory.iterdir()),
        "code": return_code(summary, ReturnCodes()),
        "succeeded": succeeded,
    }
    shutil.rmtree(directory)
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(by_night(200, 4)))
def test_of_a_random_pipeline_becomes_the_same(shared_redis: RunningRedis, tmp_path: Path, seed: int) -> None:
    fresh = outcome(shared_redis.url, seed, tmp_path / "out", 1)
    assert outcome(shared_redis.url, seed, tmp_path / "out", 100) == fresh
