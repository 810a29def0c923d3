"""One `bsched worker` that runs thousands of tasks holds as much at the end as at the beginning.

`python -m benchmarks --only soak` does it with 100,000, and measures its throughput, too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.long_worker import PROCESSES, holds_no_more, measure
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import only_by_night

TASKS = 5000


@only_by_night
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", ["straight to Redis", "HTTP"])
def test_a_worker_that_runs_thousands_of_tasks_stays_as_it_was(
    own_redis: RedisProcess, tmp_path: Path, start_server: Callable[..., ServerProcess], way: str
) -> None:
    own_redis.client.flushall()
    where = ["--redis", own_redis.url, "--namespace", "soak"]
    if way == "HTTP":
        where = ["--scheduler-url", start_server(*where).await_ready().url]
    run = measure(tmp_path / "soak", own_redis.url, where, TASKS)
    assert run.after.worker_bytes < 1.1 * run.before.worker_bytes
    assert holds_no_more(run.after, run.before)
    assert max(each.processes for each in run.running) <= 2 * PROCESSES  # those that retire, and their successors
    assert run.left == 0
