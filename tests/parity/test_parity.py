"""Random sequences of calls get the answers that Luigi's scheduler gives."""

from __future__ import annotations

import pytest

from tests.nightly import by_night
from tests.parity.ours import OursFactory
from tests.parity.reference import ReferenceFactory
from tests.parity.runner import explain, run_sequence

LENGTH = 60
CHUNK = 10  # sequences a test, so that xdist can share them out


def _run(reference: ReferenceFactory, url: str, kind: str, chunk: int, size: int = CHUNK) -> None:
    ours = OursFactory(url)
    for number in range(chunk * size, (chunk + 1) * size):
        recorded = run_sequence(f"{kind}:{number}", LENGTH, reference, ours)
        if recorded.difference:
            pytest.fail(f"sequence {kind}:{number}\n{explain(recorded, reference, ours)}")


@pytest.mark.parametrize("chunk", range(by_night(150, 5)))
def test_random_calls_get_the_answers_of_the_reference(reference: ReferenceFactory, redis_url: str, chunk: int) -> None:
    _run(reference, redis_url, "test", chunk)


@pytest.mark.parametrize("chunk", range(by_night(20, 1)))
def test_random_calls_get_the_answers_of_the_reference_without_a_server(
    reference: ReferenceFactory, chunk: int
) -> None:
    _run(reference, "memory:", "memory", chunk, by_night(CHUNK, 3))
