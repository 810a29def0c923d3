"""A task is found by its module and family, and made of its texts."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

import pytest

from broker_sched.errors import BrokerSchedError
from broker_sched.tasks import TaskNotLoadable, load_task
from broker_sched.tasks import loading as register
from tests.tasks import native_tasks
from tests.tasks.luigi_tasks import LuigiSales
from tests.tasks.native_tasks import Sales, Special

NATIVE = "tests.tasks.native_tasks"
LUIGI = "tests.tasks.luigi_tasks"
DAY = datetime.date(2024, 1, 5)


@pytest.fixture(autouse=True)
def _register_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes that a test defines are forgotten after it."""
    kept = {key: known for key, known in register._CLASSES.items() if "<locals>" not in key[1]}
    monkeypatch.setattr(register, "_CLASSES", kept)


def test_a_native_task_comes_back_from_its_texts() -> None:
    task = Special(DAY, tags=["a"], extra=True)
    assert load_task(task.task_module, task.task_family, task.to_str_params()) == task


def test_luigis_task_comes_back_from_its_texts() -> None:
    task = LuigiSales(day=DAY, top=3)
    assert load_task(LUIGI, "LuigiSales", task.to_str_params()) == task


def test_a_module_is_imported_for_its_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fresh_tasks.py").write_text("from broker_sched.tasks import Task\nclass Fresh(Task):\n    n: int\n")
    monkeypatch.syspath_prepend(tmp_path)
    task = load_task("fresh_tasks", "Fresh", {"n": "3"})
    assert task.param_kwargs == {"n": 3}
    sys.modules.pop("fresh_tasks")


@pytest.mark.parametrize("module", [None, "", NATIVE])
def test_no_module_is_needed_once_the_class_is_there(module: str | None) -> None:
    assert load_task(module, "Sales", {"day": "2024-01-05"}) == Sales(DAY)


def test_a_batch_has_lists_of_texts() -> None:
    task = load_task(NATIVE, "Days", {"day": ["2024-01-05", "2024-01-06"]})
    assert task.param_kwargs["day"] == datetime.date(2024, 1, 6)


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(TaskNotLoadable, match=r"module no\.such\.module .*PYTHONPATH"):
        load_task("no.such.module", "Sales", {})
    assert issubclass(TaskNotLoadable, BrokerSchedError)


def test_a_module_that_fails_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_tasks.py").write_text("raise SystemExit('no configuration')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TaskNotLoadable, match=r"failing_tasks .*no configuration"):
        load_task("failing_tasks", "Sales", {})


@pytest.mark.parametrize(
    ("family", "near"), [("Sale", "Sales"), ("LuigiSale", "LuigiSales"), ("Special", "shop.Special")]
)
def test_an_unknown_family_names_near_matches(family: str, near: str) -> None:
    with pytest.raises(TaskNotLoadable, match=f"no task family {family} in {NATIVE}. Did you mean .*{near}"):
        load_task(NATIVE, family, {})


def test_two_classes_of_a_family_are_ambiguous_only_by_name() -> None:
    other = native_tasks.twin()
    other.__module__ = "elsewhere"
    register.register(other)
    assert load_task(NATIVE, "Sales", {"day": "2024-01-05"}) == Sales(DAY)
    with pytest.raises(TaskNotLoadable, match=r"Sales is ambiguous: .*Set task_namespace"):
        load_task(None, "Sales", {"day": "2024-01-05"})


def test_of_a_class_and_its_subclass_the_subclass_is_taken() -> None:
    derived = type("Sales", (Sales,), {"__module__": "decorated"})
    assert type(load_task(None, "Sales", {"day": "2024-01-05"})) is derived


def test_a_class_defined_again_replaces_the_first() -> None:
    first, second = native_tasks.twin(), native_tasks.twin()
    assert register.classes_of("Sales") == [Sales, second]
    assert first is not second


def test_texts_that_do_not_fit_are_named() -> None:
    with pytest.raises(TaskNotLoadable, match=r"Sales can be made .*day is 'yesterday'"):
        load_task(NATIVE, "Sales", {"day": "yesterday"})


def test_of_a_native_class_and_luigis_the_one_of_the_module_is_taken() -> None:
    other = type("LuigiSales", (Sales,), {"__module__": "elsewhere"})
    texts = {"day": "2024-01-05"}
    assert type(load_task(LUIGI, "LuigiSales", texts)) is LuigiSales
    assert type(load_task(None, "LuigiSales", texts)) is other


def test_luigi_is_asked_for_a_class_once_until_there_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its register asks all classes for their families, each time: a task of a large code base would wait for that."""
    luigis = sys.modules["luigi.task_register"].Register  # type: ignore[attr-defined]
    monkeypatch.setattr(luigis, "_reg", list(luigis._reg))
    asked = list[str]()
    get_task_cls = luigis.get_task_cls
    monkeypatch.setattr(luigis, "get_task_cls", lambda family: asked.append(family) or get_task_cls(family))
    register._kept.clear()
    for _ in range(3):
        assert register.find_class(LUIGI, "LuigiSales") is LuigiSales
    assert asked == ["LuigiSales"]
    derived = type(LuigiSales)("LuigiSales", (LuigiSales,), {"__module__": "elsewhere"})
    assert register.find_class(LUIGI, "LuigiSales") is derived
    register._kept.clear()
