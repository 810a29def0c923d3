"""The model of docs/scaling.md: what is foretold of a fleet."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.capacity import Costs, Load, simulate
from tests.harness import ROOT

COSTS = Costs(get_work=0.0002, done=0.0002, ping=0.0001)


@pytest.mark.parametrize("load", [Load(100, 10.0), Load(1000, 10.0), Load(2000, 2.0, ping_seconds=5.0)])
def test_what_is_simulated_is_as_busy_as_the_model_says(load: Load) -> None:
    busy, _ = simulate(COSTS, load)
    assert busy == pytest.approx(load.busy(COSTS), rel=0.1)


def test_get_work_takes_its_own_time_where_nobody_else_calls_and_much_longer_where_redis_is_always_busy() -> None:
    _, alone = simulate(COSTS, Load(2, 10.0, ping_seconds=1000.0))
    _, crowded = simulate(COSTS, Load(5000, 1.0))
    assert alone == pytest.approx(COSTS.get_work)
    assert crowded > 100 * alone


def test_the_command_of_the_document_says_what_the_fleet_asks_of_redis() -> None:
    words = "-m benchmarks.capacity --workers 5000 --task-seconds 30".split()
    assert " ".join(words) in (ROOT / "docs" / "scaling.md").read_text()
    told = subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "167 tasks a second, 14,400,000 a day" in told and "Redis works for" in told
