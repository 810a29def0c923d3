"""What a class declares, and what its tasks are given."""

from __future__ import annotations

import datetime
import enum
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import luigi
import pytest

from broker_sched.errors import BrokerSchedError
from broker_sched.tasks import Batch, Parameter, ParameterError, Task, TaskDefinitionError, Visibility
from tests.tasks.native_tasks import Days, Sales, Special

DAY = datetime.date(2024, 1, 5)


def test_annotated_attributes_are_parameters_and_nothing_else_is() -> None:
    assert Sales.get_param_names(include_significant=True) == ["day", "top", "tags", "token", "level"]


def test_a_setting_stays_a_setting_when_it_is_annotated() -> None:
    assert Sales(DAY).priority == 7


def test_inherited_parameters_come_first_and_take_new_defaults() -> None:
    assert Special.get_param_names(include_significant=True) == ["day", "top", "tags", "token", "level", "extra"]
    assert Special(DAY).top == 20
    assert Sales(DAY).top == 10


def test_parameters_of_a_plain_mixin_count() -> None:
    class Where:
        directory: str = "/data"

    class Placed(Where, Task):
        name: str

    assert Placed(name="a").to_str_params() == {"directory": "/data", "name": "a"}


def test_a_property_ends_an_inherited_parameter() -> None:
    class Fixed(Sales):
        @property
        def top(self) -> int:
            return 1

    assert "top" not in dict(Fixed.get_params())
    assert Fixed(DAY).top == 1


def test_values_are_given_by_place_and_by_name() -> None:
    assert Sales(DAY, 3) == Sales(day=DAY, top=3) == Sales("2024-01-05", top=3)


def test_values_are_frozen_and_equal_ones_make_equal_tasks() -> None:
    class Holding(Task):
        names: list[str]
        table: dict[str, Any]

    one = Holding(["a"], {"k": [1, {"x": []}]})
    assert one.names == ("a",)
    assert one.table == {"k": (1, {"x": ()})}
    assert one == Holding(("a",), one.table)
    assert len({one, Holding(["a"], {"k": [1, {"x": []}]})}) == 1
    with pytest.raises(TypeError, match="can't change"):
        one.table["k"] = 2


def test_one_error_names_task_and_all_wrong_parameters_and_what_is_right() -> None:
    with pytest.raises(ParameterError) as caught:
        Special(top="x", extras=True)
    text = str(caught.value)
    assert text.startswith("shop.Special: ")
    for part in ("day is missing", "top is 'x': ", "integer", "extras is no parameter (did you mean extra?)"):
        assert part in text
    assert "day: datetime.date, top: int = 20" in text
    assert set(caught.value.parameters) == {"day", "top", "extras"}
    assert isinstance(caught.value, BrokerSchedError)


def test_a_value_given_twice_is_refused() -> None:
    with pytest.raises(ParameterError, match="day is given twice"):
        Sales(DAY, day=DAY)


def test_too_many_values_are_refused() -> None:
    with pytest.raises(ParameterError, match="takes 2 values without a name, and got 3"):
        Days(DAY, "x", 3)


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_an_int_is_nothing_else(value: Any) -> None:
    with pytest.raises(ParameterError, match="top is"):
        Sales(DAY, top=value)


def test_an_error_shows_no_hidden_value_and_no_password() -> None:
    class Secretive(Task):
        url: int
        token: Annotated[int, Parameter(visibility=Visibility.PRIVATE)]

    with pytest.raises(ParameterError) as caught:
        Secretive(url="redis://me:hunter2@host/0", token="s3cret")
    assert "hunter2" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "redis://me:***@host/0" in str(caught.value)


def test_constraints_of_pydantic_hold() -> None:
    from pydantic import Field

    class Bounded(Task):
        share: Annotated[float, Field(ge=0, le=1), Parameter(description="0 to 1")]

    assert Bounded(1).share == 1.0
    assert dict(Bounded.get_params())["share"].description == "0 to 1"
    with pytest.raises(ParameterError, match="less than or equal to 1"):
        Bounded(2)


