"""One class for each type of parameter, ours and luigi's, with a strategy for its values."""

from __future__ import annotations

import datetime
import enum
import pathlib
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import luigi
from hypothesis import strategies as st
from luigi.parameter import PathParameter

from broker_sched.tasks import Task


class Colour(enum.Enum):
    """Values of any kind: names are what counts."""

    RED = ("r", 1)
    GREEN = None
    LIME = None  # an alias of GREEN


class Kind(NamedTuple):
    """A type with luigi's parameter of the same texts, or None where luigi has none."""

    annotation: Any
    luigi: Any
    values: st.SearchStrategy[Any]

    def native(self) -> type[Task]:
        return type("Same", (Task,), {"__annotations__": {"x": self.annotation}, "__module__": __name__})


texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
durations = st.integers(-(10**9), 10**9).map(lambda seconds: datetime.timedelta(seconds=seconds))

KINDS = {
    "str": Kind(str, luigi.Parameter(), texts),
    "int": Kind(int, luigi.IntParameter(), st.integers()),
    "float": Kind(float, luigi.FloatParameter(), st.floats(allow_nan=False)),
    "bool": Kind(bool, luigi.BoolParameter(), st.booleans()),
    "date": Kind(datetime.date, luigi.DateParameter(), st.dates()),
    "datetime": Kind(datetime.datetime, luigi.DateSecondParameter(), st.datetimes()),
    "timedelta": Kind(datetime.timedelta, luigi.TimeDeltaParameter(), durations),
    "enum": Kind(Colour, luigi.EnumParameter(enum=Colour), st.sampled_from(Colour)),
    "list": Kind(list[int], luigi.ListParameter(), st.lists(st.integers())),
    "list of any": Kind(list, luigi.ListParameter(), st.lists(json_values)),
    "nested list": Kind(list[list[str]], luigi.ListParameter(), st.lists(st.lists(texts))),
    "tuple": Kind(tuple[int, str], luigi.TupleParameter(), st.tuples(st.integers(), texts)),
    "dict": Kind(dict[str, Any], luigi.DictParameter(), st.dictionaries(texts, json_values)),
    "optional str": Kind(str | None, luigi.OptionalParameter(), st.none() | texts.filter(bool)),
    "optional int": Kind(int | None, luigi.OptionalIntParameter(), st.none() | st.integers()),
    "choice": Kind(Literal["a", "b"], luigi.ChoiceParameter(choices=["a", "b"]), st.sampled_from("ab")),
    "number choice": Kind(Literal[1, 2], luigi.ChoiceParameter(choices=[1, 2], var_type=int), st.sampled_from([1, 2])),
    "path": Kind(pathlib.Path, PathParameter(), texts.map(pathlib.Path)),
    "decimal": Kind(Decimal, None, st.decimals(allow_nan=False, allow_infinity=False)),
    "set": Kind(set[str], None, st.sets(texts)),
    "int keys": Kind(dict[int, float], None, st.dictionaries(st.integers(), st.floats(allow_nan=False))),
    "dates": Kind(list[datetime.date], None, st.lists(st.dates())),
    "colours": Kind(dict[str, Colour], None, st.dictionaries(texts, st.sampled_from(Colour))),
    "durations": Kind(tuple[datetime.timedelta, ...], None, st.lists(durations).map(tuple)),
    "union": Kind(int | str, None, st.integers() | texts),
    "optional list": Kind(list[int] | None, None, st.none() | st.lists(st.integers())),
    "optional inside": Kind(list[datetime.date | None], None, st.lists(st.none() | st.dates())),
    "any": Kind(Any, None, json_values),
}
WITH_LUIGI = sorted(name for name, kind in KINDS.items() if kind.luigi is not None)
