"""`bsched pause`, `resume`, `worker disable` …, `resource set`, `config`: what operators change, and who is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from broker_sched import Scheduler
from broker_sched.config import OPTIONS
from tests.cli.commands import Bsched, column
from tests.harness import ServerProcess


@pytest.fixture
def fleet(board: Scheduler) -> Iterator[Scheduler]:
    """A worker of ours, `ours`, and one of Luigi's, `luigis`; a READY task Load_1 of both."""
    board.add_worker(worker="ours", info={"workers": 2}, start_id="s1")
    board.add_worker(worker="luigis", info={"workers": 1})
    for worker in ("ours", "luigis"):
        board.add_task(worker=worker, task_id="Load_1", family="Load")
    yield board


def asked_of(scheduler: Scheduler, worker: str) -> list[tuple[str, dict[str, object]]]:
    return [(each["name"], each["kwargs"]) for each in scheduler.ping(worker=worker, start_id="s1")["rpc_messages"]]


def test_all_is_paused_and_resumed(fleet: Scheduler, on: Bsched) -> None:
    assert "Nothing is handed out" in on("pause").stdout
    assert fleet.get_work(worker="luigis")["task_id"] is None
    assert on.json("resume") == {"paused": False}
    assert fleet.get_work(worker="luigis")["task_id"] == "Load_1"


def test_a_family_is_paused_and_resumed(fleet: Scheduler, on: Bsched) -> None:
    assert on("pause", "Load").stdout == "Load (1 task) is not handed out. End it: bsched resume Load\n"
    assert fleet.get_work(worker="luigis")["task_id"] is None
    assert on("pause", "Load").stdout == "Load was paused already.\n"
    assert "Still paused, by name: Load" in on("resume").stderr
    assert on("resume", "Load").stdout == "Load is handed out again.\n"
    assert fleet.get_work(worker="luigis")["task_id"] == "Load_1"


def test_a_misspelt_family_is_not_paused(fleet: Scheduler, on: Bsched) -> None:
    for word in ("pause", "resume"):
        assert "There is no family Laod. Did you mean Load?" in on.error(word, "Laod")
    assert on.json("status")["paused_families"] == []
    assert on.json("pause", "Later", "--yet-to-come")["tasks"] == 0
    assert on.json("resume", "Later")["changed"], "one that is paused is known by that"


def test_where_pausing_is_off_it_is_refused(fleet: Scheduler, on: Bsched) -> None:
    on("config", "set", "pause_enabled=false")
    for words in (["pause"], ["pause", "Load"], ["resume"]):
        assert "bsched config set pause_enabled=true" in on.error(*words)


def test_a_worker_is_disabled_drained_and_told_how_many_processes(fleet: Scheduler, on: Bsched) -> None:
    on("worker", "set-processes", "ours", "5")
    assert on("worker", "drain", "ours").stdout == "Asked ours to finish what it runs, and to leave.\n"
    on("worker", "drain", "ours", "--timeout", "10m")
    assert asked_of(fleet, "ours") == [
        ("set_worker_processes", {"n": 5}),
        ("stop_asking", {}),
        ("drain", {"seconds": 600}),
    ]
    assert "Luigi's, and can't be asked to leave" in on("worker", "drain", "luigis").stdout
    assert on.json("worker", "disable", "ours") == {"worker": "ours", "state": "disabled"}
    states = {each["worker"]: each["state"] for each in on.json_lines("worker", "list")}
    assert states == {"ours": "disabled", "luigis": "disabled"}


def test_a_worker_that_lives_is_forgotten_only_by_force(fleet: Scheduler, on: Bsched) -> None:
    assert "It was heard of" in on("worker", "forget", "luigis", code=1).stderr
    fleet.get_work(worker="luigis")
    error = on.error("worker", "forget", "luigis", "--force")
    assert "Forget luigis, and fail the 1 task that it runs?" in error
    told = on("worker", "forget", "luigis", "--force", "--yes").stdout
    assert told == "luigis is forgotten; 1 task that it ran failed.\n"
    assert on.json("task", "show", "Load_1")["status"] == "FAILED"
    assert column(on.rows("worker", "list"), "WORKER") == ["ours"]


@pytest.mark.parametrize("words", [["disable"], ["drain"], ["forget"], ["set-processes", "2"], ["show"]])
def test_a_misspelt_worker_is_told_the_nearest_and_nothing_is_made(
    fleet: Scheduler, on: Bsched, words: list[str]
) -> None:
    name, *rest = words
    assert "There is no worker luigi. Did you mean luigis?" in on.error("worker", name, "luigi", *rest)
    assert sorted(each["name"] for each in fleet.worker_list()) == ["luigis", "ours"]


def test_a_resource_gets_a_limit_and_loses_it(fleet: Scheduler, on: Bsched) -> None:
    result = on("resource", "set", "db", "2.5")
    assert result.stdout == "db has the limit 2.5.\n" and "No resource was called db so far" in result.stderr
    assert on("resource", "set", "db", "3").stderr == ""
    assert on.json_lines("resource", "list") == [{"name": "db", "limit": 3, "used": 0}]
    assert "There is no resource bd. Did you mean db?" in on.error("resource", "unset", "bd")
    assert on.json("resource", "unset", "db") == {"resource": "db", "removed": True, "limit": 3}
    assert on.json_lines("resource", "list") == []
    assert "-1" in on.error("resource", "set", "db", "-1", code=2)


def test_config_shows_what_differs_from_the_default_and_who_set_it(fleet: Scheduler, on: Bsched) -> None:
    on("config", "set", "retry_delay=60")
    rows = on.rows("config")
    assert sorted(column(rows, "OPTION")) == sorted(OPTIONS)
    retry = dict(zip(rows[0], rows[1 + column(rows, "OPTION").index("retry_delay")]))
    assert (retry["VALUE"], retry["DEFAULT"]) == ("60.0", "900.0")
    assert ("@" in retry["SET BY"] and "ago)" in retry["SET BY"]) or "(now)" in retry["SET BY"]
    found = on.json("config", "get", "retry_delay")
    assert (found["value"], found["default"]) == (60.0, 900.0) and found["set_by"]
    assert on("config", "unset", "retry_delay").stdout == "retry_delay = 900.0\n"
    again = on.json("config", "get", "retry_delay")
    assert again["value"] == again["default"] == 900.0


def test_a_misspelt_option_is_told_the_nearest(fleet: Scheduler, on: Bsched) -> None:
    for words in (["get", "retry_dely"], ["set", "retry_dely=1"], ["unset", "retry_dely"]):
        assert "There is no option 'retry_dely'. Did you mean retry_delay" in on.error("config", *words, code=2)


def test_options_are_changed_over_http_too(server: ServerProcess, over_http: Bsched) -> None:
    over_http("config", "set", "retry_count=7", "resources.db=3")
    assert over_http("config", "get", "retry_count").stdout == "7\n"
    assert over_http.json_lines("resource", "list") == [{"name": "db", "limit": 3, "used": 0}]
    over_http("config", "unset", "retry_count")
    assert over_http("pause").exit_code == over_http("resume").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [["status", "--interval"], ["resource", "set", "r"], ["worker", "--drain-timeout"]],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_number_that_is_none_is_a_usage_error(board: Scheduler, on: Bsched, words: list[str], number: str) -> None:
    assert "is no finite number" in on.error(*words, number, code=2)
