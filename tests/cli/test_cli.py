"""The `bsched` command: what it prints, its exit codes, and that no user sees a stack trace."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker_sched import Scheduler, __version__
from broker_sched.config import OPTIONS
from broker_sched.contract.scheduler_api import METHODS
from bsched.exit_codes import UNREACHABLE
from bsched.main import COMMANDS, cli
from tests.harness import RedisProcess, ServerProcess

Bsched = Callable[..., Result]


@pytest.fixture
def bsched(own_redis: RedisProcess) -> Iterator[Bsched]:
    """Run a command on an empty namespace."""
    own_redis.client.flushall()
    environment = {"BSCHED_REDIS": own_redis.url, "BSCHED_NAMESPACE": "cli"}

    def run(*arguments: str, **changes: str) -> Result:
        result = CliRunner().invoke(cli, arguments, env={**environment, **changes})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    yield run


@pytest.fixture
def scheduler(bsched: Bsched, own_redis: RedisProcess) -> Iterator[Scheduler]:
    opened = Scheduler(own_redis.url, "cli", prune_interval_seconds=None)
    yield opened
    opened.close()


def error_line(result: Result) -> str:
    """The one line that says what is wrong; click puts the usage before it."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("Usage:", "Try '"))]
    assert len([line for line in lines if line]) == 1, lines
    return lines[-1]


