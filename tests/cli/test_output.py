"""How commands answer: a table on a terminal, plain columns in a pipe, JSON for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from click.testing import CliRunner

from broker_sched import Scheduler
from bsched.main import cli
from bsched.output import distance, duration, number, one_cell, plain_lines, text, when
from bsched.progress import CLEAR_LINE, counting
from tests.harness import RedisProcess
from tests.terminals import plain, shown_on_terminal

EVIL = "\x1b[31mred\x1b]0;title\x07"


@pytest.fixture(scope="module")
def where(own_redis: RedisProcess) -> Iterator[list[str]]:
    """A namespace with a submission whose name would move the cursor, were it printed as it is."""
    with closing(Scheduler(own_redis.url, "output", prune_interval_seconds=None)) as scheduler:
        for name in ("submission-plain", f"submission-{EVIL}"):
            scheduler.add_task(worker=name, task_id="Made_x", family="Made")
            scheduler.add_submission(submission=name, tasks=["Made_x"])
        yield ["--redis", own_redis.url, "--namespace", "output"]


def test_on_a_terminal_a_list_is_a_table_with_colours_and_a_rule(where: list[str]) -> None:
    code, shown = shown_on_terminal("submission", "list", *where)
    assert code == 0
    assert "\x1b[1m" in shown and "───" in shown
    assert "Submission" in plain(shown) and "submission-plain" in plain(shown) and "(now)" not in shown.split("─")[0]
    assert "\x1b[31mred" not in shown and "\x07" not in shown and "\\u001b[31mred" in plain(shown)


def test_a_long_id_is_folded_on_a_narrow_terminal_and_never_cut(where: list[str]) -> None:
    _, shown = shown_on_terminal("submission", "list", *where, columns=40)
    assert "…" not in shown
    names = "".join(line.split(" ")[0] for line in plain(shown).splitlines())
    assert "submission-plain" in names, shown


def test_in_a_pipe_it_is_aligned_columns_without_colours(where: list[str]) -> None:
    shown = CliRunner().invoke(cli, ["submission", "list", *where]).stdout
    title, *lines = shown.splitlines()
    assert len(lines) == 2 and "\x1b" not in shown
    start = title.index("STATE")
    assert all(line[start:].startswith("ACTIVE, 0 running, 1 pending  Made_x") for line in lines)


def test_as_json_a_list_is_one_object_a_line_with_the_names_of_the_api(where: list[str]) -> None:
    shown = CliRunner().invoke(cli, ["submission", "list", "--json", *where]).stdout
    found = [json.loads(line) for line in shown.splitlines()]
    assert {each["submission"] for each in found} == {"submission-plain", f"submission-{EVIL}"}
    assert all(abs(each["submitted"] - time.time()) < 600 for each in found), "seconds, as in the API"


def test_an_empty_list_is_said_to_people_and_nothing_to_programs(own_redis: RedisProcess) -> None:
    Scheduler(own_redis.url, "empty").close()
    where = ["--redis", own_redis.url, "--namespace", "empty"]
    told = CliRunner().invoke(cli, ["submission", "list", *where])
    assert (told.exit_code, told.stdout) == (0, "") and "No submissions" in told.stderr
    silent = CliRunner().invoke(cli, ["submission", "list", "--json", *where])
    assert (silent.exit_code, silent.output) == (0, "")


def test_wide_characters_are_counted_as_they_are_shown() -> None:
    assert plain_lines([["A", "B"], ["日本", "x"], ["é", "y"]], [False, False]) == ["A     B", "日本  x", "é     y"]


def test_numbers_stand_to_the_right() -> None:
    assert plain_lines([["N"], ["7"], ["1,000"]], [True]) == ["    N", "    7", "1,000"]


def test_times_are_local_and_relative() -> None:
    now = time.time()
    assert when(now - 300).endswith("(5 min ago)")
    assert when(now - 300).startswith(time.strftime("%Y-%m-%d %H:%M", time.localtime(now - 300)))
    assert (distance(now + 7500.5), distance(now), when(None)) == ("in 2 h 5 min", "now", "-")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.25, "0.25 s"), (59.6, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (273600, "3 d 4 h"), (None, "-")],
)
def test_a_duration_has_two_units_at_the_most(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told


def test_values_are_written_as_people_read_them() -> None:
    assert [text(each) for each in (None, "", True, [], ["a", 1], {"db": 2.0}, 0.5)] == [
        *("-", "-", "yes", "-", "a, 1", "db=2", "0.5")
    ]
    assert (number(1234567), number(0.123456)) == ("1,234,567", "0.123")
    assert one_cell("a\tb\nc\x1b") == "a\\tb\\nc\\u001b"


def test_long_work_says_on_a_terminal_how_far_it_is_and_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bsched.progress.SHORT_SECONDS", 0.0)
    with counting("tasks changed", 2000) as tell:
        tell(1000)
    assert capsys.readouterr().err == "", "no terminal"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with counting("tasks looked at") as tell:
        tell(1000)
        tell(2000, 90000)
    shown = capsys.readouterr().err
    assert shown.split(CLEAR_LINE) == ["", "1,000 tasks looked at", "2,000 of 90,000 tasks looked at", ""]
    monkeypatch.setattr("bsched.progress.SHORT_SECONDS", 60.0)
    with counting("tasks looked at") as tell:
        tell(1000)
    assert capsys.readouterr().err == "", "it is over at once"
