"""Every parameter class of luigi: what it is made with, and the values that are its own."""

from __future__ import annotations

import ast
import datetime
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import luigi
from hypothesis import strategies as st
from luigi import date_interval
from luigi.freezing import FrozenOrderedDict, recursively_freeze

from tests.tasks.kinds import Colour, json_values, texts


class Reports(luigi.Task):
    """A value of TaskParameter."""

    day = luigi.DateParameter()


class Own(NamedTuple):
    """Options of a parameter class, and the values that it is for."""

    options: dict[str, Any]
    values: st.SearchStrategy[Any]


dates = st.dates()
times = st.datetimes()
durations = st.timedeltas().map(lambda one: one - datetime.timedelta(microseconds=one.microseconds))
colours = st.sampled_from([Colour.RED, Colour.GREEN])
paths = texts.filter(lambda text: "\0" not in text).map(Path)
numbers = {"var_type": int, "min_value": -3, "max_value": 7, "left_op": operator.lt}
before_the_end = st.dates(datetime.date(2, 1, 1), datetime.date(9998, 1, 1))
intervals = st.one_of(
    before_the_end.map(lambda day: date_interval.Date(day.year, day.month, day.day)),
    before_the_end.map(date_interval.Month.from_date),
    before_the_end.map(date_interval.Year.from_date),
    before_the_end.map(date_interval.Week.from_date),
    st.tuples(dates, dates).map(lambda ends: date_interval.Custom(*sorted(ends))),
)
lists = st.lists(json_values, max_size=4)
objects = st.dictionaries(texts, json_values, max_size=4)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """None, too; the empty text is read as None, so it is not among the values."""
    return st.none() | values.filter(lambda value: value != "")


CLASSES: dict[str, Own] = {
    "Parameter": Own({}, texts),
    "StrParameter": Own({}, texts),
    "OptionalParameter": Own({}, optional(texts)),
    "OptionalStrParameter": Own({}, optional(texts)),
    "DateParameter": Own({}, dates),
    "MonthParameter": Own({}, dates),
    "YearParameter": Own({}, dates),
    "DateHourParameter": Own({}, times),
    "DateMinuteParameter": Own({}, times),
    "DateSecondParameter": Own({}, times),
    "IntParameter": Own({}, st.integers()),
    "OptionalIntParameter": Own({}, optional(st.integers())),
    "FloatParameter": Own({}, st.floats()),
    "OptionalFloatParameter": Own({}, optional(st.floats())),
    "BoolParameter": Own({}, st.booleans()),
    "OptionalBoolParameter": Own({}, optional(st.booleans())),
    "DateIntervalParameter": Own({}, intervals),
    "TimeDeltaParameter": Own({}, durations),
    "TaskParameter": Own({}, st.just(Reports)),
    "EnumParameter": Own({"enum": Colour}, colours),
    "EnumListParameter": Own({"enum": Colour}, st.lists(colours).map(tuple)),
    "DictParameter": Own({}, objects),
    "OptionalDictParameter": Own({}, optional(objects.map(recursively_freeze))),
    "ListParameter": Own({}, lists),
    "OptionalListParameter": Own({}, optional(lists.map(tuple))),
    "TupleParameter": Own({}, lists.map(tuple)),
    "OptionalTupleParameter": Own({}, optional(lists.map(tuple))),
    "NumericalParameter": Own(numbers, st.integers(-2, 6)),
    "OptionalNumericalParameter": Own(numbers, optional(st.integers(-2, 6))),
    "ChoiceParameter": Own({"choices": [1, 2], "var_type": int}, st.sampled_from([1, 2])),
    "ChoiceListParameter": Own({"choices": ["a", "b"]}, st.lists(st.sampled_from("ab")).map(tuple)),
    "OptionalChoiceParameter": Own({"choices": ["a", "b"]}, optional(st.sampled_from("ab"))),
    "PathParameter": Own({}, paths),
    "OptionalPathParameter": Own({}, optional(paths)),
}

# What is found as a default in pipelines, whatever the parameter's type.
anything = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.just("None"), st.just("")),
    *(st.binary(max_size=4), dates, times, durations, st.timedeltas(), colours, paths, intervals, lists, objects),
    *(lists.map(tuple), objects.map(FrozenOrderedDict), st.frozensets(st.integers(), max_size=3), st.just(Reports)),
    *(
        st.sets(st.integers(), max_size=3),
        st.decimals(allow_nan=False),
        st.just(len),
        st.just(Colour),
        st.complex_numbers(),
    ),
)


def classes_of_luigi() -> Iterator[str]:
    """The names of all public parameter classes in luigi's sources; most of luigi.contrib can't be imported here."""
    for source in Path(luigi.__file__).parent.rglob("*.py"):
        for part in ast.walk(ast.parse(source.read_text())):
            if isinstance(part, ast.ClassDef) and part.name.endswith("Parameter") and part.name[0] != "_":
                yield part.name
