"""A namespace can be deleted, a part at a time, while others on the same Redis go on.

It is refused while servers or workers are alive, unless it is forced. From the first key on nobody can use the
namespace; where it was broken off, that stays so until somebody goes on with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from broker_sched import NamespaceInUse, Scheduler
from broker_sched.errors import RedisUnavailable, SchemaMismatch
from broker_sched.redis_backend.sync_connection import SyncConnection
from broker_sched.scheduler.existing_namespaces import existing
from broker_sched.scheduler.namespace_deletion import alive_in, delete_namespace
from tests.behaviour.test_plain_ways import everything_in
from tests.conftest import FakeClock, SchedulerFactory
from tests.transfer.moving import maintenance_of

AsAdmin = Callable[[Scheduler], SyncConnection]


def filled(scheduler: Scheduler) -> Scheduler:
    tasks = [{"task_id": f"t{number}", "family": "F", "deps": [f"d{number}"]} for number in range(700)]
    scheduler.add_tasks(worker="w", tasks=tasks)
    return scheduler


def keys_of(scheduler: Scheduler) -> list[str]:
    return list(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*", count=1000))


@pytest.fixture
def as_admin() -> Iterator[AsAdmin]:
    """`as_admin(scheduler)`: a connection as that of `bsched namespace delete` for this scheduler's namespace."""
    with ExitStack() as stack:
        yield lambda scheduler: stack.enter_context(closing(maintenance_of(scheduler)))._connection


def test_all_its_keys_go_and_no_other_ones(scheduler_factory: SchedulerFactory, as_admin: AsAdmin) -> None:
    doomed = filled(scheduler_factory())
    name = doomed.namespace.name
    others = [filled(scheduler_factory(namespace=each)) for each in (f"{name}-2", f"x{name}", name[:-1])]
    before = [everything_in(each) for each in others]
    counts = list(delete_namespace(as_admin(doomed), name))
    assert keys_of(doomed) == []
    assert len(counts) > 3
    assert counts == sorted(counts)
    assert [everything_in(each) for each in others] == before


def test_a_redis_that_is_out_of_memory_lets_it_go(scheduler: Scheduler, as_admin: AsAdmin) -> None:
    connection, name = as_admin(filled(scheduler)), scheduler.namespace.name
    scheduler._client.config_set("maxmemory", 1)
    try:
        with pytest.raises(RedisUnavailable, match="OOM"):
            scheduler.add_task(worker="w", task_id="new")
        assert list(delete_namespace(connection, name, force=True))
    finally:
        scheduler._client.config_set("maxmemory", 0)
    assert keys_of(scheduler) == []


def test_where_it_was_broken_off_nobody_uses_it_until_it_is_gone(scheduler: Scheduler, as_admin: AsAdmin) -> None:
    connection, name = as_admin(filled(scheduler)), scheduler.namespace.name
    deletion = delete_namespace(connection, name)
    assert next(deletion) > 0
    deletion.close()
    assert name in existing(connection)
    with pytest.raises(SchemaMismatch, match="is being deleted"):
        scheduler.add_task(worker="w", task_id="new")
    with pytest.raises(SchemaMismatch, match="is being deleted"):
        Scheduler(scheduler._client, name)
    left = len(keys_of(scheduler))
    assert list(delete_namespace(connection, name))[-1] == left
    assert keys_of(scheduler) == []
    assert name not in existing(connection)
    scheduler.add_task(worker="w", task_id="new")
    assert list(scheduler.task_list("", "")) == ["new"]


def test_servers_and_workers_that_are_alive_keep_it(real_scheduler: Scheduler, as_admin: AsAdmin) -> None:
    connection, namespace = as_admin(real_scheduler), real_scheduler.namespace
    client, seconds = real_scheduler._client, real_scheduler._client.time()[0]
    real_scheduler.add_task(worker="w", task_id="a")
    servers = {"1": seconds, "2": seconds - 61}
    told = {name: json.dumps({"host": f"h{name}", "pid": 7, "seen": seen}) for name, seen in servers.items()}
    client.hset(namespace.key("servers"), mapping={**told, "3": "nonsense"})
    before = everything_in(real_scheduler)
    assert alive_in(connection, namespace.name) == ["the server on h1 (pid 7)", "worker w"]
    with pytest.raises(NamespaceInUse, match=r"in use by the server on h1 \(pid 7\), worker w: nothing was deleted"):
        delete_namespace(connection, namespace.name)
    assert everything_in(real_scheduler) == before
    assert list(delete_namespace(connection, namespace.name, force=True))
    assert keys_of(real_scheduler) == []


def test_a_worker_that_was_silent_for_too_long_does_not_keep_it(
    scheduler_factory: SchedulerFactory, clock: FakeClock, as_admin: AsAdmin
) -> None:
    scheduler = scheduler_factory(worker_disconnect_delay=30)
    now = scheduler._client.time()[0]
    for silent, alive in ((25, ["worker w"]), (35, [])):
        clock.now = now - silent
        scheduler.ping(worker="w")
        assert alive_in(as_admin(scheduler), scheduler.namespace.name) == alive
