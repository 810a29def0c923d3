"""A grid of tasks on a fleet of rq workers, with kills in the middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executors.conftest import PRELOADED, RqFleet, kill
from tests.executors.tasks import LAYERS, WIDTH, Grid, cell, runs_of
from tests.nightly import by_night
from tests.servers import until

pytestmark = pytest.mark.timeout(by_night(400, 180))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[RqFleet]:
    """Whose scheduler soon misses a worker, and soon retries."""
    made = RqFleet(tmp_path, retry_delay=0.5)
    yield made
    made.end()


def test_a_grid_is_done_once_although_a_horse_an_rq_worker_and_a_supervisor_are_killed(fleet: RqFleet) -> None:
    directory = str(fleet.directory)
    cells = [cell(directory, layer, column) for layer in range(LAYERS) for column in range(WIDTH)]
    unlucky, orphan = cell(directory, 3, 4), cell(directory, 3, 10)
    for held in (unlucky, orphan):
        held.hold().touch()
    for _ in range(4):
        fleet.rq_worker(*PRELOADED)
    fleet.listens(4)
    doomed, survivor = fleet.supervisor(), fleet.supervisor()
    grid = Grid(directory=directory, name="grid")
    fleet.submit(grid)

    until(lambda: runs_of(unlucky) and runs_of(orphan), "both are in the middle of their run", 60)
    kill(runs_of(unlucky)[0].work_horse)
    kill(runs_of(orphan)[0].rq_worker)
    doomed.kill()
    fleet.rq_worker(*PRELOADED)
    for held in (unlucky, orphan):
        held.hold().unlink()

    until(lambda: fleet.seen(grid) and fleet.status(grid) == "DONE", "all is done", by_night(240, 90))
    assert Counter(len(runs_of(each)) for each in cells if each != unlucky) == {1: LAYERS * WIDTH - 1}
    assert len(runs_of(unlucky)) == 2, "the first run was killed"
    assert set(fleet.scheduler.task_list(limit=False)) == set(fleet.scheduler.task_list("DONE", limit=False))
    assert len({run.rq_worker for each in cells for run in runs_of(each)}) == 5, "all had a share"
    assert fleet.scheduler.verify() == []
    survivor.terminate()
    assert survivor.wait(30) == 0
