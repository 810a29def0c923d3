"""The context of a trace reaches what runs as an RQ job."""

from __future__ import annotations

from pathlib import Path

from broker_sched import tracing
from tests.executors.conftest import RqFleet
from tests.executors.tasks import Traced
from tests.tracing.conftest import exported


def test_an_rq_job_has_the_context_of_its_attempt(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Traced(directory=str(tmp_path), name="traced")
    with exported() as exporter:
        assert small_fleet.run(task)
    (attempt,) = (each for each in exporter.get_finished_spans() if each.name == "process Traced")
    ids = tracing.ids_of((tmp_path / "traced.out").read_text())
    assert ids == {"trace_id": f"{attempt.context.trace_id:032x}", "span_id": f"{attempt.context.span_id:016x}"}
