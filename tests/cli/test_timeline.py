"""`bsched timeline` and `bsched critical-path`: what ran when, and what the end waits for."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from broker_sched import Scheduler
from bsched.drawn_runs import FAILED, IDLE, WIDTH, drawn_rows
from tests.cli.commands import Bsched, column


@pytest.fixture
def board(board: Scheduler) -> Iterator[Scheduler]:
    """Of a chain Load → Sum → Mail w has run Load, has failed at another one, and runs Sum."""
    board.add_task(worker="w", task_id="Load_1", family="Load")
    board.add_task(worker="w", task_id="Load_2", family="Load")
    board.add_task(worker="w", task_id="Sum_1", family="Sum", deps=["Load_1"])
    board.add_task(worker="w", task_id="Mail_1", family="Mail", deps=["Sum_1", "Load_1"])
    for task_id, status in (("Load_1", "DONE"), ("Load_2", "FAILED")):
        assert board.get_work(worker="w")["task_id"] == task_id
        board.add_task(worker="w", task_id=task_id, family="Load", status=status)
    assert board.get_work(worker="w")["task_id"] == "Sum_1"
    yield board


def test_runs_are_listed_those_that_run_first(board: Scheduler, on: Bsched) -> None:
    rows = on.rows("timeline")
    assert column(rows, "TASK") == ["Sum_1", "Load_2", "Load_1"]
    assert column(rows, "OUTCOME") == ["RUNNING", "FAILED", "DONE"]
    assert set(column(rows, "WORKER")) == {"w"}
    assert [each["task_id"] for each in on.json_lines("timeline", "--family", "Load")] == ["Load_2", "Load_1"]
    assert "There are more; --limit 10" in on("timeline", "--limit", "1").stderr
    assert "No such runs." in on("timeline", "--worker", "nobody").stderr


def test_runs_are_drawn_a_line_for_each_worker_or_family(board: Scheduler, on: Bsched) -> None:
    rows = on.rows("timeline", "--by", "family", "--since", "1h")
    assert (column(rows, "FAMILY"), column(rows, "RUNS"), column(rows, "FAILED")) == (
        ["Load", "Sum"],
        ["2", "1"],
        ["1", "0"],
    )
    assert column(rows, "DRAWN")[0] == IDLE * (WIDTH - 1) + FAILED
    assert column(rows, "LONGEST IDLE")[0] in ("1 h", "59 min 59 s", "60 min")
    assert "Drawn from " in on("timeline", "--by", "family").stderr
    (row,) = on.json_lines("timeline", "--by", "worker")
    assert (row["name"], row["runs"], row["failed"]) == ("w", 3, 1)


def test_a_lane_is_as_high_as_runs_went_side_by_side() -> None:
    def ran(worker: str | None, started: float | None, ended: float | None, outcome: str = "DONE") -> dict[str, object]:
        return {"worker": worker, "started": started, "ended": ended, "outcome": outcome}

    runs = [ran("a", 0, 50), ran("a", 25, 50), ran("a", 75, None, "RUNNING"), ran("b", -10, 10), ran(None, None, 60)]
    rows = {each.name: each for each in drawn_rows(runs, "worker", 0, 100)}
    assert list(rows) == ["(nobody)", "a", "b"]
    assert set(rows["a"].drawn()[:12]) == {"▅"} and set(rows["a"].drawn()[13:25]) == {"█"}
    assert set(rows["a"].drawn()[26:37]) == {IDLE}
    told = rows["a"].shown()
    assert (told["busy"], told["longest_idle_seconds"]) == (0.75, 25)
    assert rows["b"].shown()["busy"] == pytest.approx(0.1)
    assert rows["(nobody)"].drawn().strip(IDLE) == "▁"


def test_the_critical_path_is_listed_with_what_is_not_known_of_it(board: Scheduler, on: Bsched) -> None:
    rows = on.rows("critical-path", "Mail_1")
    assert column(rows, "TASK") == ["Load_1", "Sum_1", "Mail_1"]
    assert column(rows, "STATE") == ["DONE", "RUNNING", "WAITING"]
    assert column(rows, "EXPECTED")[1:] == ["unknown", "unknown"]
    said = on("critical-path", "Mail_1").stderr
    assert "3 tasks: " in said and "no run was DONE yet of Mail, Sum." in said
    assert [step["task_id"] for step in on.json("critical-path", "Mail_1", "--by", "spent")["steps"]][-1] == "Mail_1"


def test_rings_missing_deps_and_bounds_are_said(board: Scheduler, on: Bsched) -> None:
    for task, dep in (("ring_a", "ring_b"), ("ring_b", "ring_a")):
        board.add_task(worker="w", task_id=task, family="R", deps=[dep])
    assert "in a ring: ring_a → ring_b → ring_a." in on("critical-path", "ring_a").stderr
    board.add_task(worker="h", task_id="Mail_1", new_deps=["Lost_1"], assistant=True)
    assert "Missing deps: Lost_1." in on("critical-path", "Mail_1").stderr
    board.add_tasks("w", [{"task_id": f"Many_{n}", "family": "Many"} for n in range(1000)])
    board.add_task(worker="w", task_id="all", deps=[f"Many_{n}" for n in range(1000)])
    assert "1,000 tasks were looked at, and 1 dep of them not." in on("critical-path", "all").stderr


def test_of_a_submission_the_path_ends_with_what_was_submitted(board: Scheduler, on: Bsched) -> None:
    board.add_task(worker="night", task_id="Sum_1", family="Sum", runnable=False)
    board.add_submission(submission="night", tasks=["Sum_1"])
    assert column(on.rows("critical-path", "--submission", "night"), "TASK") == ["Load_1", "Sum_1"]
    assert "Did you mean night?" in on.error("critical-path", "--submission", "nigth")
    assert "Give either" in on.error("critical-path", code=2)
    assert "There is no task Mail_2. Did you mean Mail_1?" in on.error("critical-path", "Mail_2")


def test_times_are_those_of_the_runs(board: Scheduler, on: Bsched) -> None:
    run = on.json_lines("timeline")[0]
    assert time.time() - 60 < run["started"] <= time.time() and run["ended"] is None
    assert on.json_lines("timeline", "--since", "2020-01-01", "--until", "2020-01-02") == []
