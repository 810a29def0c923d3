"""An escape sequence in an id, a path or an error reaches no terminal and no log as one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest

from broker_sched.plain_text import on_one_line, shown
from bsched.terminal import escape_in_log
from tests.harness import RedisProcess, ServerProcess
from tests.programs import Ended, Program, environment_with
from tests.servers import until

Start = Callable[..., ServerProcess]
EVIL = "evil\x1b]0;title\x07\x1b[2J\x9b31m\r\x7f\u2028\u202eder\u2066"


def bsched(*words: str, redis: str) -> Ended:
    return Ended(Program(*words, env=environment_with(BSCHED_REDIS=redis, PYTHONUTF8="1")))


def is_plain(text: str) -> bool:
    return text == shown(text)


def test_control_characters_are_shown_as_json_escapes() -> None:
    assert shown(EVIL) == r"evil\u001b]0;title\u0007\u001b[2J\u009b31m\u000d\u007f\u2028\u202eder\u2066"
    assert json.loads(f'"{shown(EVIL)}"') == EVIL
    assert shown("tab\tand\nline, é 日本") == "tab\tand\nline, é 日本"
    assert on_one_line("a\nb\x1b") == "a\\nb\\u001b"


@pytest.mark.parametrize(
    "words",
    [
        ["call", "task_list"],
        ["call", "task_list", "--json"],
        ["call", "fetch_error", f"task_id={EVIL}"],
        ["call", "fetch_error", f"task_id=no {EVIL}"],
        ["task", "stop", EVIL],
        ["task", "stop", f"no {EVIL}"],
        ["task", "logs", EVIL],
        ["call", EVIL],
        ["config", "get", EVIL],
        [EVIL],
    ],
)
def test_a_command_prints_none(server: ServerProcess, own_redis: RedisProcess, words: list[str]) -> None:
    server.call("add_task", worker=f"w {EVIL}", task_id=EVIL, family=EVIL, params={EVIL: EVIL})
    server.call("add_task", worker=f"w {EVIL}", task_id=EVIL, status="FAILED", expl=f"why {EVIL}")
    done = bsched(*words, *(["--namespace", "shared"] if len(words) > 1 else []), redis=own_redis.url)
    assert is_plain(done.stdout), ascii(done.stdout)
    assert is_plain(done.stderr), ascii(done.stderr)
    if words[:2] == ["call", "task_list"]:
        assert EVIL in json.loads(done.stdout), "and JSON says the same"
    else:
        assert "evil" in done.stdout + done.stderr


def test_a_server_logs_none_and_forges_no_line(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--log-level", "debug").await_ready()
    for path in ("/evil%1B%5B2J%0A2026-01-01%20ERROR%20forged", "/api/evil%1B%9B31m%0Aforged"):
        assert server.request("GET", path).status == 404
    until(lambda: [line for line in server.said if "GET /api/evil" in line], "it is logged")
    server.stop()
    assert all(map(is_plain, server.said)), server.said
    assert not [line for line in server.said if line.startswith(("forged", "2026-01-01 ERROR"))]


def test_our_loggers_write_none(caplog: pytest.LogCaptureFixture) -> None:
    former = logging.getLogRecordFactory()
    escape_in_log()
    try:
        logging.getLogger("bsched.worker").error("Task %s failed", EVIL)
        logging.getLogger("somebody.elses").error("Task %s failed", EVIL)
    finally:
        logging.setLogRecordFactory(former)
    ours, other = (record.getMessage() for record in caplog.records)
    assert ours == f"Task {shown(EVIL)} failed" and other == f"Task {EVIL} failed"
