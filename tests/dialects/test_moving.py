"""What an earlier release has written is migrated, exported and imported on every kind of Redis."""

from __future__ import annotations

from broker_sched.scheduler.integrity.migrations import Migration
from tests.conftest import FakeClock, SchedulerFactory
from tests.dumps import NOW, dumps_of, load
from tests.transfer.moving import exported, imported, lines_in, maintenance_of


def test_a_namespace_of_an_earlier_release_becomes_one_of_ours_and_a_copy_of_it(
    scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    clock.now = NOW + 110
    scheduler, copy = scheduler_factory(), scheduler_factory()
    prefix = scheduler.namespace.prefix
    scheduler._client.delete(*list(scheduler._client.scan_iter(match=f"{prefix}*")))
    load(scheduler._client, prefix, next(dump for dump in dumps_of("3") if dump.stem == "everything"))
    maintenance = maintenance_of(scheduler)
    maintenance.drive(Migration(scheduler.namespace).commands())
    maintenance.close()
    imported(copy, exported(scheduler))
    assert lines_in(exported(copy)) == lines_in(exported(scheduler))
    assert copy.verify() == scheduler.verify() == []
