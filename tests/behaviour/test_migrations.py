"""A namespace that an earlier release has written is brought to the schema of this one.

tests/dumps has such namespaces, of every schema from 3 on: whatever is in one of them is right afterwards, and work
goes on. A migration may be broken off anywhere, and meanwhile nobody else can change anything.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker_sched import RedisUnavailable, Scheduler, SchemaMismatch
from broker_sched.redis_backend.encoding import to_bytes
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler.integrity import migrations
from broker_sched.scheduler.integrity.migrations import STEPS, Migration
from broker_sched.scheduler.maintenance import Maintenance
from tests.conftest import FakeClock, SchedulerFactory
from tests.dumps import NOW, dumps_of, load
from tests.transfer.moving import maintenance_of

DUMPS = [dump for schema in STEPS for dump in dumps_of(schema)]


@pytest.fixture
def clock() -> FakeClock:
    """It shows a time shortly after the dumps were made."""
    clock = FakeClock()
    clock.now = NOW + 110
    return clock


@pytest.fixture
def dumped(scheduler_factory: SchedulerFactory) -> Iterator[Callable[[Path], tuple[Scheduler, Maintenance]]]:
    """`dumped(file)`: a scheduler on the dumped namespace, and the way to migrate it."""
    opened: list[Maintenance] = []

    def make(dump: Path) -> tuple[Scheduler, Maintenance]:
        scheduler = scheduler_factory()
        client, prefix = scheduler._client, scheduler.namespace.prefix
        client.delete(*list(client.scan_iter(match=f"{prefix}*")))
        load(client, prefix, dump)
        opened.append(maintenance_of(scheduler))
        return scheduler, opened[-1]

    yield make
    for maintenance in opened:
        maintenance.close()


def schema_of(dump: Path) -> str:
    return dump.parent.name.removeprefix("schema-")


def migrate(maintenance: Maintenance) -> None:
    maintenance.drive(Migration(maintenance.namespace).commands())


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: f"{dump.parent.name}-{dump.stem}")
def test_every_index_is_right_after_a_migration(
    dump: Path, dumped: Callable[[Path], tuple[Scheduler, Maintenance]]
) -> None:
    scheduler, maintenance = dumped(dump)
    with pytest.raises(
        SchemaMismatch, match=f"has schema version [34], this program needs {SCHEMA_VERSION}.*bsched migr"
    ):
        scheduler.get_work(worker="w1")
    migrate(maintenance)
    assert scheduler._client.hget(scheduler.namespace.key("config"), "schema") == SCHEMA_VERSION
    assert not scheduler._client.hexists(scheduler.namespace.key("config"), "migrating_since")
    assert scheduler.verify() == []


def test_a_task_is_listed_in_its_state_since_it_got_its_status(
    dumped: Callable[[Path], tuple[Scheduler, Maintenance]],
) -> None:
    scheduler, maintenance = dumped(next(dump for dump in DUMPS if dump.stem == "everything"))
    migrate(maintenance)
    found = scheduler.tasks(family="F")["tasks"]
    states = {each["task_id"]: each["state"] for each in found}
    assert (states["F_blocked"], states["F_2"], states["F_0"]) == ("BLOCKED", "DISABLED", "FAILED")
    listed = scheduler.task_list(limit=False)
    assert {each["task_id"]: each["since"] for each in found} == {
        each["task_id"]: listed[each["task_id"]]["last_updated"] for each in found
    }


def test_work_goes_on_after_a_migration_until_nothing_is_left(
    dumped: Callable[[Path], tuple[Scheduler, Maintenance]], clock: FakeClock
) -> None:
    scheduler, maintenance = dumped(next(dump for dump in DUMPS if dump.stem == "everything"))
    migrate(maintenance)
    done = set()
    for worker, task_id in (("w5", "run_lowered"), ("w4", "run_reported")):  # they hold what others need
        scheduler.add_task(worker=worker, task_id=task_id, status="DONE")
    for _ in range(12):
        clock.advance(1)
        for worker in ("w1", "w2", "w3", "w4", "w5", "helper"):
            scheduler.ping(worker=worker)
            work = scheduler.get_work(worker=worker, assistant=worker == "helper")
            for task_id in work.get("batch_task_ids") or ([work["task_id"]] if work["task_id"] else []):
                scheduler.add_task(worker=worker, task_id=task_id, status="DONE", attempt=work["attempt"])
                done.add(task_id)
    graph = {f"{family}_{place}" for family in "ABCDE" for place in range(8)}
    assert done >= {"E_0", "E_7", "Day_7", "Day_8", "R_2"}
    assert {task["status"] for task_id, task in scheduler.task_list(limit=False).items() if task_id in graph} == {
        "DONE"
    }
    blocked = {each["task_id"] for each in scheduler.tasks(status="BLOCKED")["tasks"]}
    assert blocked == {"F_blocked", "F_above", "F_cycle_a", "F_cycle_b", "N_0"}


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_a_migration_that_is_broken_off_goes_on_and_nobody_works_meanwhile(
    dump: Path, dumped: Callable[[Path], tuple[Scheduler, Maintenance]]
) -> None:
    scheduler, maintenance = dumped(dump)
    for number in range(int(schema_of(dump)), int(SCHEMA_VERSION)):
        left = maintenance._run(STEPS[str(number)](0))
        while left > 0:
            assert scheduler._client.hget(scheduler.namespace.key("config"), "schema") == f"{number}>{number + 1}"
            with pytest.raises(RedisUnavailable, match=r"brought to another schema.*bsched migrate"):
                scheduler.add_task(worker="w", task_id="new")
            before, left = left, maintenance._run(STEPS[str(number)](17))
            assert left < before
    assert scheduler.verify() == []


def test_the_older_release_is_refused_during_and_after_a_migration(
    dumped: Callable[[Path], tuple[Scheduler, Maintenance]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scripts compare the schema with their own before they do anything."""
    from broker_sched.redis_backend import script_call

    scheduler, maintenance = dumped(DUMPS[0])
    maintenance._run(STEPS[schema_of(DUMPS[0])](10))
    for _ in range(2):
        before = _content(scheduler)
        monkeypatch.setattr(script_call, "SCHEMA_VERSION", "3")
        for call in (scheduler.get_work, scheduler.ping):
            with pytest.raises((SchemaMismatch, RedisUnavailable)):
                call(worker="w1")
        monkeypatch.undo()
        assert before == _content(scheduler)
        migrate(maintenance)


