"""The scheduler's options: each has a type that says what it may be, and text is read as Luigi reads it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from broker_sched import ConfigurationError
from broker_sched.config import OPTIONS, TYPES, SchedulerConfig, parse_option, parse_options, to_text

WITH_PLAIN_TYPES = {name: kind.__origin__ for name, kind in TYPES.items()}
SECONDS = sorted(name for name, kind in WITH_PLAIN_TYPES.items() if kind is float)
WHOLE = sorted(name for name, kind in WITH_PLAIN_TYPES.items() if kind is int)
TRUTHS = sorted(name for name, kind in WITH_PLAIN_TYPES.items() if kind is bool)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_default_is_of_the_type_that_its_option_has(name: str) -> None:
    default = getattr(SchedulerConfig(), name)
    assert type(default) is WITH_PLAIN_TYPES[name]
    assert parse_option(name, default) == parse_option(name, to_text(default)) == default


@pytest.mark.parametrize("name", [*SECONDS, *WHOLE])
@pytest.mark.parametrize(
    "value", [True, "yes", "", None, [1], b"3", "0x10", "nan", "inf", "-inf", math.nan, math.inf, "1e400"]
)
def test_what_is_no_finite_number_is_refused_with_what_the_option_is(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^Option {name} is a (whole )?number.*, not "):
        parse_option(name, value)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_may_be_written_in_any_way_and_has_no_fraction(name: str) -> None:
    assert {parse_option(name, value) for value in (30, 30.0, "30", " 30 ", "30.0", "3e1")} == {30}
    with pytest.raises(ConfigurationError, match=f"Option {name} is a whole number"):
        parse_option(name, "3.5")


@pytest.mark.parametrize("name", [*SECONDS, *WHOLE])
def test_only_the_delay_before_a_retry_may_be_negative(name: str) -> None:
    if name == "retry_delay":
        assert parse_option(name, -1) == parse_option(name, "-1") == -1
        return
    for value in (-1, "-1", "-0.5"):
        with pytest.raises(ConfigurationError, match="0 or more"):
            parse_option(name, value)


@pytest.mark.parametrize("name", sorted(set(TRUTHS) - {"record_task_history"}))
def test_a_truth_value_is_written_as_luigi_does_or_as_a_number(name: str) -> None:
    assert [parse_option(name, value) for value in (True, "true", " Yes ", "ON", "1", 1)] == [True] * 6
    assert [parse_option(name, value) for value in (False, "false", "no", "Off", "0", 0)] == [False] * 6
    for value in ("maybe", "", None, 2, math.nan):
        with pytest.raises(ConfigurationError, match=f"Option {name} is true or false, not"):
            parse_option(name, value)


def test_an_option_without_effect_is_refused_with_what_to_do_instead() -> None:
    assert parse_option("record_task_history", "false") is False
    with pytest.raises(ConfigurationError, match="the stream `events`"):
        parse_option("record_task_history", True)


def test_an_unknown_option_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"There is no option 'retry_dely'. Known: .*retry_delay"):
        parse_options({"retry_delay": 3, "retry_dely": 3})
