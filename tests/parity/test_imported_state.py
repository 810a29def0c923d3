"""luigid ends in the middle of its work, its state is imported, and ours goes on as luigid would have gone on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from broker_sched.luigi_state.converting import Conversion
from broker_sched.luigi_state.reading import read_state
from broker_sched.scheduler.maintenance import Maintenance
from broker_sched.scheduler.transfer.importing import Import
from tests.luigi_state.states import write_state
from tests.nightly import by_night
from tests.parity.ours import Ours, OursFactory
from tests.parity.pair import Pair, Step, closing_steps
from tests.parity.reference import Reference, ReferenceFactory
from tests.parity.sequences import Policy

BEFORE, AFTER = 45, 30  # steps
CHUNK = 3  # sequences a test


class Imported(Ours):
    """Our scheduler with the state that the reference has, from a file as luigid writes it."""

    def __init__(
        self, url: str, clock: Callable[[], float], options: dict[str, Any], reference: Reference, path: Path
    ) -> None:
        super().__init__(url, clock, options)
        namespace = self.scheduler.namespace.name
        maintenance = Maintenance(url, namespace, clock=clock, prune_interval_seconds=None)
        with closing(read_state(str(write_state(reference.scheduler, path)))) as state:
            conversion = Conversion(state, self.scheduler.config())
            Import(maintenance).run(conversion.checked(), conversion.tasks)
        maintenance.close()
        self.left = conversion.left
        # What luigid keeps of neither, and has from luigi.cfg or from its operators.
        self.scheduler.update_resources(**reference.scheduler._resources)
        if reference.scheduler._paused:
            self.scheduler.pause()


def moved(pair: Pair, url: str, options: dict[str, Any], path: Path) -> None:
    """Let the rest of the steps go to the imported scheduler."""
    pair.subject.close()
    pair.subject = pair._actual.side = Imported(url, pair.clock, options, pair.reference, path)
    pair._actual.labels, pair._actual._ids = dict(pair._expected.labels), dict(pair._expected._ids)


@pytest.mark.parametrize("chunk", range(by_night(100, 5)))
def test_the_imported_state_gets_the_answers_of_the_luigid_that_it_comes_from(
    reference: ReferenceFactory, redis_url: str, tmp_path: Path, chunk: int
) -> None:
    for number in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        seed = f"imported:{number}"
        policy = Policy(seed)
        options, workers = policy.world.options, policy.world.workers
        pair = Pair(reference, OursFactory(redis_url), options)
        steps: list[Step] = []
        closing_ones = closing_steps(workers, policy.world.task_ids)
        try:
            for index in range(BEFORE + AFTER + len(closing_ones)):
                if index == BEFORE:
                    # A call at this moment: else luigid would seem to have ended when it was called last.
                    assert pair.run(("ping", {"worker": workers[0]}))[1] is None
                    moved(pair, redis_url, options, tmp_path / "state.pickle")
                    assert not pair.subject.problems(), seed
                step = policy.next() if index < BEFORE + AFTER else closing_ones[index - BEFORE - AFTER]
                steps.append(step)
                reply, difference = pair.run(step)
                assert difference is None, f"{seed}, step {index}: {step}\n{difference.text}\n{steps[-12:]}"
                if pair.ended:
                    break
                if index < BEFORE + AFTER:
                    policy.learn(step, reply)
            assert pair.check_subject() is None
        finally:
            pair.close()
