"""Each of these tests runs on every kind of Redis.

But what users of Redis may do is asked of Redis alone by day, where there are two versions of it: for each kind a test
starts servers of its own.
"""

from __future__ import annotations

import pytest

from tests.conftest import KINDS, REAL
from tests.nightly import by_night

REDIS = [kind for kind in REAL if not kind.startswith("valkey")]


@pytest.fixture(params=KINDS)
def redis_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=by_night(REAL, REDIS if len(REDIS) > 1 else REAL))
def real_redis_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
