"""The summary of a run: Luigi's own, fed with the same pipeline, is the measure."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import luigi.execution_summary
import luigi.scheduler
import luigi.worker
import pytest

from broker_sched import Scheduler
from broker_sched.worker.summary import (
    GROUPS,
    ExecutionSummary,
    Report,
    Response,
    ReturnCodes,
    RunHistory,
    RunStatus,
    return_code,
    summarize,
)
from broker_sched.worker.worker import Worker
from tests.worker import luigi_tasks
from tests.worker.conftest import QUICK
from tests.worker.test_like_luigi import PIPELINES

LUIGIS = {
    "missing_external": "still_pending_ext",
    "upstream_missing": "upstream_missing_dependency",
    "upstream_elsewhere": "upstream_run_by_other_worker",
    "elsewhere": "run_by_other_worker",
}


def families(groups: Any, names: dict[str, str]) -> dict[str, list[str]]:
    found = {name: sorted(task.task_family for task in groups.get(names.get(name, name), ())) for name in GROUPS}
    return {name: members for name, members in found.items() if members}


@pytest.mark.parametrize("name", [name for name in PIPELINES if name != "a limit"])
def test_tasks_are_sorted_and_judged_as_by_luigi(name: str, local: Scheduler, tmp_path: Path) -> None:
    make, options = PIPELINES[name]
    for which in ("luigi", "ours"):
        (tmp_path / which).mkdir()
    with luigi.worker.Worker(
        luigi.scheduler.Scheduler(), send_failure_email=False, wait_interval=0.05, wait_jitter=0.0, **options
    ) as theirs:
        theirs.add(make(str(tmp_path / "luigi")))
        theirs.run()
    with Worker(local, **QUICK, **options) as ours:
        ours.add(make(str(tmp_path / "ours")))
        ours.run()
    expected: Any = luigi.execution_summary._summary_dict(theirs)
    found = ours.summary()
    assert families(found.groups, {}) == families(expected, LUIGIS)
    assert found.status.name == luigi.execution_summary._tasks_status(expected).name


def history(*reports: Report, running: Any = (), roots: Any = ()) -> RunHistory:
    scheduled = {report.task.task_id: report.task for report in reports}
    return RunHistory("me", scheduled, reports, (Response(None, running),), roots, True, True)


def test_what_runs_elsewhere_is_told_with_its_worker() -> None:
    task, root = luigi_tasks.Fail("d"), luigi_tasks.NeedsFail("d")
    running = [{"task_id": task.task_id, "worker": "other"}]
    found = summarize(history(Report(root, "PENDING", True), Report(task, "PENDING", True), running=running))
    assert families(found.groups, {}) == {"elsewhere": ["Fail"], "upstream_elsewhere": ["NeedsFail"]}
    assert "Worker other ran 1 of them." in found.text
    assert return_code(found, ReturnCodes()) == 10


def test_a_retry_that_succeeds_is_no_failure() -> None:
    task = luigi_tasks.Fail("d")
    statuses = ("PENDING", "FAILED", "DONE")
    found = summarize(history(*(Report(task, status, True) for status in statuses), roots=[task.task_id]))
    assert found.status is RunStatus.SUCCESS_WITH_RETRY
    assert return_code(found, ReturnCodes()) == 0


@pytest.mark.parametrize(
    ("status", "runnable", "code"),
    [("DONE", False, 0), ("FAILED", True, 30), ("UNKNOWN", False, 35), ("PENDING", False, 20), ("PENDING", True, 25)],
)
def test_the_return_code_says_what_went_wrong(status: str, runnable: bool, code: int) -> None:
    task = luigi_tasks.Write("d", "x")
    found = summarize(history(Report(task, status, runnable), roots=[task.task_id]))
    assert return_code(found, ReturnCodes()) == code


def test_the_highest_code_counts_and_luigis_zeros_can_be_had() -> None:
    reports = (Report(luigi_tasks.Fail("d"), "FAILED", True), Report(luigi_tasks.External("d"), "PENDING", False))
    found = summarize(history(*reports))
    assert return_code(found, ReturnCodes()) == 30
    assert return_code(found, ReturnCodes(task_failed=0, missing_data=0)) == 0


def test_the_text_counts_and_collapses_what_differs_in_one_parameter() -> None:
    tasks = [luigi_tasks.Write("d", str(number)) for number in range(9, 12)]
    text = summarize(history(*(Report(task, "DONE", False) for task in tasks))).text
    assert "* 3 complete before" in text
    assert "- 3 Write(directory=d, name=9 … 11)" in text
    assert text.endswith(":) nothing failed and nothing was missing")


def test_of_many_different_tasks_the_first_are_shown() -> None:
    tasks = [luigi_tasks.Write(f"d{number}", str(number)) for number in range(8)]
    text = summarize(history(*(Report(task, "DONE", False) for task in tasks))).text
    assert "(directory=d4, name=4) … and 3 more" in text


def test_nothing_scheduled_is_said_so() -> None:
    assert "No task was scheduled" in summarize(history()).text


def test_programs_get_ids(local: Scheduler, tasks: ModuleType, directory: str) -> None:
    with Worker(local, **QUICK) as worker:
        worker.add(tasks.NeedsFail(directory))
        worker.run()
    summary: ExecutionSummary = worker.summary()
    assert summary.as_dict() == {
        "status": "FAILED",
        "task_count": 2,
        "groups": {
            "failed": [tasks.Fail(directory).task_id],
            "upstream_failure": [tasks.NeedsFail(directory).task_id],
        },
        "other_workers": {},
    }
