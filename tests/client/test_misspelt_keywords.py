"""A keyword that a Python method does not have is refused with the one that was meant; type checkers report it, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from broker_sched import InvalidArgument, RemoteScheduler, Scheduler
from broker_sched.contract.scheduler_api import METHODS
from tests.nightly import only_by_night

CLIENTS = {
    "direct": lambda: Scheduler("memory:misspelt", prune_interval_seconds=None),
    "http": lambda: RemoteScheduler("http://127.0.0.1:9/"),  # nobody is asked
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Any:
    return CLIENTS[request.param]()


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("add_task", {"worker": "w", "task_id": "a", "prioriy": 50}, "prioriy: .*did you mean priority"),
        ("get_work", {"worker": "w", "curent_tasks": []}, "did you mean current_tasks"),
        ("task_list", {"upstream": "UPSTREAM_FAILED"}, "did you mean upstream_status"),
        ("dep_graph", {"task_id": "a", "includ_done": False}, "did you mean include_done"),
        ("forgive_failures", {"task": "a"}, "did you mean task_id"),
        ("graph", {"xyz": 1}, "takes none"),
        (
            "add_tasks",
            {"worker": "w", "tasks": [{"task_id": "a"}, {"task_id": "b", "prioriy": 5}]},
            r"tasks\[1\].prioriy",
        ),
    ],
)
def test_a_misspelt_keyword_is_refused_with_the_one_that_was_meant(
    client: Any, method: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        getattr(client, method)(**arguments)


@pytest.mark.parametrize("method", ["add_task", "get_work", "ping"])
def test_a_call_without_its_worker_is_refused(client: Any, method: str) -> None:
    with pytest.raises(InvalidArgument, match="worker: is missing"):
        getattr(client, method)(**({"task_id": "a"} if method == "add_task" else {}))


def test_what_luigis_worker_sends_beyond_luigis_signatures_is_taken() -> None:
    scheduler: Any = CLIENTS["direct"]()
    scheduler.announce_scheduling_failure(
        worker="w", task_name="T()", family="T", params={}, expl="no", owners=["me@example.org"]
    )
    scheduler.add_task(worker="w", task_id="b", family="B", status="RUNNING", assistant=True, owners=[])
    scheduler.close()


def test_the_wire_still_takes_what_luigis_takes() -> None:
    assert {name for name, method in METHODS.items() if method.takes_any} == set(
        """add_task announce_scheduling_failure add_worker get_work ping graph dep_graph inverse_dep_graph task_list
        worker_list task_search fetch_error""".split()
    )


SNIPPET = """
def use_{kind}(scheduler: {kind}) -> None:
    scheduler.add_task(worker="w", task_id="a", priority=3, deps=["b"])
    scheduler.get_work(worker="w", host="here")
    scheduler.ping(worker="w")
    scheduler.update_resources(db=2)
    scheduler.add_task(task_id="a")
    scheduler.get_work(host="here")
    scheduler.ping()
    scheduler.add_task(worker="w", task_id="a", prioriy=50)
    scheduler.add_task(worker="w", task_id="a", priority="high")
"""


@only_by_night  # 5 s of CPU; by day mypy reads the same signatures where our own code calls
def test_a_type_checker_reports_missing_workers_and_misspelt_keywords(tmp_path: Path) -> None:
    """Of either kind of scheduler; one run of mypy for both."""
    uses = [SNIPPET.format(kind=kind) for kind in ("Scheduler", "RemoteScheduler")]
    snippet = tmp_path / "snippet.py"
    snippet.write_text("from broker_sched import RemoteScheduler, Scheduler\n" + "".join(uses))
    words = [
        *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports", "silent"),
        *("--config-file", "", "--cache-dir", str(tmp_path), str(snippet)),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    told = [line.partition("snippet.py:")[2] for line in done.stdout.splitlines() if ": error: " in line]
    lines = [int(line.partition(":")[0]) for line in told]
    assert lines == [*range(8, 13), *range(19, 24)], done.stdout + done.stderr
    for first in (0, 5):
        assert all('Missing named argument "worker"' in line for line in told[first : first + 2])
        assert 'Missing positional argument "worker"' in told[first + 2]
        assert "prioriy" in told[first + 3]
