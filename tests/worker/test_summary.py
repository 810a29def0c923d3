"""The summary of a run: Luigi's own, fed with the same pipeline, is the measure."""

from __future__ import annotations

import datetime
import logging
import random
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import luigi.execution_summary
import luigi.retcodes
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
    Standing,
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
OURS = ("disabled", "superseded", "done_elsewhere", "failed_elsewhere", "refused")  # which Luigi does not have
COMPARED = [name for name in GROUPS if name not in OURS]
CODES = ReturnCodes()
QUIET: dict[str, Any] = {"send_failure_email": False, "wait_interval": 0.05, "wait_jitter": 0.0}


class Part(luigi.Task):
    """One of a random graph."""

    number = luigi.IntParameter()

    def requires(self) -> Any:
        return [Part(number) for number in graph.get(self.number, ())]


class Day(luigi.Task):
    date = luigi.DateParameter()


class Text(luigi.Task):
    value = luigi.Parameter()


graph: dict[int, list[int]] = {}


def as_history(worker: Any, roots: Any) -> RunHistory:
    """What a worker of luigi's remembers, as summarize() takes it."""
    reports = tuple(Report(*entry) for entry in worker._add_task_history)
    responses = tuple(Response(each["task_id"], each["running_tasks"]) for each in worker._get_work_response_history)
    return RunHistory(worker._id, worker._scheduled_tasks, reports, responses, roots, True)


def sorted_by_luigi(worker: Any) -> Any:
    """(ids by group, status)"""
    groups: Any = luigi.execution_summary._summary_dict(worker)
    ids = {name: {task.task_id for task in groups[LUIGIS.get(name, name)]} for name in COMPARED}
    return ids, luigi.execution_summary._tasks_status(groups).name


def sorted_by_us(worker: Any) -> Any:
    found = summarize(as_history(worker, []))
    return {name: {task.task_id for task in found.groups.get(name, ())} for name in COMPARED}, found.status.name