def _content(scheduler: Scheduler) -> dict[str, str]:
    keys = scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*")
    return {key: scheduler._client.execute_command("DUMP", to_bytes(key)) for key in sorted(keys)}


@pytest.mark.parametrize("schema", STEPS)
def test_workers_are_not_taken_for_silent_because_of_a_migration(
    schema: str, dumped: Callable[[Path], tuple[Scheduler, Maintenance]], clock: FakeClock
) -> None:
    scheduler, maintenance = dumped(next(dump for dump in dumps_of(schema) if dump.stem == "everything"))
    key = scheduler.namespace.key("workers")
    before = dict(scheduler._client.zrange(key, 0, -1, withscores=True))
    maintenance._run(STEPS[schema](0))
    clock.advance(3600)
    migrate(maintenance)
    after = dict(scheduler._client.zrange(key, 0, -1, withscores=True))
    assert after == {worker: contact + 3600 for worker, contact in before.items()}


def test_two_migrations_at_once_do_no_harm(
    dumped: Callable[[Path], tuple[Scheduler, Maintenance]], monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, maintenance = dumped(next(dump for dump in DUMPS if dump.stem == "everything"))
    monkeypatch.setattr(migrations, "TASKS_AT_ONCE", 3)
    threads = [threading.Thread(target=migrate, args=(maintenance,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scheduler.verify() == []


def test_tasks_have_their_dates_after_a_migration(
    dumped: Callable[[Path], tuple[Scheduler, Maintenance]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many steps that took, and though it was broken off."""
    scheduler, maintenance = dumped(next(dump for dump in dumps_of("4") if dump.stem == "everything"))
    client, key = scheduler._client, scheduler.namespace.key
    for number in range(8):
        params = json.dumps({"date": f"2024-03-{1 + number % 3:02}", "at": "2024-02", "x": "long " * (number % 2 * 30)})
        long = number % 2 == 1
        client.hset(key("detail" if long else "task", f"A_{number}"), "params", params)
        if long:
            client.hdel(key("task", f"A_{number}"), "params")
    client.hset(key("detail", "A_1"), "param_visibilities", '{"date": 1}')
    client.hset(key("ids"), "9", "x" * 100)  # a hash with such a value is read in pages, however few there are
    client.hdel(key("ids"), "9")
    assert maintenance._run(STEPS["4"](3)) > 0
    monkeypatch.setattr(migrations, "TASKS_AT_ONCE", 3)
    migrate(maintenance)
    assert scheduler.verify() == []
    found = scheduler.family_dates(family="A")
    assert (found["month"], found["months"]) == ("2024-03", ["2024-02", "2024-03"])
    assert {date: sum(by.values()) for date, by in found["families"][0]["dates"].items()} == {
        "2024-03-01": 3,
        "2024-03-02": 2,
        "2024-03-03": 2,
    }
    assert [task["task_id"] for task in scheduler.tasks(date="2024-02")["tasks"]] == ["A_1"]


def test_what_has_the_schema_already_or_one_from_which_no_way_leads_is_left_alone(
    scheduler: Scheduler, scheduler_factory: SchedulerFactory
) -> None:
    maintenance = maintenance_of(scheduler)
    scheduler.add_task(worker="w", task_id="a")
    before = _content(scheduler)
    migration = Migration(scheduler.namespace)
    maintenance.drive(migration.commands())
    assert (migration.first, _content(scheduler)) == (SCHEMA_VERSION, before)
    for schema in ("2", "99", "deleting"):
        scheduler._client.hset(scheduler.namespace.key("config"), "schema", schema)
        with pytest.raises(SchemaMismatch):
            migrate(maintenance)
    scheduler._client.hset(scheduler.namespace.key("config"), "schema", SCHEMA_VERSION)
    maintenance.close()


def test_every_earlier_schema_has_dumps_and_a_step() -> None:
    assert [str(number) for number in range(3, int(SCHEMA_VERSION))] == list(STEPS)
    assert all(dumps_of(schema) for schema in STEPS)
