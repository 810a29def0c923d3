"""What /metrics counts under luigi's names is what luigi's own scheduler tells its metrics collector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from luigi.metrics import MetricsCollector

from broker_sched.scheduler.metrics_reading import read_metrics
from tests.nightly import by_night
from tests.parity.ours import Ours
from tests.parity.pair import SideFactory
from tests.parity.reference import Reference, ReferenceFactory
from tests.parity.runner import run_sequence

COUNTED = ("started", "done", "failed", "disabled")


class Collector(MetricsCollector):
    """Counts what luigi's scheduler tells it, by event and family. Luigi's own fails for a task that never ran."""

    def __init__(self) -> None:
        self.told: Counter[tuple[str, str]] = Counter()
        self.last: dict[str, tuple[float, set[float]]] = {}  # when a family's last runs ended, and how long they took

    def handle_task_started(self, task: Any) -> None:
        self.told["started", task.family or ""] += 1

    def handle_task_failed(self, task: Any) -> None:
        self._ended("failed", task)

    def handle_task_disabled(self, task: Any, config: Any) -> None:
        self._ended("disabled", task)

    def handle_task_done(self, task: Any) -> None:
        self._ended("done", task)

    def _ended(self, what: str, task: Any) -> None:
        self.told[what, task.family or ""] += 1
        if getattr(task, "time_running", None) is not None:
            moment, took = self.last.get(task.family or "", (task.updated, set()))
            took = took if moment == task.updated else set()
            self.last[task.family or ""] = task.updated, {*took, round(task.updated - task.time_running, 3)}


class Watched:
    """Makes both sides of a pair, and compares what they have counted when the pair is closed."""

    def __init__(self, reference: ReferenceFactory, url: str) -> None:
        self._reference, self._url = reference, url
        self.compared: Counter[str] = Counter()
        self.differences: list[object] = []

    def reference(self, clock: Callable[[], float], options: dict[str, Any]) -> Reference:
        made = self._reference(clock, options)
        self._collector = made.scheduler._state._metrics_collector = Collector()
        return made

    def subject(self, clock: Callable[[], float], options: dict[str, Any]) -> Ours:
        watched = self

        class Side(Ours):
            def close(self) -> None:
                watched.compare(self)
                super().close()

        return Side(self._url, clock, options)

    def compare(self, ours: Ours) -> None:
        families = ours.scheduler.drive(read_metrics(ours.scheduler.namespace)).counts.families
        told = Counter({(what, family): int(fields[what]) for family, fields in families.items()
                        for what in COUNTED if what in fields})  # fmt: skip
        if told != self._collector.told:
            self.differences.append((told - self._collector.told, self._collector.told - told))
        last = {family: round(fields["last"], 3) for family, fields in families.items() if "last" in fields}
        expected = {family: took for family, (_, took) in self._collector.last.items()}
        # Of several that ended at one moment any may be the last: in which order they fail is luigi's accident.
        if last.keys() != expected.keys() or any(last[family] not in expected[family] for family in last):
            self.differences.append((last, expected))
        self.compared.update({what: count for (what, _), count in told.items()})


def test_counters_of_luigis_names_are_what_luigi_counts(reference: ReferenceFactory, redis_url: str) -> None:
    watched = Watched(reference, redis_url)
    subject: SideFactory = watched.subject
    for number in range(by_night(400, 25)):
        recorded = run_sequence(f"metrics:{number}", 80, watched.reference, subject)
        assert not recorded.difference and not watched.differences, (number, watched.differences)
    assert min(watched.compared[what] for what in COUNTED) > 20, "the sequences say nothing"
