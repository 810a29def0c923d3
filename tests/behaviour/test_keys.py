"""Every key that a scheduler makes is in the table of keys, with its type.

The table is docs/keys.md: what an operator sees with redis-cli is explained there, and nothing else is to be seen.
"""

from __future__ import annotations

import re

from broker_sched import Scheduler
from broker_sched.scheduler.keys import KEYS
from tests.conftest import FakeClock

PATTERNS = [
    (re.compile(re.sub(r"<[^>]+>", ".*", re.escape(key.pattern).replace("\\<", "<").replace("\\>", ">"))), key.type)
    for key in KEYS
]


def types_in_table(name: str) -> set[str]:
    return {kind for pattern, kind in PATTERNS if pattern.fullmatch(name)}


def test_a_busy_namespace_has_only_keys_of_the_table(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.update_resources(db=3)
    scheduler.add_worker("w", {"workers": 2})
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"], max_batch_size=2)
    for day in range(4):
        scheduler.add_task(
            worker="w", task_id=f"F_{day}", family="F", params={"day": str(day)}, batchable=True, priority=9
        )
    scheduler.get_work(worker="w")
    for name, more in (("a", {"resources": {"db": 1}, "priority": 50}), ("b", {"deps": ["a", "new"]})):
        scheduler.add_task(worker="w", task_id=name, family="T", **more)
    scheduler.get_work(worker="w")
    scheduler.add_task(worker="h", task_id="c", deps=["missing_dep"], assistant=True)
    scheduler.add_task(worker="w", task_id="d", status="DISABLED")
    scheduler.add_task(worker="w", task_id="e", deps=["d"])
    scheduler.add_task(worker="v", task_id="f", status="FAILED", expl="why")
    scheduler.set_worker_processes("w", 3)
    clock.advance(61)
    scheduler.ping(worker="w")
    scheduler.prune()
    client, prefix = scheduler._client, scheduler.namespace.prefix
    names = [name.removeprefix(prefix) for name in client.scan_iter(match=f"{prefix}*")]
    assert len({name.partition(":")[0] for name in names}) > 30
    for name in names:
        assert client.type(prefix + name) in types_in_table(name), name
