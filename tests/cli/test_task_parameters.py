"""A task's parameters as options, and the worker's options as text: what is read, and what is refused."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import click
import luigi
import pytest

from broker_sched import Parameter, Task, luigi_config
from bsched.options.scheduler import worker_settings
from bsched.options.task_parameters import describe_options, read_words, task_class, task_of


class NativeSay(Task):
    word: str
    on_day: datetime.date = datetime.date(2024, 1, 1)
    times: Annotated[int, Parameter(description="how often")] = 1
    loud: bool = False
    polite: bool = True


class LuigiSay(luigi.Task):
    task_namespace = "greetings"
    word = luigi.Parameter()
    on_day = luigi.DateParameter(default=datetime.date(2024, 1, 1))
    times = luigi.IntParameter(default=1, description="how often")
    loud = luigi.BoolParameter()
    polite = luigi.BoolParameter(default=True)


NO_CONFIG = luigi_config.read()
HERE: ModuleType = sys.modules[__name__]


def make_task(cls: Any, words: list[str], named: list[str]) -> Any:
    """Make the task that options and NAME=VALUE pairs describe, as the commands do."""
    return task_of(cls, read_words(cls, words, named).texts)


@pytest.fixture(params=[NativeSay, LuigiSay])
def say(request: pytest.FixtureRequest) -> Any:
    """The same task, of each kind."""
    return request.param


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--word", "w"], {"word": "w", "times": 1, "loud": False, "polite": True}),
        (["--word=w", "--times=3"], {"word": "w", "times": 3}),
        (["--word", "w", "--on-day", "2024-03-01"], {"on_day": datetime.date(2024, 3, 1)}),
        (["--word", "w", "--on_day", "2024-03-01"], {"on_day": datetime.date(2024, 3, 1)}),
        (["--word", "--dashes"], {"word": "--dashes"}),
        (["--word", "", "--times", "-3"], {"word": "", "times": -3}),
        (["--loud", "--word", "w"], {"loud": True, "word": "w"}),
        (["--word", "w", "--loud"], {"loud": True}),
        (["--word", "w", "--no-polite"], {"polite": False}),
        (["--word", "w", "--polite", "false"], {"polite": False}),
    ],
)
def test_options_are_read_as_the_task_declares_them(say: Any, words: list[str], expected: dict[str, Any]) -> None:
    task = make_task(say, words, [])
    assert {name: getattr(task, name) for name in expected} == expected


def test_a_parameter_can_be_given_by_its_plain_name(say: Any) -> None:
    assert make_task(say, ["--times", "2"], ["word=a=b"]).param_kwargs["word"] == "a=b"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--wort", "x"], "no option --wort. Did you mean --word?"),
        (["--colour", "x"], "--word, --on-day, --times, --loud, --polite"),
        ([], "word"),
        (["--word", "x", "--times", "many"], "--times 'many' can't be used"),
        (["--word", "x", "--on-day", "soon"], "--on-day 'soon' can't be used"),
        (["x"], "'x' stands alone"),
        (["--word"], "--word needs a value"),
        (["--word", "--loud"], "--word needs a value, and --loud is an option"),
        (["--word", "a", "--word", "b"], "--word is given twice"),
    ],
)
def test_a_wrong_option_is_named(say: Any, words: list[str], message: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        make_task(say, words, [])
    assert message in caught.value.message


def test_a_missing_parameter_comes_with_the_right_ones(say: Any) -> None:
    with pytest.raises(click.UsageError, match=r"(needs --word|word is missing)[^$]*: --word, --on-day, --times"):
        make_task(say, [], [])


def test_several_missing_parameters_are_named_at_once() -> None:
    class TwoNeeded(luigi.Task):
        first_part = luigi.Parameter()
        second = luigi.DateParameter()

    with pytest.raises(click.UsageError, match="TwoNeeded needs --first-part and --second"):
        make_task(TwoNeeded, [], [])


@pytest.mark.parametrize("base", [luigi.Task, Task])
def test_an_error_of_the_tasks_own_code_is_no_wrong_usage(base: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def begin(self: Any, *args: Any, **kwargs: Any) -> None:
        super(cls, self).__init__(*args, **kwargs)
        raise ValueError("the configuration server is down")

    cls: Any = type("Beginning", (base,), {"__init__": begin, "__module__": __name__})
    with pytest.raises(click.exceptions.Exit) as caught:
        task_of(cls, {}, 40)
    assert caught.value.exit_code == 40
    said = capsys.readouterr().err
    assert "No Beginning could be made" in said and "in begin" in said and "server is down" in said


def test_a_value_that_luigi_refuses_is_wrong_usage(tmp_path: Path) -> None:
    class Reading(luigi.Task):
        path = luigi.parameter.PathParameter(exists=True)

    with pytest.raises(click.UsageError, match=r"nowhere does not exist[^$]*Options of Reading: --path"):
        make_task(Reading, ["--path", str(tmp_path / "nowhere")], [])


@pytest.mark.parametrize("pair", ["wort=x", "word"])
def test_a_wrong_pair_is_refused(say: Any, pair: str) -> None:
    with pytest.raises(click.UsageError, match="has no option"):
        make_task(say, [], [pair])


def test_help_lists_options_with_description_and_default(say: Any) -> None:
    found = describe_options(say)
    assert "--word TEXT  [required]" in found and "--times INT  how often [default: 1]" in found
    assert "  --loud  [default: False]" in found


def test_a_task_is_found_by_its_class(say: Any) -> None:
    assert task_class(HERE, say.__name__) is say


def test_a_task_is_found_by_its_family() -> None:
    assert task_class(HERE, "greetings.LuigiSay") is LuigiSay


@pytest.mark.parametrize("name", ["NativeSya", "LuigiSya"])
def test_an_unknown_task_is_refused_with_near_matches(name: str) -> None:
    with pytest.raises(click.UsageError, match=f"no task {name}. Did you mean .*{name.replace('ya', 'ay')}"):
        task_class(HERE, name)


def test_what_is_no_task_is_refused() -> None:
    with pytest.raises(click.UsageError, match="no task HERE"):
        task_class(HERE, "HERE")


# The worker's options


def test_worker_options_come_from_the_environment_and_the_command_line_wins() -> None:
    environment = {"BSCHED_WORKER_TIMEOUT": "5", "BSCHED_WORKER_KEEP_ALIVE": "true", "BSCHED_WORKER": "no option"}
    assert worker_settings(["timeout=7"], environment, NO_CONFIG) == {"timeout": "7", "keep_alive": "true"}


@pytest.mark.parametrize(
    ("pairs", "environment", "message"),
    [
        (["keep_alife=1"], {}, "did you mean keep_alive"),
        (["timeout"], {}, "'timeout' is not NAME=VALUE"),
        (["timeout=soon"], {}, "timeout is 'soon'; it must be a number of seconds"),
        ([], {"BSCHED_WORKER_MAX_TASKS": "few"}, "max_tasks is 'few'"),
    ],
)
def test_a_wrong_worker_option_is_named(pairs: list[str], environment: dict[str, str], message: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        worker_settings(pairs, environment, NO_CONFIG)
    assert message in caught.value.message
