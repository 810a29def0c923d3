"""`make demo` as a test. One test, since the demo runs once: each of its claims is a function below.

By night: CI runs `make demo` itself, which compares its own runs, results and counts with what they must be.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import psutil

from tests.harness import ROOT
from tests.nightly import only_by_night
from tests.servers import die_with_parent

FAMILIES = {
    **{"DailyText": 91, "CountWords": 91, "CountLetters": 91, "WeekTotal": 13, "WeekPage": 13, "MonthTotal": 3},
    **{"BusiestDays": 1, "DayProfile": 3, "Report": 1, "WordCount": 1},
}
FAILING = 13  # of CountLetters, at the first attempt
MAX_BATCH_SIZE = 7


@only_by_night
def test_demo_runs_every_task_once_shows_its_page_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-u", str(ROOT / "demo" / "run.py"), "--keep", "--directory", str(tmp_path)]
    assert " --keep" in subprocess.check_output(["make", "-n", "-C", ROOT, "demo", "KEEP=1"], text=True)
    run = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    )
    assert run.stdout is not None
    said = ""
    for line in run.stdout:
        said += line
        if "Enter stops it" in line:
            assert_the_page_is_there(said)
            break
    rest, complaints = run.communicate("\n", timeout=60)
    assert (run.returncode, complaints) == (0, ""), said + rest + complaints
    assert "Everything is stopped." in rest
    assert_it_says_what_it_did(said)
    runs = [line.split() for line in (tmp_path / "runs.log").read_text().splitlines()]
    assert_every_task_succeeds_once(runs)
    assert_only_the_tasks_that_fail_once_are_retried(runs)
    assert_words_are_counted_in_batches(runs)
    assert_no_process_is_left(tmp_path)


def assert_the_page_is_there(said: str) -> None:
    (address,) = re.findall(r"The web page: (\S+)", said)
    with urlopen(address, timeout=20) as reply:
        assert b"demo: broker_sched" in reply.read()


def assert_it_says_what_it_did(said: str) -> None:
    assert "All is well" in said
    assert "/api/task_list: DONE " in said
    assert "hgetall 'bsched:{demo}:task:Report_" in said
    assert "\n      status: DONE\n" in said, (
        "what Redis answers is shown, on a Python whose wheel has no redis-cli, too"
    )


def assert_every_task_succeeds_once(runs: list[list[str]]) -> None:
    done: Counter[tuple[str, str]] = Counter()
    for family, *parameters, outcome, _pid in runs:
        if outcome == "done":
            done.update((family, parameter) for parameter in " ".join(parameters).split(","))
    assert set(done.values()) == {1}
    assert Counter(family for family, _ in done) == FAMILIES


def assert_only_the_tasks_that_fail_once_are_retried(runs: list[list[str]]) -> None:
    failed = Counter((family, *parameters) for family, *parameters, outcome, _ in runs if outcome == "failed")
    assert (len(failed), set(failed.values())) == (FAILING, {1})
    assert {family for family, *_ in failed} == {"CountLetters"}


def assert_words_are_counted_in_batches(runs: list[list[str]]) -> None:
    sizes = [len(days.split(",")) for family, days, *_ in runs if family == "CountWords"]
    assert 1 < max(sizes) <= MAX_BATCH_SIZE


def assert_no_process_is_left(directory: Path) -> None:
    left = [p.info for p in psutil.process_iter(["pid", "cmdline"]) if str(directory) in str(p.info["cmdline"])]
    assert left == []