def luigis_code(worker: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What luigi's command would exit with after this worker's run."""
    monkeypatch.setattr(luigi.interface, "_run", lambda argv: SimpleNamespace(worker=worker))
    monkeypatch.setattr(luigi.retcodes, "retcode", lambda: CODES)
    with pytest.raises(SystemExit) as ended:
        luigi.retcodes.run_with_retcodes(["Part", "--no-lock"])
    return ended.value.code


def our_code(worker: Any) -> int:
    return return_code(summarize(as_history(worker, [worker._add_task_history[0][0].task_id])), CODES)


def random_worker(chance: random.Random) -> Any:
    """What luigi's summary reads of a worker, with a history of anything, also of what should not happen."""
    size = chance.randint(1, 7)
    graph.clear()
    graph.update({n: [other for other in range(n + 1, size) if chance.random() < 0.4] for n in range(size)})
    parts = [Part(number) for number in range(size)]
    first = ["PENDING"] * 5 + ["DONE", "UNKNOWN", "DISABLED"]
    later = "DONE DONE FAILED PENDING RUNNING BATCH_RUNNING SUSPENDED DISABLED".split()
    added = [(part, chance.choice(first), chance.random() < 0.8) for part in parts]
    ran = [(chance.choice(parts), chance.choice(later), chance.random() < 0.9) for _ in range(chance.randint(0, 6))]
    responses = [
        {
            "task_id": chance.choice([None, None, parts[0].task_id]),
            "running_tasks": [{"task_id": chance.choice(parts).task_id, "worker": chance.choice(["me", "b", "c"])}],
        }
        for _ in range(chance.randint(0, 2))
    ]
    return SimpleNamespace(
        _id="me",
        _add_task_history=added + ran,
        _get_work_response_history=responses,
        _scheduled_tasks={part.task_id: part for part in parts if chance.random() < 0.9},
    )


def families(groups: Any, names: dict[str, str]) -> dict[str, list[str]]:
    found = {name: sorted(task.task_family for task in groups.get(names.get(name, name), ())) for name in COMPARED}
    return {name: members for name, members in found.items() if members}


@pytest.mark.parametrize("name", PIPELINES)
def test_tasks_are_sorted_and_judged_as_by_luigi(name: str, local: Scheduler, tmp_path: Path) -> None:
    make, options = PIPELINES[name]
    for which in ("luigi", "ours"):
        (tmp_path / which).mkdir()
    with luigi.worker.Worker(luigi.scheduler.Scheduler(), **QUIET, **options) as theirs:
        theirs.add(make(str(tmp_path / "luigi")))
        theirs.run()
    with Worker(local, **QUICK, **options) as ours:
        ours.add(make(str(tmp_path / "ours")))
        ours.run()
    expected: Any = luigi.execution_summary._summary_dict(theirs)
    found = ours.summary()
    assert families(found.groups, {}) == families(expected, LUIGIS)
    assert found.status.name == luigi.execution_summary._tasks_status(expected).name


@pytest.mark.parametrize("name", PIPELINES)
def test_of_luigis_own_worker_we_say_what_luigi_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, options = PIPELINES[name]
    with luigi.worker.Worker(luigi.scheduler.Scheduler(), **QUIET, **options) as worker:
        worker.add(make(str(tmp_path)))
        worker.run()
    assert sorted_by_us(worker) == sorted_by_luigi(worker)
    assert our_code(worker) == luigis_code(worker, monkeypatch)


def test_of_a_retry_that_succeeds_we_say_what_luigi_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = luigi.scheduler.Scheduler(retry_delay=0.01, prune_on_get_work=True)
    with luigi.worker.Worker(scheduler, keep_alive=True, **QUIET) as worker:
        worker.add(luigi_tasks.FailOnce(str(tmp_path)))
        worker.run()
    assert sorted_by_us(worker) == sorted_by_luigi(worker)
    assert our_code(worker) == luigis_code(worker, monkeypatch)
    assert (sorted_by_us(worker)[1], our_code(worker)) == ("SUCCESS_WITH_RETRY", 0)


def test_of_another_worker_that_runs_a_dep_we_say_what_luigi_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, root = luigi.scheduler.Scheduler(), luigi_tasks.NeedsFail(str(tmp_path))
    scheduler.add_task(worker="other", task_id=luigi_tasks.Fail(str(tmp_path)).task_id, family="Fail")
    scheduler.get_work(worker="other")
    with luigi.worker.Worker(scheduler, **QUIET) as worker:
        worker.add(root)
        worker.run()
    assert sorted_by_us(worker) == sorted_by_luigi(worker)
    assert our_code(worker) == luigis_code(worker, monkeypatch)
    assert sorted_by_us(worker)[0]["upstream_elsewhere"] == {root.task_id}


@pytest.mark.parametrize("seed", range(20))
def test_of_any_history_we_say_what_luigi_says(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        worker = random_worker(chance)
        assert sorted_by_us(worker) == sorted_by_luigi(worker)
    assert our_code(worker) == luigis_code(worker, monkeypatch)


def history(*reports: Report, running: Any = (), roots: Any = ()) -> RunHistory:
    scheduled = {report.task.task_id: report.task for report in reports}
    return RunHistory("me", scheduled, reports, (Response(None, running),), roots, True)


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


def done(*tasks: Any) -> ExecutionSummary:
    return summarize(history(*(Report(task, "DONE", False) for task in tasks)))


def test_only_values_in_a_row_are_collapsed() -> None:
    text = done(*(luigi_tasks.Write("d", str(number)) for number in (7, 1, 3, 2))).text
    assert "- 4 Write(directory=d, name=1 … 3, 7)" in text


def test_two_values_in_a_row_are_both_shown() -> None:
    assert "name=1, 2)" in done(*(luigi_tasks.Write("d", str(number)) for number in (1, 2))).text


def test_dates_are_collapsed_over_the_end_of_a_month() -> None:
    first = datetime.date(2024, 2, 28)
    text = done(*(Day(first + datetime.timedelta(days=days)) for days in (0, 1, 2, 9))).text
    assert "- 4 Day(date=2024-02-28 … 2024-03-01, 2024-03-08)" in text


def test_text_that_only_looks_like_dates_is_not_collapsed() -> None:
    assert "(value=2024-02-29, 2024-02-30)" in done(Text("2024-02-29"), Text("2024-02-30")).text


def test_of_many_values_the_first_are_shown() -> None:
    assert "- 7 Text(value=a, b, c, d, e … and 2 more)" in done(*map(Text, "abcdefg")).text


def test_a_value_never_takes_more_than_a_line() -> None:
    text = done(Text("one\ntwo" + "x" * 1000)).text
    assert len(text.splitlines()) == 5
    assert max(map(len, text.splitlines())) < 120


def test_the_password_of_a_url_is_not_shown() -> None:
    text = done(Text("postgres://me:hunter2@db/x")).text
    assert "hunter2" not in text and "postgres://me:***@db/x" in text


def test_of_many_other_workers_the_first_are_shown() -> None:
    task = luigi_tasks.Fail("d")
    running = [{"task_id": task.task_id, "worker": f"w{number}"} for number in range(9)]
    text = summarize(history(Report(task, "PENDING", True), running=running)).text
    assert "Worker w4 ran 1 of them.\n… and 4 more workers ran some." in text and "w5" not in text


def test_a_disabled_root_is_shown_and_no_success() -> None:
    task = luigi_tasks.Disabled("d")
    found = summarize(history(Report(task, "DISABLED", True), roots=[task.task_id]))
    assert found.counts == {"disabled": 1}
    assert found.text.endswith(":| nothing failed, but what was asked for is not done")
    assert return_code(found, ReturnCodes()) == 25


def test_a_task_that_was_done_after_all_is_not_disabled() -> None:
    task = luigi_tasks.Disabled("d")
    found = summarize(history(Report(task, "DISABLED", True), Report(task, "DONE", False)))
    assert found.counts == {"already_done": 1}


def test_every_root_has_to_be_done() -> None:
    first, second = luigi_tasks.Write("d", "x"), luigi_tasks.Disabled("d")
    reports = (Report(first, "DONE", False), Report(second, "DISABLED", True))
    found = summarize(history(*reports, roots=[first.task_id, second.task_id]))
    assert return_code(found, ReturnCodes()) == 25


def test_requires_that_raises_by_now_does_not_spoil_the_summary(caplog: pytest.LogCaptureFixture) -> None:
    task = luigi_tasks.BrokenDeps("d")
    with caplog.at_level(logging.WARNING, "bsched.worker"):
        found = summarize(history(Report(task, "PENDING", True)))
    assert found.status is RunStatus.NOT_RUN
    assert f"What {task.task_id} waits for can't be told: its requires() now raises RuntimeError." in caplog.text


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
        "notes": {},
    }


@pytest.mark.parametrize(("status", "groups"), [("DONE", {"completed"}), ("FAILED", {"completed", "failed_elsewhere"})])
def test_a_task_that_ran_here_and_was_scheduled_anew_is_counted_once_unless_others_failed_it(
    status: str, groups: set[str]
) -> None:
    task: Any = Part(1)
    reports = tuple(Report(task, each, True) for each in ("PENDING", "DONE", "PENDING"))
    history = RunHistory("here", {task.task_id: task}, reports, (), [task.task_id], True)
    summary = summarize(replace(history, standings={task.task_id: Standing(status, "there", None)}))
    assert set(summary.counts) == groups and summary.task_count == len(groups)
