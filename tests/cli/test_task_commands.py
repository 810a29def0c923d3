"""`bsched task`: tasks as they stand, why, and what is done with them, one by one and in bulk."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pexpect
import pytest

from broker_sched import Scheduler
from broker_sched.errors import RedisUnavailable
from bsched import changes
from tests.cli.commands import Bsched, column
from tests.harness import RedisProcess
from tests.servers import until
from tests.terminals import on_terminal, plain, shown_on_terminal

ERROR = json.dumps("Traceback (most recent call last):\n  File 'x'\nValueError: no café\n")


@pytest.fixture
def load(board: Scheduler) -> Iterator[Scheduler]:
    """Five Loads, of which 4 and 3 have failed, 2 runs on w, 1 and 0 wait; Report needs 4, and Mail needs Report."""
    board.add_worker(worker="w", info={"workers": 3})
    for day in range(5):
        board.add_task(
            worker="w", task_id=f"Load_{day}", family="Load", params={"day": str(day)}, priority=day, module="etl"
        )
    board.add_task(worker="w", task_id="Report_x", family="Report", deps=["Load_4"])
    board.add_task(worker="w", task_id="Mail_x", family="Mail", deps=["Report_x"])
    for day in (4, 3):
        assert board.get_work(worker="w", current_tasks=[])["task_id"] == f"Load_{day}"
        board.add_task(worker="w", task_id=f"Load_{day}", status="FAILED", expl=ERROR)
    assert board.get_work(worker="w", current_tasks=[])["task_id"] == "Load_2"
    yield board


def statuses(scheduler: Scheduler, *task_ids: str) -> list[str | None]:
    found = scheduler.task_statuses(task_ids=list(task_ids))
    return [found[each]["status"] if each in found else None for each in task_ids]


# Looking


def test_tasks_are_listed_with_state_worker_and_error(load: Scheduler, on: Bsched) -> None:
    rows = on.rows("task", "list")
    assert rows[0] == ["TASK", "STATE", "SINCE", "PRIORITY", "WORKER", "ERROR"]
    states = dict(zip(column(rows, "TASK"), column(rows, "STATE")))
    assert states == {
        **dict.fromkeys(["Load_0", "Load_1"], "READY"),
        **dict.fromkeys(["Load_3", "Load_4"], "FAILED"),
        **dict.fromkeys(["Report_x", "Mail_x"], "WAITING"),
        "Load_2": "RUNNING",
    }
    assert "ValueError: no café" in on("task", "list", "--status", "FAILED").stdout


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--family", "Load", "--status", "failed"], ["Load_3", "Load_4"]),
        (["--status", "READY"], ["Load_0", "Load_1"]),
        (["--param", "day=2"], ["Load_2"]),
        (["--worker", "w", "--status", "RUNNING"], ["Load_2"]),
        (["--text", "report"], ["Report_x"]),
        (["--error", "NO CAF"], ["Load_3", "Load_4"]),
        (["--failed-since", "1h"], ["Load_3", "Load_4"]),
        (["--failed-since", "2099-01-01"], []),
        (["--updated-since", "1h30m", "--status", "RUNNING"], ["Load_2"]),
    ],
)
def test_filters_choose_tasks(load: Scheduler, on: Bsched, filters: list[str], expected: list[str]) -> None:
    found = on.json_lines("task", "list", *filters)
    assert sorted(each["task_id"] for each in found) == expected
    if found:
        assert {"task_id", "family", "state", "since", "params", "error"} <= set(found[0])
        assert abs(found[0]["since"] - time.time()) < 600


def test_no_more_are_listed_than_the_limit_and_it_says_so(load: Scheduler, on: Bsched) -> None:
    result = on("task", "list", "--limit", "2", "--oldest-first")
    assert len(result.stdout.splitlines()) == 3
    assert "There are more; --limit 20" in result.stderr


def test_a_task_is_shown_with_all_that_is_known(load: Scheduler, on: Bsched) -> None:
    shown = on("task", "show", "Load_4").stdout
    for told in ("FAILED since", "module", "etl", "parameter day", "retried", "(in ", "ValueError: no café"):
        assert told in shown, shown
    found = on.json("task", "show", "Report_x")
    assert (found["state"], found["n_unmet"], found["n_dependents"]) == ("WAITING", 1, 1)


def test_why_goes_down_to_the_task_that_must_be_mended(load: Scheduler, on: Bsched) -> None:
    shown = on("task", "why", "Mail_x").stdout
    assert "Load_4 failed at" in shown and "ValueError: no café" in shown
    assert "→ bsched task retry Load_4" in shown, "the command that mends it"
    reply = on.json("task", "why", "Mail_x")
    assert (reply["code"], reply["causes"][0]["task_id"]) == ("deps", "Load_4")


def test_what_is_not_there_is_named_with_what_is_called_nearly_so(load: Scheduler, on: Bsched) -> None:
    before = on.json_lines("task", "list")
    for words in (
        ["show", "Load_5"],
        ["why", "Load_5"],
        ["logs", "Load_5"],
        ["retry", "Load_5"],
        ["done", "Load_5", "Load_4", "--yes"],
    ):
        result = on("task", *words, code=1)
        assert "There is no task Load_5. Did you mean Load_" in result.stderr, words
    assert "There is no family Laod. Did you mean Load?" in on.error("task", "list", "--family", "Laod")
    assert "There is no worker nobody. bsched worker list shows all" in on.error("task", "list", "--worker", "nobody")
    assert "There is no status FAILD. Did you mean FAILED?" in on.error("task", "list", "--status", "FAILD", code=2)
    assert on.json_lines("task", "list") == before


@pytest.mark.parametrize("wrong", [["--failed-since", "soon"], ["--param", "day"], ["--limit", "0"]])
def test_a_wrong_filter_is_a_usage_error(load: Scheduler, on: Bsched, wrong: list[str]) -> None:
    assert wrong[0] in on.error("task", "list", *wrong, code=2)


def test_following_a_log_shows_what_is_added_until_ctrl_c(load: Scheduler, on: Bsched) -> None:
    load.set_task_log(task_id="Load_2", log="first\n", size=6)
    with on_terminal("task", "logs", "--follow", "Load_2", *on.where) as child:
        child.expect("first")
        load.set_task_log(task_id="Load_2", log="first\nsecond\n", size=13)
        child.expect("second")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.wait()
        assert (child.exitstatus, "Aborted" in child.before) == (130, False)


# Changing


def test_a_change_of_many_that_is_broken_off_says_how_far_it_came(
    load: Scheduler, on: Bsched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "AT_ONCE", 1)
    change_tasks = Scheduler.change_tasks
    for error, code in ((KeyboardInterrupt(), 130), (RedisUnavailable("Redis does not answer"), 3)):
        calls = iter((change_tasks, error))

        def once(scheduler: Scheduler, **arguments: Any) -> Any:
            asked = next(calls)  # noqa: B023
            if isinstance(asked, BaseException):
                raise asked
            return asked(scheduler, **arguments)

        monkeypatch.setattr(Scheduler, "change_tasks", once)
        result = on("task", "disable", "--status", "PENDING", "--yes", "--limit", "9", code=code)
        assert result.stderr.startswith("Broken off after 1 task; some of the next may be changed, too.\n")
        assert "Aborted" not in result.stderr


def test_a_failed_task_is_retried_at_once(load: Scheduler, on: Bsched) -> None:
    assert on("task", "retry", "Load_4").stdout == "Load_4 is PENDING again.\n"
    assert statuses(load, "Load_4", "Load_3") == ["PENDING", "FAILED"]
    again = on("task", "retry", "Load_4", code=1).stdout
    assert again == "Not Load_4: It is PENDING; only what is FAILED or DISABLED is retried.\n"


def test_all_failed_of_a_family_are_retried_by_one_command(load: Scheduler, on: Bsched) -> None:
    tried = on("task", "retry", "--family", "Load", "--dry-run").stdout
    assert tried == "2 tasks would be PENDING again.\n"
    assert statuses(load, "Load_4", "Load_3") == ["FAILED", "FAILED"]
    found = on.json("task", "retry", "--family", "Load", "--yes")
    assert (sorted(found["changed"]), found["unchanged"]) == (["Load_3", "Load_4"], [])
    assert statuses(load, "Load_4", "Load_3") == ["PENDING", "PENDING"]


def test_a_dry_run_says_how_many_are_eligible_and_why_others_are_not(load: Scheduler, on: Bsched) -> None:
    lines = on.lines("task", "remove", "--family", "Load", "--dry-run")
    assert lines[0] == "3 tasks would be removed."
    assert sorted(lines[1:]) == [
        "Not Load_2: It is RUNNING on w; stop it first.",
        "Not Load_4: It is needed by Report_x, which is PENDING.",
    ]
    found = on.json("task", "remove", "--family", "Load", "--dry-run")
    assert sorted(found["changed"]) == ["Load_0", "Load_1", "Load_3"]
    assert sorted(each["task_id"] for each in found["unchanged"]) == ["Load_2", "Load_4"]
    assert len(on.json_lines("task", "list")) == 7


def test_filters_choose_what_an_action_is_for_unless_a_status_is_asked_for(load: Scheduler, on: Bsched) -> None:
    load.mark_as_done(task_id="Load_2")

    def chosen(*words: str) -> list[str]:
        found = on.json("task", *words, "--family", "Load", "--dry-run")
        return sorted([*found["changed"], *(each["task_id"] for each in found["unchanged"])])

    assert chosen("disable") == ["Load_0", "Load_1", "Load_3", "Load_4"], "not what is DONE"
    assert chosen("disable", "--status", "DONE") == ["Load_2"]
    assert chosen("retry") == chosen("forgive") == ["Load_3", "Load_4"]
    assert chosen("enable") == []
    told = " ".join(on("task", "retry", "--help").stdout.split())
    assert "of those that are FAILED, DISABLED unless --status is given" in told


def test_where_nobody_can_be_asked_many_tasks_want_yes(load: Scheduler, on: Bsched) -> None:
    for words in (["retry", "--family", "Load"], ["retry", "Load_3", "Load_4"], ["remove", "--status", "READY"]):
        assert "Nobody can be asked here, and nothing was changed: give --yes." in on.error("task", *words)
    assert statuses(load, "Load_4", "Load_3", "Load_0") == ["FAILED", "FAILED", "PENDING"]


def test_on_a_terminal_a_bulk_change_is_asked_before(load: Scheduler, on: Bsched) -> None:
    words = ("task", "retry", "--family", "Load", *on.where)
    with on_terminal(*words) as child:
        child.expect_exact("Retry 2 tasks? [y/N]:")
        child.sendline("n")
        child.expect_exact("Nothing was changed.")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 1
    assert statuses(load, "Load_4", "Load_3") == ["FAILED", "FAILED"]
    with on_terminal(*words) as child:
        child.expect_exact("Retry 2 tasks? [y/N]:")
        child.sendintr()
        while child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=2):
            child.sendintr()  # one that comes just before Python waits for a key is heard with the next
        child.wait()
        assert child.exitstatus == 130, "as Ctrl-C ends every command"
    assert statuses(load, "Load_4", "Load_3") == ["FAILED", "FAILED"]
    with on_terminal(*words) as child:
        child.expect_exact("Retry 2 tasks? [y/N]:")
        child.sendline("y")
        child.expect_exact("2 tasks are PENDING again.")
        child.expect(pexpect.EOF)
    assert statuses(load, "Load_4", "Load_3") == ["PENDING", "PENDING"]


def test_more_than_the_limit_are_not_changed_unless_it_is_said(load: Scheduler, on: Bsched) -> None:
    error = on.error("task", "retry", "--family", "Load", "--limit", "1", "--yes")
    assert "More tasks than 1 are chosen, and nothing was changed. --limit 10 changes up to as many." in error
    assert statuses(load, "Load_4", "Load_3") == ["FAILED", "FAILED"]


def test_thousands_are_changed_in_calls_of_a_thousand_when_it_is_said(
    board: Scheduler, on: Bsched, monkeypatch: pytest.MonkeyPatch
) -> None:
    for start in range(0, 2100, 700):
        tasks = [{"task_id": f"Many_{n}", "family": "Many", "status": "FAILED"} for n in range(start, start + 700)]
        board.add_tasks(worker="w", tasks=tasks)
    assert "More tasks than 1,000 are chosen" in on.error("task", "retry", "--family", "Many", "--yes")
    sizes: list[int] = []

    def noted(self: Scheduler, method: Any, arguments: dict[str, Any], call: Any = Scheduler._invoke) -> Any:
        if method.name == "change_tasks":
            sizes.append(len(arguments["task_ids"]))
        return call(self, method, arguments)

    monkeypatch.setattr(Scheduler, "_invoke", noted)
    told = on("task", "retry", "--family", "Many", "--yes", "--limit", "3000").stdout
    assert (told, sizes) == ("2,100 tasks are PENDING again.\n", [1000, 1000, 100])
    assert len(on.lines("task", "list", "--family", "Many", "--limit", "5000", "--json")) == 2100


def test_a_retry_takes_what_is_failed_up_or_down_the_graph(load: Scheduler, on: Bsched) -> None:
    load.change_tasks(task_ids=["Report_x"], action="disable")
    found = on.json("task", "retry", "Mail_x", "--upstream-failed", "--yes")
    assert sorted(found["changed"]) == ["Load_4", "Report_x"]
    assert [each["task_id"] for each in found["unchanged"]] == ["Mail_x"], "it is PENDING already"
    load.change_tasks(task_ids=["Load_4", "Mail_x"], action="disable")
    found = on.json("task", "retry", "Load_4", "--downstream", "--yes")
    assert sorted(found["changed"]) == ["Load_4", "Mail_x"]


def test_a_retry_says_when_the_graph_is_larger_than_what_is_looked_at(load: Scheduler, on: Bsched) -> None:
    asked = ("task", "retry", "Load_4", "--downstream", "--dry-run")
    assert "max_graph_nodes" not in on(*asked).stderr
    on("config", "set", "max_graph_nodes=1")
    assert "Only the 1 tasks nearest to Load_4 are looked at (max_graph_nodes)" in on(*asked).stderr
    on("config", "unset", "max_graph_nodes")


def test_tasks_are_disabled_enabled_forgiven_done_and_removed(load: Scheduler, on: Bsched) -> None:
    on("task", "disable", "Load_0")
    details = on.json("task", "show", "Load_0")
    assert details["status"] == "DISABLED" and "@" in details["disabled_by"]
    on("task", "enable", "Load_0")
    assert statuses(load, "Load_0") == ["FAILED"]
    on("task", "forgive", "Load_0")
    on("task", "done", "Load_1")
    assert statuses(load, "Load_0", "Load_1") == ["PENDING", "DONE"]
    on("task", "remove", "Load_1")
    assert statuses(load, "Load_1") == [None]
    assert "Not Load_4: It is needed by Report_x" in on("task", "remove", "Load_4", code=1).stdout


def test_running_tasks_are_stopped_in_bulk(board: Scheduler, on: Bsched) -> None:
    board.add_worker(worker="ours", info={"workers": 2}, start_id="s1")
    for name in ("a", "b"):
        board.add_task(worker="ours", task_id=name, family="F")
        board.get_work(worker="ours", start_id="s1")
    assert on("task", "stop", "--family", "F", "--yes").stdout == "2 tasks are asked to end.\n"
    messages = board.ping(worker="ours", start_id="s1")["rpc_messages"]
    assert {each["kwargs"]["task_id"] for each in messages} == {"a", "b"}


@pytest.mark.parametrize(
    "words", [["retry"], ["retry", "a", "--family", "F"], ["retry", "--family", "F", "--downstream"]]
)
def test_tasks_are_named_or_chosen_and_not_both(board: Scheduler, on: Bsched, words: list[str]) -> None:
    told = "go with tasks that are named" if "--downstream" in words else "one of the two"
    assert told in on.error("task", *words, code=2)


def test_it_all_works_over_http_too(server: object, over_http: Bsched) -> None:
    over_http("call", "add_task", "worker=w", "task_id=Http_1", "family=Http", "status=FAILED")
    assert over_http.json_lines("task", "list", "--family", "Http")[0]["task_id"] == "Http_1"
    assert "FAILED since" in over_http("task", "show", "Http_1").stdout
    assert "Http_1 failed" in over_http("task", "why", "Http_1").stdout
    assert over_http("task", "retry", "--family", "Http", "--yes").stdout == "Http_1 is PENDING again.\n"
    assert "Did you mean Http_1?" in over_http.error("task", "show", "Http_2")


def test_on_a_terminal_the_list_is_a_table_and_states_have_colours(load: Scheduler, on: Bsched) -> None:
    code, shown = shown_on_terminal("task", "list", *on.where)
    assert code == 0 and "───" in shown and "\x1b[31mFAILED" in shown
    assert "Load_4" in plain(shown)


def test_what_a_task_waits_for_is_listed_and_what_waits_for_it(load: Scheduler, on: Bsched) -> None:
    load.add_task(worker="w", task_id="Report_x", family="Report", deps=["Load_4", "Load_0", "nowhere"])
    load.change_tasks(task_ids=["Load_0"], action="done")
    rows = on.rows("task", "deps", "Report_x")
    assert dict(zip(column(rows, "TASK"), column(rows, "STATE"))) == {
        "Load_4": "FAILED",
        "nowhere": "UNKNOWN",
        "Load_0": "DONE",
    }
    unmet = on.json_lines("task", "deps", "Report_x", "--unmet", "--status", "failed")
    assert [(each["task_id"], each["error"]) for each in unmet] == [("Load_4", "ValueError: no café")]
    assert [each["task_id"] for each in on.json_lines("task", "deps", "Report_x", "--dependents")] == ["Mail_x"]
    assert "There are more" in on("task", "deps", "Report_x", "--limit", "1").stderr
    assert "There is no task Report_y" in on.error("task", "deps", "Report_y")


def test_a_running_task_is_sent_a_message_and_its_answer_is_shown(
    load: Scheduler, on: Bsched, own_redis: RedisProcess
) -> None:
    assert "Load_2 has not said that it takes messages; --force" in on.error("task", "message", "Load_2", "how far?")
    assert "Load_1 does not run: it is PENDING" in on.error("task", "message", "Load_1", "how far?")
    assert on.json("task", "message", "Load_2", "how far?", "--wait", "0", "--force")["message_id"]
    assert len(load.ping(worker="w")["rpc_messages"]) == 1
    load.add_task(worker="w", task_id="Load_2", status="RUNNING", accepts_messages=True)
    sent = on.json("task", "message", "Load_2", "how far?", "--wait", "0")
    assert sent["response"] is None
    (got,) = load.ping(worker="w")["rpc_messages"]
    assert got["kwargs"] == {"task_id": "Load_2", "message_id": sent["message_id"], "content": "how far?"}
    worker = threading.Thread(target=answer_next, args=(own_redis.url, load.namespace.name, "Load_2", "half"))
    worker.start()
    assert on("task", "message", "Load_2", "and now?").stdout == "half\n"
    worker.join()


def test_the_changes_of_one_task_are_shown_also_when_it_was_removed(load: Scheduler, on: Bsched) -> None:
    load.change_tasks(task_ids=["Load_1"], action="disable", by="ann")
    load.change_tasks(task_ids=["Load_1"], action="remove", by="ann")
    rows = on.rows("events", "--task", "Load_1")
    assert column(rows, "CHANGE") == ["PENDING → DISABLED", "DISABLED → REMOVED"]
    assert "There is no task Load_7" in on.error("events", "--task", "Load_7")


def answer_next(url: str, namespace: str, task_id: str, response: str) -> None:
    """Ping as worker w until there is a message, and answer it as the task."""
    with closing(Scheduler(url, namespace, prune_interval_seconds=None)) as scheduler:
        (message,) = until(lambda: scheduler.ping(worker="w")["rpc_messages"], "there is a message")
        scheduler.add_scheduler_message_response(task_id, message["kwargs"]["message_id"], response)