def test_any_takes_only_what_comes_back_from_json() -> None:
    class Open(Task):
        thing: Any

    for value in ({1: 2}, {"a"}, DAY, [object()]):
        with pytest.raises(ParameterError, match="thing is"):
            Open(value)


def test_the_empty_text_of_an_optional_is_none() -> None:
    class Perhaps(Task):
        name: str | None = None

    assert Perhaps("").name is None


def test_local_types_are_found_under_postponed_annotations() -> None:
    class Local(enum.Enum):
        A = 1

    class Uses(Task):
        kind: Local = Local.A

    assert Uses.from_str_params({"kind": "A"}).kind is Local.A


def test_a_default_that_does_not_fit_is_refused_at_the_class() -> None:
    with pytest.raises(TaskDefinitionError, match=r"Wrong\.name: the default does not fit str"):

        class Wrong(Task):
            name: str = None  # type: ignore[assignment]


def test_an_annotation_that_is_not_there_is_refused_at_the_class() -> None:
    with pytest.raises(TaskDefinitionError, match="NoSuchType"):

        class Wrong(Task):
            name: NoSuchType  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("name", ["run", "task_id", "output", "param_kwargs"])
def test_what_every_task_has_can_be_no_parameter(name: str) -> None:
    with pytest.raises(TaskDefinitionError, match=f"every task has {name}"):
        type("Wrong", (Task,), {"__annotations__": {name: str}})


def test_choices_with_the_same_text_are_refused() -> None:
    with pytest.raises(TaskDefinitionError, match="same text"):
        type("Wrong", (Task,), {"__annotations__": {"x": Literal[1, "1"]}})


class Opaque:
    """Nothing is known of its values."""


@pytest.mark.parametrize("annotation", [Path.open, Opaque, list[Opaque], 3])
def test_a_type_that_cannot_be_checked_is_refused(annotation: Any) -> None:
    with pytest.raises(TaskDefinitionError, match="no type for a parameter"):
        type("Wrong", (Task,), {"__annotations__": {"x": annotation}})


@pytest.mark.parametrize("declared", [Parameter(), luigi.IntParameter()])
@pytest.mark.parametrize("annotations", [{}, {"x": int}])
def test_a_parameter_object_in_the_place_of_a_default_is_refused(declared: Any, annotations: Any) -> None:
    with pytest.raises(TaskDefinitionError, match=r"x: Annotated\[int, Parameter"):
        type("Wrong", (Task,), {"__annotations__": annotations, "x": declared})


class Dated(Task):
    """Its parameter is called as its type is."""

    date: date | None = date(2024, 1, 5)


def test_a_parameter_may_have_the_name_of_its_type() -> None:
    assert Dated().date == DAY
    assert Dated("2024-01-06").date == date(2024, 1, 6)


def test_a_pydantic_type_is_checked_and_written_by_pydantic() -> None:
    class Identified(Task):
        id: UUID

    task = Identified("12345678123456781234567812345678")
    assert task.id == UUID(int=0x12345678123456781234567812345678)
    assert Identified.from_str_params(task.to_str_params()) == task
    assert Identified.from_str_params({"id": str(task.id)}) == task


def test_a_batched_parameter_makes_one_value_of_many() -> None:
    combined = Days.from_str_params({"day": ["2024-01-05", "2024-01-07"], "name": ["a", "b"]})
    assert Days.batch_param_names() == ["day", "name"]
    assert combined.day == datetime.date(2024, 1, 7)
    assert combined.name == Batch(("a", "b"))


def test_a_combined_task_comes_back_from_its_text() -> None:
    combined = Days.from_str_params({"day": ["2024-01-05"], "name": ["a", "b"]})
    again = Days.from_str_params(combined.to_str_params())
    assert again == combined
    assert again.name == combined.name
    assert combined.clone().name == combined.name


def test_a_list_of_texts_is_refused_where_nothing_is_batched() -> None:
    with pytest.raises(ParameterError, match="batch_method"):
        Sales.from_str_params({"day": ["2024-01-05"]})
