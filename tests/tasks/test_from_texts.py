"""What another process finds in a task's parameters is what was scheduled."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import luigi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from luigi import parameter
from luigi.parameter import ParameterVisibility
from luigi.task_register import Register

from broker_sched.tasks.from_texts import _is_same, differing, task_from_texts
from broker_sched.tasks.loading import TaskNotLoadable, load_task
from broker_sched.tasks.task import Task
from tests.nightly import by_night
from tests.tasks.kinds import KINDS
from tests.tasks.parameter_classes import CLASSES, anything, classes_of_luigi

NAMES = sorted(CLASSES)
numbers = itertools.count()
visibilities = st.sampled_from([ParameterVisibility.PUBLIC, ParameterVisibility.HIDDEN])


@pytest.fixture(autouse=True, scope="module")
def _register_as_it_was() -> Iterator[None]:
    kept = list(Register._reg)
    yield
    Register._reg[:] = kept


def class_with(name: str, **options: Any) -> Any:
    """A task class of one parameter x, of luigi's class of this name."""
    Register.clear_instance_cache()
    made = getattr(parameter, name)(**CLASSES[name].options, **options)
    return type(f"OfOneParameter{next(numbers)}", (luigi.Task,), {"x": made})


def made(task_class: Any, **values: Any) -> Any:
    """A task with its texts; None where luigi itself can't make or schedule it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            task = task_class(**values)
        return task, task.to_str_params()
    except Exception:
        return None


def loaded(task_class: Any, texts: dict[str, str]) -> Any:
    """As another process loads it, which has no instances yet."""
    Register.clear_instance_cache()
    return task_from_texts(task_class, texts)


@pytest.mark.parametrize("name", ["TupleParameter", "OptionalTupleParameter", "ListParameter"])
@pytest.mark.parametrize(
    "value",
    [
        (0, "\U00010000"),
        ("a\U0001f600\U0001f600b",),
        ((1, "\U0001f600"), (2, "x")),
        ("\ud83d",),
        (0, {"\U0001f600": 1}),
    ],
)
def test_characters_beyond_the_first_65536_come_back_whole(name: str, value: Any) -> None:
    task, texts = made(class_with(name), x=value)
    again = loaded(type(task), texts)
    assert _is_same(again.x, task.x), texts
    assert differing(task) == {}


def test_no_parameter_class_of_luigi_is_left_out() -> None:
    assert set(classes_of_luigi()) == set(CLASSES)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=by_night(30, 6), deadline=None)
def test_a_default_of_any_kind_is_the_default_wherever_the_task_is_loaded(name: str, data: Any) -> None:
    default = data.draw(data.draw(st.sampled_from([anything, CLASSES[name].values])))
    more = {"visibility": data.draw(visibilities), "significant": data.draw(st.booleans())}
    task_class = class_with(name, default=default, **more)
    if (found := made(task_class)) is None:
        return
    task, texts = found
    again = loaded(task_class, texts)
    assert again.task_id == task.task_id
    assert _is_same(again.x, task.x), texts


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=by_night(30, 6), deadline=None)
def test_a_value_of_the_parameters_own_kind_comes_back(name: str, data: Any) -> None:
    value = data.draw(CLASSES[name].values)
    options = {} if data.draw(st.booleans()) else {"default": data.draw(anything)}
    task_class = class_with(name, **options)
    task, texts = made(task_class, x=value)
    if options and (found := made(task_class)) is not None and texts == found[1]:
        return  # the text stands for the default
    again = loaded(task_class, texts)
    assert again.task_id == task.task_id
    assert _is_same(again.x, task.x), texts


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=by_night(25, 6), deadline=None)
def test_a_value_that_does_not_come_back_is_told_before(name: str, data: Any) -> None:
    task_class = class_with(name)
    if (found := made(task_class, x=data.draw(data.draw(st.sampled_from([anything, CLASSES[name].values]))))) is None:
        return
    task, texts = found
    Register.clear_instance_cache()
    try:
        told = bool(differing(task))
    except Exception:
        told = True
    try:
        is_as_it_was = _is_same(loaded(task_class, texts).x, task.x)
    except Exception:
        is_as_it_was = False
    assert told is not is_as_it_was


@pytest.mark.parametrize("name", sorted(KINDS))
@given(data=st.data())
@settings(max_examples=by_night(20, 6), deadline=None)
def test_a_native_default_and_a_native_value_come_back(name: str, data: Any) -> None:
    kind = KINDS[name]
    body = {"__annotations__": {"x": kind.annotation}, "__module__": __name__, "x": data.draw(kind.values)}
    task_class = type("WithDefault", (Task,), body)
    for task in (task_class(), task_class(x=data.draw(kind.values))):
        again = task_from_texts(task_class, task.to_str_params())
        assert again.task_id == task.task_id
        assert _is_same(again.x, task.x)


class Plain:
    """A default without a text of its own."""


def test_an_object_as_an_insignificant_default_is_found_by_its_class() -> None:
    task_class = class_with("Parameter", default=Plain(), significant=False)
    texts = {"x": "<tests.tasks.test_from_texts.Plain object at 0x7f00deadbeef>"}  # from another process
    assert isinstance(loaded(task_class, texts).x, Plain)


def test_a_significant_one_is_named_with_what_to_do() -> None:
    family = class_with("Parameter", default=Plain()).get_task_family()
    texts = {"x": "<tests.tasks.test_from_texts.Plain object at 0x7f00deadbeef>"}
    with pytest.raises(TaskNotLoadable, match=r"text of x holds a memory address.*significant=False"):
        load_task(None, family, texts, f"{family}_of_another_process")


def test_a_default_from_the_configuration_stands_before_that_of_the_class() -> None:
    task_class = class_with("IntParameter", default=None)
    config = luigi.configuration.get_config()
    family = task_class.get_task_family()
    config.set(family, "x", "12")
    try:
        assert loaded(task_class, {"x": "12"}).x == 12
        assert loaded(task_class, {"x": "None"}).x is None
    finally:
        config.remove_section(family)


def test_the_default_of_the_class_is_not_hidden_by_a_configuration_that_only_this_host_has() -> None:
    task_class = class_with("Parameter", default=None)
    config = luigi.configuration.get_config()
    family = task_class.get_task_family()
    config.set(family, "x", "of this host")
    try:
        assert loaded(task_class, {"x": "None"}).x is None
        assert loaded(task_class, {"x": "other"}).x == "other"
    finally:
        config.remove_section(family)


def test_members_of_a_batch_have_the_default_where_they_had_it() -> None:
    task_class = class_with("IntParameter", default=None, batch_method=list)
    assert loaded(task_class, {"x": ["3", "None", "5"]}).x == (3, None, 5)
    assert loaded(task_class, {"x": ["3", "4"]}).x == (3, 4)


def test_a_parameter_with_a_parse_of_its_own_is_asked_first() -> None:
    class Doubled(luigi.IntParameter):
        def parse(self, text: str) -> int:
            return int(text) * 2

        def serialize(self, value: int) -> str:
            return str(value // 2)

    task_class = type("OfOneParameter", (luigi.Task,), {"x": Doubled(default=4)})
    assert loaded(task_class, {"x": "21"}).x == 42
    assert loaded(task_class, {"x": "021"}).x == 42  # not the text that it writes, as from a stock client


def test_a_from_str_params_of_its_own_gets_what_is_not_the_default() -> None:
    class OfOneParameter(luigi.Task):
        x = luigi.Parameter(default=None)
        y = luigi.Parameter(default="y")

        @classmethod
        def from_str_params(cls, params_str: dict[str, str]) -> Any:
            return cls(y=params_str["y"].upper(), x=params_str.get("x"))

    task = loaded(OfOneParameter, {"x": "None", "y": "z"})
    assert (task.x, task.y) == (None, "Z")


def test_what_can_not_be_read_names_the_parameter_and_hides_what_is_not_public() -> None:
    shown = class_with("IntParameter")
    with pytest.raises(TaskNotLoadable, match=r"parameter x: .*'s3cret'"):
        load_task(None, shown.get_task_family(), {"x": "s3cret"})
    hidden = class_with("IntParameter", visibility=ParameterVisibility.HIDDEN)
    with pytest.raises(TaskNotLoadable, match=r"parameter x: its text can't be read") as caught:
        load_task(None, hidden.get_task_family(), {"x": "s3cret"})
    assert "s3cret" not in str(caught.value)


def test_a_class_that_is_not_imported_here_is_told_with_the_option_that_imports_it() -> None:
    family = class_with("TaskParameter").get_task_family()
    with pytest.raises(TaskNotLoadable, match=r"parameter x: it names a task whose module.*--module"):
        load_task(None, family, {"x": "NotImportedHere"})


def test_another_task_than_the_one_handed_out_is_refused() -> None:
    family = class_with("IntParameter").get_task_family()
    with pytest.raises(TaskNotLoadable, match=r"parameters of Other_1 make OfOneParameter\d+_1_.*another version"):
        load_task(None, family, {"x": "1"}, "Other_1")
