"""Fixtures of the client's tests: servers that answer as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.client.script import Script


@pytest.fixture
def script() -> Iterator[Callable[..., Script]]:
    started: list[Script] = []

    def start(*answers: tuple[int, bytes] | None) -> Script:
        started.append(Script(*answers))
        return started[-1]

    yield start
    for each in started:
        each.close()
