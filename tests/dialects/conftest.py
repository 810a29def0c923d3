"""Each of these tests runs on every kind of Redis."""

from __future__ import annotations

import pytest

from tests.conftest import KINDS, REAL


@pytest.fixture(params=KINDS)
def redis_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=REAL)
def real_redis_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
