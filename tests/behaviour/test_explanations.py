"""Why a task failed is told by any JSON value, however the scheduler is reached.

Luigi's worker sends a text, which is JSON itself; luigid takes any value. Kept is text: a text as it is, anything else
as its JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from broker_sched import InvalidArgument, RemoteScheduler, Scheduler
from tests.harness import ServerProcess

Reached = Any  # each of them has the whole API


@pytest.fixture(params=["directly", "in memory", "over HTTP"])
def reached(request: pytest.FixtureRequest) -> Iterator[Reached]:
    if request.param == "over HTTP":
        server: ServerProcess = request.getfixturevalue("server")
        yield RemoteScheduler(server.url, attempts=1)
        return
    url = request.getfixturevalue("own_redis").url if request.param == "directly" else "memory:explanations"
    with closing(Scheduler(url, "explanations")) as scheduler:
        yield scheduler


@pytest.mark.parametrize("expl", [7, 0, False, [1, "two"], {"rows": 3}, "plain", '"quoted"', ""], ids=repr)
def test_any_json_explains_a_failure(reached: Reached, expl: Any) -> None:
    kept = expl if isinstance(expl, str) else json.dumps(expl, separators=(",", ":"))
    reached.add_task(worker="w", task_id="t", status="FAILED", expl=expl)
    assert reached.fetch_error(task_id="t")["error"] == kept
    reached.add_tasks(worker="w", tasks=[{"task_id": f"t{n}", "status": "FAILED", "expl": expl} for n in range(2)])
    assert [reached.fetch_error(task_id=f"t{n}")["error"] for n in range(2)] == [kept, kept]
    reached.announce_scheduling_failure(task_name="t", family="T", params={}, expl=expl, owners=[], worker="w")


def test_null_keeps_the_explanation_there_is(reached: Reached) -> None:
    reached.add_task(worker="w", task_id="n", status="FAILED", expl=[1])
    reached.add_task(worker="w", task_id="n", status="FAILED", expl=None)
    assert reached.fetch_error(task_id="n")["error"] == "[1]"


@pytest.mark.parametrize("expl", [ValueError("no such row"), object(), float("nan")], ids=["error", "object", "nan"])
def test_what_json_cannot_hold_is_refused_by_the_arguments_name(reached: Reached, expl: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        reached.add_task(worker="w", task_id="refused", status="FAILED", expl=expl)
    assert caught.value.field == "expl"
    assert "refused" not in reached.task_list(limit=False)
