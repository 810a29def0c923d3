"""`bsched status`, `family`, `failures`, `worker list`, `resource`, `events`, `namespace`: how all stands."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pexpect
import pytest

from broker_sched import Scheduler
from tests.cli.commands import Bsched, column
from tests.harness import RedisProcess
from tests.programs import Program
from tests.terminals import on_terminal, plain


@pytest.fixture
def busy(board: Scheduler) -> Iterator[Scheduler]:
    """One of three Loads is DONE, one has failed, one runs on w and holds the resource db; Report waits for all."""
    board.add_worker(worker="w", info={"workers": 2, "host": "h1"})
    board.update_resources(db=2)
    for day in range(3):
        board.add_task(worker="w", task_id=f"Load_{day}", family="Load", params={"day": str(day)}, resources={"db": 1})
    board.add_task(worker="w", task_id="Report_x", family="Report", deps=["Load_0", "Load_1", "Load_2"])
    for status in ("DONE", "FAILED"):
        task_id = board.get_work(worker="w", current_tasks=[])["task_id"]
        board.add_task(worker="w", task_id=task_id, status=status, expl=json.dumps("Oh\nValueError: no café"))
    board.get_work(worker="w", current_tasks=[])
    yield board


def fail(scheduler: Scheduler, task_id: str) -> None:
    for status in ("PENDING", "FAILED"):
        scheduler.add_task(worker="w", task_id=task_id, status=status)


def test_the_status_is_one_screen_of_the_overview(busy: Scheduler, on: Bsched) -> None:
    lines = [" ".join(line.split()) for line in on.lines("status")]
    for told in (
        "RUNNING 1",
        "FAILED 1",
        "DONE 1",
        "WAITING 1 for deps",
        "1 active, 0 disabled, 0 silent, 0 submissions",
        "1 of 2 slots in use",
        "db 1 of 2 in use",
    ):
        assert told in lines, lines
    assert len(lines) < 45
    found = on.json("status")
    assert (found["namespace"], found["tasks"]["RUNNING"]) == (busy.namespace.name, 1)


def test_the_status_says_what_is_paused(busy: Scheduler, on: Bsched) -> None:
    busy.pause()
    busy.pause_family(family="Load")
    shown = on("status").stdout
    assert "paused: nothing is handed out; bsched resume ends that" in shown
    assert "paused families: Load" in shown


def test_watching_draws_the_screen_anew_until_ctrl_c(busy: Scheduler, on: Bsched) -> None:
    with on_terminal("status", "--watch", "--interval", "0.2", *on.where) as child:
        child.expect(r"RUNNING\x1b\[0m +1")
        busy.add_task(worker="w", task_id="Late_1", family="Late")
        child.expect(r"READY +1")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 130
        assert "Traceback" not in child.before


def test_watching_into_a_pipe_prints_one_answer_after_the_other(busy: Scheduler, on: Bsched) -> None:
    watching = Program("status", "--watch", "--interval", "0.2", "--json", *on.where)
    assert watching.stdout is not None
    found = [json.loads(watching.stdout.readline()) for _ in range(2)]
    watching.send_signal(signal.SIGINT)
    _, told = watching.communicate()
    assert (watching.returncode, told) == (130, "")
    assert all(each["tasks"]["RUNNING"] == 1 for each in found)


def test_families_are_listed_by_state_with_run_times_and_failures(busy: Scheduler, on: Bsched) -> None:
    rows = on.rows("family", "list")
    load = dict(zip(rows[0], rows[1]))
    assert (load["FAMILY"], load["RUNNING"], load["FAILED"], load["DONE"]) == ("Load", "1", "1", "1")
    assert load["FAILED LAST HOUR, LAST"].startswith("1, ") and load["LAST ERROR"] == "ValueError: no café"
    assert load["MEAN"].endswith(" s")
    busy.pause_family(family="Report")
    assert "Report (paused)" in column(on.rows("family", "list"), "FAMILY")
    assert [each["family"] for each in on.json_lines("family", "list")] == ["Load", "Report"]
    assert "There are more; --limit 10" in on("family", "list", "--limit", "1").stderr


def test_what_failed_lately_is_grouped_by_family_and_error(busy: Scheduler, on: Bsched) -> None:
    rows = on.rows("failures")
    group = dict(zip(rows[0], rows[1]))
    assert (group["COUNT"], group["TASKS"], group["FAMILY"]) == ("1", "1", "Load")
    assert group["ERROR"] == "ValueError: no café" and group["EXAMPLE"].startswith("Load_")
    (found,) = on.json_lines("failures", "--since", "30m")
    assert (found["family"], found["count"], found["workers"]) == ("Load", 1, ["w"])


def test_workers_are_listed_and_shown_with_what_they_run_and_failed_at(busy: Scheduler, on: Bsched) -> None:
    rows = on.rows("worker", "list")
    worker = dict(zip(rows[0], rows[1]))
    assert (worker["WORKER"], worker["STATE"], worker["HOST"], worker["RUNNING"]) == ("w", "active", "h1", "1 of 2")
    assert (worker["FAILED LAST HOUR"], worker["DONE LAST HOUR"]) == ("1", "1")
    shown = on("worker", "show", "w").stdout
    assert "running\n" in shown and "failed last\n" in shown and "ValueError: no café" in shown
    found = on.json("worker", "show", "w")
    assert len(found["running_tasks"]) == 1 and len(found["failures"]) == 1
    assert "There is no worker w1. Did you mean w?" in on.error("worker", "show", "w1")


def test_events_are_shown_and_followed(busy: Scheduler, on: Bsched) -> None:
    changes = column(on.rows("events", "--limit", "3"), "CHANGE")
    assert changes[-1] == "PENDING → RUNNING"
    assert {each["to"] for each in on.json_lines("events", "--status", "FAILED")} == {"FAILED"}
    assert {each["family"] for each in on.json_lines("events", "--family", "Load")} == {"Load"}
    assert "There is no family Lod. Did you mean Load?" in on.error("events", "--family", "Lod")
    with on_terminal("events", "--follow", *on.where) as child:
        child.expect("PENDING → RUNNING")
        fail(busy, "Late_1")
        child.expect("PENDING → FAILED  Late_1")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.wait()
        assert (child.exitstatus, "Traceback" in plain(child.before)) == (130, False)


def test_when_nothing_failed_it_says_so(board: Scheduler, on: Bsched) -> None:
    result = on("failures", "--since", "2h")
    assert (result.stdout, result.stderr) == ("", "Nothing has failed in the last 2 h.\n")
    assert "is no duration; write 90, 30m" in on.error("failures", "--since", "soon", code=2)


def test_what_failed_lately_is_retried_by_the_same_command(busy: Scheduler, on: Bsched) -> None:
    assert on("failures", "--retry", "--dry-run").stdout.endswith("would be PENDING again.\n")
    assert "give --yes" in on.error("failures", "--retry")
    (changed,) = on.json("failures", "--since", "10m", "--retry", "--error", "no café", "--yes")["changed"]
    assert busy.task_statuses(task_ids=[changed])[changed]["status"] == "PENDING"
    assert "go with --retry" in on.error("failures", "--error", "x", code=2)


def test_where_to_ask_may_stand_before_the_subcommand_too(busy: Scheduler, on: Bsched) -> None:
    from click.testing import CliRunner

    from bsched.main import cli

    said = CliRunner().invoke(cli, ["worker", *on.where, "list"])
    assert (said.exit_code, "active" in said.stdout) == (0, True)
    wrong = CliRunner().invoke(cli, ["worker", "--burst", *on.where, "list"])
    assert wrong.exit_code == 2 and "--burst is for a worker that runs tasks, and `list` runs none." in wrong.stderr


def test_a_resource_is_shown_with_who_holds_it(busy: Scheduler, on: Bsched) -> None:
    assert on.rows("resource", "list") == [["RESOURCE", "LIMIT", "USED"], ["db", "2", "1"]]
    shown = on("resource", "show", "db").stdout
    assert "1 of 2" in shown and "held by 1 task" in shown and "Load_" in shown
    (held,) = on.json("resource", "show", "db")["holders"]
    assert held["task_id"].startswith("Load_") and "wanted by" not in shown
    busy.add_task(worker="w", task_id="Greedy_x", family="Greedy", priority=3, resources={"db": 2})
    assert "wanted by 1 ready task" in (more := on("resource", "show", "db").stdout) and "Greedy_x" in more
    assert "There is no resource dv. Did you mean db?" in on.error("resource", "show", "dv")


def test_events_go_on_behind_one_that_was_seen(busy: Scheduler, on: Bsched) -> None:
    seen = on.json_lines("events")[-1]
    fail(busy, "Report_x")
    assert [each["task_id"] for each in on.json_lines("events", "--after", seen["id"])] == ["Report_x"]


def test_following_goes_on_after_an_outage(mortal_redis: RedisProcess) -> None:
    scheduler = Scheduler(mortal_redis.url, "n", prune_interval_seconds=None)
    fail(scheduler, "First_1")
    with on_terminal("events", "--follow", "--redis", mortal_redis.url, "--namespace", "n") as child:
        child.expect("First_1")
        mortal_redis.kill()
        child.expect("The scheduler is asked again")
        mortal_redis.start()
        fail(scheduler, "Second_1")
        child.expect("Second_1")
    scheduler.close()


def test_namespaces_are_listed_and_deleted(own_redis: RedisProcess, board: Scheduler, on: Bsched) -> None:
    name = board.namespace.name
    doomed = Scheduler(own_redis.url, f"{name}-old", prune_interval_seconds=None)
    doomed.add_task(worker="w", task_id="a", family="F")
    doomed.close()
    there = Bsched("--redis", own_redis.url)
    listed = {each["namespace"]: each for each in there.json_lines("namespace", "list")}
    assert listed[f"{name}-old"]["tasks"]["READY"] == 1 and name in listed
    assert "give --yes" in there.error("namespace", "delete", f"{name}-old", "--force")
    assert "is in use by worker w" in there.error("namespace", "delete", f"{name}-old", "--yes")
    assert f"Did you mean {name}-old?" in there.error("namespace", "delete", f"{name}-odl", "--yes")
    told = there.json("namespace", "delete", f"{name}-old", "--yes", "--force")
    assert told["namespace"] == f"{name}-old" and told["keys"] > 3
    assert f"{name}-old" not in {each["namespace"] for each in there.json_lines("namespace", "list")}
    assert on.json("status")["namespace"] == name, "no other one is touched"


def test_a_namespace_of_another_version_is_listed_too(own_redis: RedisProcess, board: Scheduler) -> None:
    own_redis.client.hset("bsched:{ancient}:config", "schema", "2")
    listed = {each["namespace"]: each for each in Bsched("--redis", own_redis.url).json_lines("namespace", "list")}
    assert (listed["ancient"]["schema"], listed["ancient"]["tasks"]) == ("2", None)
    own_redis.client.delete("bsched:{ancient}:config")


def test_it_all_works_over_http_too(server: object, over_http: Bsched) -> None:
    for status in ("PENDING", "FAILED"):
        over_http("call", "add_task", "worker=w", "task_id=Http_1", "family=Http", f"status={status}")
    assert "FAILED" in over_http("status").stdout
    assert column(over_http.rows("family", "list"), "FAMILY") == ["Http"]
    assert column(over_http.rows("worker", "list"), "WORKER") == ["w"]
    assert column(over_http.rows("events"), "TASK") == ["Http_1"]
    assert over_http("failures").exit_code == over_http("resource", "list").exit_code == 0


def test_times_are_seconds_in_json(busy: Scheduler, on: Bsched) -> None:
    (event,) = on.json_lines("events", "--limit", "1")
    assert abs(event["time"] - time.time()) < 600
