"""`make demo` as a test: its own checks are strict, so its exit code says most of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.http.harness import ROOT

pytestmark = pytest.mark.xdist_group("demo")  # one run for all of them


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One run of the demo, and the directory with its files."""
    directory = tmp_path_factory.mktemp("demo")
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, str(ROOT / "demo" / "run.py"), "--directory", str(directory)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    return run, directory


def runs_of(directory: Path) -> list[list[str]]:
    """[family, parameter…, outcome, pid] of each run of a task."""
    return [line.split() for line in (directory / "runs.log").read_text().splitlines()]


def test_demo_succeeds_and_says_what_it_did(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    run, _ = demo
    assert run.returncode == 0, run.stdout + run.stderr
    assert "All is well" in run.stdout
    assert "from http://127.0.0.1:" in run.stdout and "/api/task_list: DONE" in run.stdout
    assert run.stderr == ""


def test_every_task_of_the_demo_succeeds_exactly_once(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, directory = demo
    done: Counter[tuple[str, str]] = Counter()
    for family, *parameters, outcome, _pid in runs_of(directory):
        if outcome == "done":
            done.update((family, parameter) for parameter in " ".join(parameters).split(","))
    assert set(done.values()) == {1}
    families = Counter(family for family, _ in done)
    assert families == {
        **{"DailyText": 91, "CountWords": 91, "CountLetters": 91, "WeekTotal": 13, "WeekPage": 13, "MonthTotal": 3},
        **{"BusiestDays": 1, "DayProfile": 3, "Report": 1, "WordCount": 1},
    }


def test_only_the_tasks_that_fail_once_are_retried(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, directory = demo
    failed = Counter(
        (family, *parameters) for family, *parameters, outcome, _ in runs_of(directory) if outcome == "failed"
    )
    assert len(failed) == 13
    assert set(failed.values()) == {1}
    assert {family for family, *_ in failed} == {"CountLetters"}


def test_word_counts_are_handed_out_in_batches(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, directory = demo
    sizes = [len(days.split(",")) for family, days, *_ in runs_of(directory) if family == "CountWords"]
    assert 1 < max(sizes) <= 7


def test_demo_leaves_no_process_behind(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, directory = demo
    psutil = pytest.importorskip("psutil")
    left = [
        process.info
        for process in psutil.process_iter(["pid", "cmdline"])
        if any(str(directory) in word for word in process.info["cmdline"] or [])
    ]
    assert left == []
