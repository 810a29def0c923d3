"""Fixtures of the parity tests: luigi's scheduler and ours, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.parity.conversation import Conversation
from tests.parity.pair import Pair
from tests.parity.reference import ReferenceFactory


@pytest.fixture(scope="session")
def reference() -> ReferenceFactory:
    return ReferenceFactory()


@pytest.fixture
def both(reference: ReferenceFactory, redis_url: str) -> Iterator[Callable[..., Conversation]]:
    """`both(retry_delay=5)` opens a conversation with Luigi's scheduler and ours, options as given."""
    from tests.parity.ours import OursFactory  # imported here: test_harness.py works without it

    pairs: list[Pair] = []
    talks: list[Conversation] = []

    def open_conversation(**options: Any) -> Conversation:
        pairs.append(Pair(reference, OursFactory(redis_url), options))
        talks.append(Conversation(pairs[-1]))
        return talks[-1]

    yield open_conversation
    try:
        for talk in talks:
            talk.settle()
    finally:
        for pair in pairs:
            pair.close()
