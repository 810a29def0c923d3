"""Texts and ids are luigi's, and every value comes back from its text."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import luigi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from luigi.task_register import Register

from tests.nightly import by_night
from tests.tasks.kinds import KINDS, WITH_LUIGI

NATIVE = {name: kind.native() for name, kind in KINDS.items()}
LUIGI = {name: type("Same", (luigi.Task,), {"x": KINDS[name].luigi}) for name in WITH_LUIGI}


@pytest.mark.parametrize("name", WITH_LUIGI)
@given(data=st.data())
@settings(max_examples=by_night(60, 20))
def test_text_and_id_equal_those_of_luigis_parameter(name: str, data: Any) -> None:
    value = data.draw(KINDS[name].values)
    Register.clear_instance_cache()  # it takes -0.0 for 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = LUIGI[name](x=value)
    ours = NATIVE[name](x=value)
    assert ours.to_str_params() == theirs.to_str_params()
    assert ours.task_id == theirs.task_id


@pytest.mark.parametrize("name", sorted(KINDS))
@given(data=st.data())
@settings(max_examples=by_night(60, 20))
def test_every_value_comes_back_from_its_text(name: str, data: Any) -> None:
    task = NATIVE[name](x=data.draw(KINDS[name].values))
    again = NATIVE[name].from_str_params(task.to_str_params())
    assert again == task
    assert again.param_kwargs == task.param_kwargs
    assert hash(again.param_kwargs) == hash(task.param_kwargs)


@pytest.mark.parametrize("name", sorted(KINDS))
@given(data=st.data())
@settings(max_examples=20)
def test_a_checked_value_passes_the_check_unchanged(name: str, data: Any) -> None:
    task = NATIVE[name](x=data.draw(KINDS[name].values))
    assert task.clone().param_kwargs == task.param_kwargs
    assert pickle.loads(pickle.dumps(task.param_kwargs)) == task.param_kwargs


@given(values=st.dictionaries(st.sampled_from("abcde"), st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
@settings(max_examples=by_night(100, 40))
def test_the_id_of_several_parameters_is_luigis(values: dict[str, str]) -> None:
    theirs = type("Several", (luigi.Task,), {name: luigi.Parameter() for name in values})
    native = KINDS["str"].native()
    ours = type("Several", (native.__base__,), {"__annotations__": dict.fromkeys(values, str), "__module__": __name__})
    assert ours(**values).task_id == theirs(**values).task_id


@pytest.mark.parametrize(
    ("name", "text", "same"),
    [
        ("bool", "TRUE", "true"),
        ("date", "2024-1-5", "2024-01-05"),
        ("datetime", "2024-01-05T06:07:08", "2024-01-05T060708"),
        ("timedelta", "3600", "1 h"),
        ("timedelta", "2 weeks 3 days", "17 d"),
        ("timedelta", "P1DT2H", "26 hours"),
        ("tuple", "(1, 'a')", '[1, "a"]'),
        ("union", "abc", '"abc"'),
        ("optional int", "", ""),
    ],
)
def test_other_ways_of_writing_a_value_are_read(name: str, text: str, same: str) -> None:
    native = NATIVE[name]
    assert native.from_str_params({"x": text}) == native.from_str_params({"x": same})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("int", "1.5"), ("float", "one"), ("bool", "1"), ("date", "yesterday"), ("date", "2024-02-30")],
        *[("datetime", "2024-01-01T00:00:00+00:00"), ("timedelta", "0.5"), ("timedelta", "P"), ("timedelta", "inf")],
        *[("enum", "BLUE"), ("choice", "c"), ("list", "1,2"), ("list", '["a"]'), ("tuple", "[1]"), ("dict", "[]")],
        *[("decimal", "NaN"), ("int keys", '{"a": 1}')],
    ],
)
def test_a_text_that_does_not_fit_is_refused_naming_the_parameter(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"^Same: x is "):
        NATIVE[name].from_str_params({"x": text})
