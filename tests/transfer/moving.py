"""Exports of a scheduler as bytes, and imports of them, in this process."""

from __future__ import annotations

import io
import json
from typing import Any

from broker_sched import Scheduler
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler.maintenance import Maintenance
from broker_sched.scheduler.transfer.exporting import Export
from broker_sched.scheduler.transfer.importing import Import
from broker_sched.scheduler.transfer.lines import LineWriter, check_file, tasks_in
from tests.redis_users import admins_url


def exported(scheduler: Scheduler) -> bytes:
    """What `bsched export` writes."""
    file = io.BytesIO()
    writer = LineWriter(file)
    scheduler.drive(Export(scheduler.namespace, writer).commands())
    writer.close()
    return file.getvalue()


def imported(scheduler: Scheduler, content: bytes) -> Import:
    """What `bsched import` does, into the scheduler's namespace."""
    file = io.BytesIO(content)
    checked = check_file(file, SCHEMA_VERSION)
    maintenance = maintenance_of(scheduler)
    importing = Import(maintenance)
    try:
        importing.run(checked, lambda: tasks_in(file))
    finally:
        maintenance.close()
    return importing


def maintenance_of(scheduler: Scheduler, url: str | None = None) -> Maintenance:
    """The same namespace, reached as an admin does, in such a way that nothing is made ready."""
    where = url or admins_url(scheduler)
    return Maintenance(where, scheduler.namespace.name, clock=scheduler._clock, prune_interval_seconds=None)


def lines_in(content: bytes) -> list[dict[str, Any]]:
    """The lines without the last one and the namespace's name, in an order that is always the same."""
    found = [json.loads(line) for line in content.splitlines()]
    del found[0]["namespace"]
    return sorted(
        found[:-1], key=lambda line: (line["line"], line.get("id", line.get("worker", line.get("family", ""))))
    )


def keys_in(scheduler: Scheduler) -> set[str]:
    """All keys of the namespace."""
    return set(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*", count=1000))
