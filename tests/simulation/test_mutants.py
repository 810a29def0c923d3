"""A simulation that finds nothing may look at nothing. So mistakes are made in the scripts, and each must be found."""

from __future__ import annotations

from typing import Any

import pytest

from broker_sched.lua.loader import sources
from broker_sched.redis_backend import script_call
from tests.nightly import by_night
from tests.simulation.lossy_world import history
from tests.simulation.mutants import MUTANTS, scripts_with
from tests.simulation.test_nothing_lost import violation

SEEDS = 200
QUICKLY_FOUND = ["deps need not be DONE", "resources have no limits", "adding a task again ends its run"]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", by_night([*MUTANTS], QUICKLY_FOUND))
def test_a_mistake_in_the_scripts_is_found(
    scheduler_factory: Any, clock: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_call, "load", scripts_with(MUTANTS[name]))
    assert any(breaks(scheduler_factory, clock, seed) for seed in range(SEEDS)), f"nothing is seen when {name}"


def breaks(make: Any, clock: Any, seed: int) -> bool:
    """Whether a history breaks a rule, or the scheduler."""
    try:
        return violation(make, clock, history(seed, 200)) is not None
    except Exception:  # the mistake may stop a script
        return True


def test_each_mistake_can_be_made() -> None:
    assert [name for name, mutant in MUTANTS.items() if not any(mutant.old in each for each in sources())] == []
    assert [name for name, (old, new) in MUTANTS.items() if old == new] == []
    for mutant in MUTANTS.values():  # else it would be found by that no script can be made
        for name in ("add_task", "get_work"):
            scripts_with(mutant)(name)