def json_lines(result: Result) -> list[Any]:
    """What a list is as JSON: one object a line."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_version_is_the_packages(bsched: Bsched) -> None:
    assert bsched("--version").output == f"bsched, version {__version__}\n"


def test_help_lists_the_commands(bsched: Bsched) -> None:
    output = bsched("--help").output
    for name in COMMANDS:
        assert f"\n  {name} " in output


@pytest.mark.parametrize(
    ("command", "others"),
    [
        ("worker --help", "broker_sched.server uvicorn starlette rich redis urllib3 tenacity smtplib"),
        ("server --help", "broker_sched.worker.worker rich.console rq redis urllib3 tenacity smtplib textual"),
        ("call --help", "broker_sched.worker.worker broker_sched.server rich.console rq smtplib textual"),
        ("call is_paused --url http://127.0.0.1:1", "redis hiredis broker_sched.scheduler"),
        ("call is_paused --redis redis://127.0.0.1:1", "urllib3 tenacity broker_sched.client"),
    ],
)
def test_a_command_does_not_wait_for_the_imports_of_the_others(command: str, others: str) -> None:
    code = f"import sys; from bsched.main import main; sys.argv = {['bsched', *command.split()]}; main()"
    shown = "import atexit, sys; atexit.register(lambda: print('imported:', *sys.modules)); "
    done = subprocess.run([sys.executable, "-c", shown + code], capture_output=True, text=True)
    assert done.returncode == 0 or "did not answer" in done.stderr or "failed after 1" in done.stderr, done
    imported = set(done.stdout.partition("imported:")[2].split())
    assert "bsched.main" in imported
    assert not imported & set(others.split())


@pytest.mark.parametrize("command", ["server", "verify", "config", "redis", "call"])
def test_every_command_explains_itself(bsched: Bsched, command: str) -> None:
    assert bsched(command, "--help").exit_code == 0


# call


def test_call_reads_values_as_json_where_they_are(bsched: Bsched, scheduler: Scheduler) -> None:
    assert bsched("call", "add_task", "worker=w1", "task_id=t1", "priority=3", 'params={"p": "1"}').exit_code == 0
    result = bsched("call", "get_work", "worker=w1", "current_tasks=[]", "--json")
    assert result.exit_code == 0
    assert json.loads(result.output)["task_params"] == {"p": "1"}
    assert result.output.count("\n") == 1
    assert scheduler.task_list(status="RUNNING")["t1"]["priority"] == 3


def test_call_reads_other_values_as_text(bsched: Bsched, scheduler: Scheduler) -> None:
    bsched("call", "add_task", "worker=w1", "task_id=t=1", "expl=a b")
    assert scheduler.fetch_error("t=1")["error"] == "a b"


def test_call_over_http_gives_the_same(bsched: Bsched, own_redis: RedisProcess, scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w1", task_id="t1", family="T")
    server = ServerProcess("--redis", own_redis.url, "--namespace", "cli").await_ready()
    try:
        over_http = bsched("call", "--url", server.url, "task_list", "--json")
        assert over_http.exit_code == 0
        assert json.loads(over_http.output) == json.loads(bsched("call", "task_list", "--json").output)
        wrong = bsched("call", "--url", server.url, "get_work")
        assert (wrong.exit_code, "worker" in error_line(wrong)) == (2, True)
    finally:
        assert server.stop() == 0


def test_call_without_a_server_says_so_without_the_password(bsched: Bsched) -> None:
    result = bsched("call", "--url", "http://me:geheim@127.0.0.1:1/", "task_list")
    assert result.exit_code == UNREACHABLE
    assert "at http://127.0.0.1:1: ConnectionRefusedError" in error_line(result)
    assert "geheim" not in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fly"], "no method 'fly'"),
        (["get_wrok"], "Did you mean get_work"),
        (["get_work", "w1"], "'w1' is not KEY=VALUE"),
        (["get_work"], "worker: is missing"),
        (["count_pending", "worker=w1", "speed=1"], "speed: is no argument"),
        (["add_task", "worker=w1", "task_id=t1", "priority=high"], "priority: "),
        (
            ["--url", "ftp://x", "ping", "worker=w"],
            "--scheduler-url: The scheduler's URL begins with ftp://; it must be http://",
        ),
    ],
)
def test_wrong_call_is_a_usage_error(bsched: Bsched, arguments: list[str], told: str) -> None:
    result = bsched("call", *arguments)
    assert (result.exit_code, told in error_line(result)) == (2, True), result.output


def test_every_method_can_be_called(bsched: Bsched, scheduler: Scheduler) -> None:
    for name, method in METHODS.items():
        needs_arguments = any(p.default is p.empty for p in method.parameters)
        needs_arguments |= name == "critical_path"  # which takes one of two
        result = bsched("call", name)
        assert result.exit_code == (2 if needs_arguments else 0), (name, result.output)


# config


def test_config_shows_every_option(bsched: Bsched, scheduler: Scheduler) -> None:
    lines = bsched("config").output.splitlines()[1:]
    assert {line.split()[0] for line in lines} == set(OPTIONS)
    assert ["retry_delay", "900.0", "-", "-"] in [line.split() for line in lines]
    assert {each["name"] for each in json_lines(bsched("config", "--json"))} == set(OPTIONS)


def test_config_takes_where_redis_is_before_and_after_set_and_get(
    bsched: Bsched, scheduler: Scheduler, own_redis: RedisProcess
) -> None:
    elsewhere = Scheduler(own_redis.url, "elsewhere", prune_interval_seconds=None, retry_delay=7)
    where = ("--redis", own_redis.url, "--namespace", "elsewhere")
    nobody = {"BSCHED_REDIS": "redis://127.0.0.1:1/0"}
    assert bsched("config", "get", "retry_delay", *where, **nobody).output == "7.0\n"
    assert bsched("config", *where, "get", "retry_delay", **nobody).output == "7.0\n"
    assert bsched("config", "set", "retry_delay=8", *where, **nobody).exit_code == 0
    assert (elsewhere.config().retry_delay, scheduler.config().retry_delay) == (8, 900)
    assert bsched("config", "get", "retry_delay", "--namespace", "no{t").exit_code == 2
    elsewhere.close()


def test_config_set_is_seen_by_all(bsched: Bsched, scheduler: Scheduler) -> None:
    result = bsched("config", "set", "retry_delay=60", "pause_enabled=no", "resources.db=3")
    assert result.output.splitlines() == ["retry_delay = 60.0", "pause_enabled = false", "resources.db = 3"]
    assert (scheduler.config().retry_delay, scheduler.config().pause_enabled) == (60.0, False)
    assert [(each["name"], each["num_total"]) for each in scheduler.resource_list()] == [("db", 3)]
    assert bsched("config", "get", "retry_delay").output == "60.0\n"
    assert json.loads(bsched("config", "get", "pause_enabled", "--json").output)["value"] is False


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["get", "patience"], "no option 'patience'"),
        (["set", "patience=1"], "no option 'patience'"),
        (["set", "retry_delay"], "is not NAME=VALUE"),
        (["set", "retry_delay=soon"], "retry_delay is a number of seconds"),
        (["set", "retry_count=1.5"], "retry_count is a whole number"),
        (["set", "worker_disconnect_delay=-1"], "worker_disconnect_delay is a number of seconds, 0 or more"),
        (["set", "pause_enabled=perhaps"], "pause_enabled is true or false"),
        (["set", "record_task_history=true"], "no task history is kept"),
        (["set", "resources.db=many"], "resources.NAME=LIMIT"),
        (["set", "resources.db=-1"], "resources.NAME=LIMIT"),
        (["set", "resources.=1"], "resources.NAME=LIMIT"),
    ],
)
def test_wrong_option_is_a_usage_error_and_changes_nothing(bsched: Bsched, arguments: list[str], told: str) -> None:
    before = bsched("config").output
    result = bsched("config", *arguments)
    assert (result.exit_code, told in error_line(result)) == (2, True), result.output
    assert bsched("config").output == before


# verify


def test_verify_of_a_sound_namespace_is_0(bsched: Bsched, scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w1", task_id="t1", family="T")
    result = bsched("verify")
    assert (result.exit_code, result.output) == (0, "Namespace cli: every index is right.\n")
    assert bsched("verify", "--json").output == ""


def test_verify_prints_what_differs_and_repairs_it(
    bsched: Bsched, scheduler: Scheduler, own_redis: RedisProcess
) -> None:
    scheduler.add_task(worker="w1", task_id="t1", family="T")
    own_redis.client.zadd("bsched:{cli}:tasks:DONE:T", {"1000000001": 1})
    result = bsched("verify")
    assert result.exit_code == 1
    assert "tasks:DONE:T: expected" in result.output
    assert [row["key"] for row in json_lines(bsched("verify", "--json"))] == ["tasks:DONE:T"]
    assert bsched("verify", "--repair").exit_code == 0
    assert bsched("verify").exit_code == 0


# Where Redis is


@pytest.mark.parametrize("command", [["verify"], ["config"], ["call", "task_list"]])
def test_unreachable_redis_is_one_line(bsched: Bsched, command: list[str]) -> None:
    result = bsched(*command, BSCHED_REDIS="redis://:geheim@127.0.0.1:1")
    assert result.exit_code == UNREACHABLE
    assert "Redis" in error_line(result)
    assert "geheim" not in result.output


def test_a_namespace_may_be_configured_before_anything_runs_on_it(bsched: Bsched) -> None:
    assert bsched("config", "set", "retry_delay=60").exit_code == 0
    assert bsched("config", "get", "retry_delay").output == "60.0\n"


def test_namespace_that_can_not_be_used_is_a_usage_error(bsched: Bsched) -> None:
    result = bsched("config", "--namespace", "a b")
    assert (result.exit_code, "Namespace 'a b'" in error_line(result)) == (2, True)


def test_url_that_can_not_be_used_is_told(bsched: Bsched) -> None:
    result = bsched("config", BSCHED_REDIS="carrier-pigeon://x")
    assert result.exit_code == 2
    assert error_line(result).startswith("Error: ")


# redis


def test_redis_is_started_shown_and_stopped(bsched: Bsched, tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path / "data"))
    assert bsched("redis", "status", *where).exit_code == 1
    assert not Path(where[1]).exists(), "a look leaves nothing"
    url = bsched("redis", "start", *where).output.strip()
    try:
        status = bsched("redis", "status", *where)
        assert (status.exit_code, f"url = {url}" in status.output.splitlines()) == (0, True)
        assert json.loads(bsched("redis", "status", "--json", *where).output)["url"] == url
        bsched("config", "set", "retry_count=3", BSCHED_REDIS=url)
        assert bsched("config", "get", "retry_delay", BSCHED_REDIS=url).output == "900.0\n"
    finally:
        assert bsched("redis", "stop", *where).output == "Stopped; its data are on disk.\n"
    assert bsched("redis", "stop", *where).output == "It does not run.\n"
    assert bsched("redis", "status", "--json", *where).output == "null\n"


def _as_printed(bsched: Bsched, output: str) -> str:
    """The status that the command in a hint shows."""
    words = shlex.split(output[output.index("bsched task show") :])
    return str(json.loads(bsched(*words[1:], "--json").output)["status"])


@pytest.mark.parametrize("task_id", ["12", "null", "Some task's id; $HOME", "Say__word_x_5cf8efb685"])
def test_the_command_in_the_hint_about_a_task_that_does_not_run_works(
    bsched: Bsched, own_redis: RedisProcess, task_id: str
) -> None:
    scheduler = Scheduler(own_redis.url, "other")
    scheduler.add_task(worker="w", task_id=task_id)
    output = bsched("task", "stop", task_id, "--redis", own_redis.url, "--namespace", "other").output
    assert _as_printed(bsched, output) == "PENDING"
    scheduler.close()


@pytest.mark.parametrize("over_http", [False, True])
def test_a_running_task_is_asked_to_stop(bsched: Bsched, own_redis: RedisProcess, over_http: bool) -> None:
    scheduler = Scheduler(own_redis.url, "cli")
    scheduler.add_task(worker="w", task_id="a")
    server = ServerProcess("--redis", own_redis.url, "--namespace", "cli").await_ready() if over_http else None
    where = ("--url", server.url) if server else ()
    result = bsched("task", "stop", "a", *where)
    assert (result.exit_code, "a does not run" in result.output) == (1, True)
    assert _as_printed(bsched, result.output) == "PENDING"
    scheduler.get_work(worker="w")
    result = bsched("task", "stop", "a", *where)
    assert (result.exit_code, result.output) == (0, "Asked w to stop a.\n")
    result = bsched("task", "stop", "a", "--disable", "--json", *where)
    assert json.loads(result.output) == {"task_id": "a", "worker": "w"}
    asked = [message["kwargs"] for message in scheduler.ping(worker="w")["rpc_messages"]]
    assert asked == [{"task_id": "a", "disable": False}, {"task_id": "a", "disable": True}]
    if server:
        server.stop()
    scheduler.close()
