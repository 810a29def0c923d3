"""What a worker and a user rely on in a native task."""

from __future__ import annotations

import datetime
import multiprocessing
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broker_sched.tasks import DynamicRequirements, Event, Task
from broker_sched.tasks.requirements import outputs_of
from tests.tasks.native_tasks import Both, Dynamic, Outside, Sales, Special, Written

DAY = datetime.date(2024, 1, 5)


def test_parameters_can_not_change() -> None:
    task = Sales(DAY)
    for name in ("day", "task_id", "param_kwargs"):
        with pytest.raises(AttributeError, match=f"Sales.{name} can't change"):
            setattr(task, name, None)
        with pytest.raises(AttributeError, match=f"Sales.{name} can't change"):
            delattr(task, name)


def test_other_attributes_can_change() -> None:
    task = Sales(DAY)
    task.set_tracking_url = print
    task.rows = 3  # type: ignore[attr-defined]
    assert task.rows == 3  # type: ignore[attr-defined]


def test_insignificant_parameters_are_no_part_of_the_identity() -> None:
    assert Sales(DAY, level="debug") == Sales(DAY)
    assert hash(Sales(DAY, level="debug")) == hash(Sales(DAY))


def test_tasks_of_different_classes_differ() -> None:
    assert Written(directory="x") != Outside(directory="x")
    assert Sales(DAY) != "Sales"


def test_private_parameters_stay_here_and_hidden_ones_are_not_public() -> None:
    task = Sales(DAY)
    assert sorted(task.to_str_params()) == ["day", "level", "tags", "top"]
    assert sorted(task.to_str_params(only_public=True)) == ["day", "tags", "top"]
    assert "s3cret" not in repr(task)


def test_repr_hides_the_password_of_a_url() -> None:
    assert "hunter2" not in repr(Written(directory="redis://me:hunter2@host/0"))


def test_the_family_has_the_namespace_before_it() -> None:
    assert Special.task_family == Special(DAY).task_family == Special.get_task_family() == "shop.Special"
    assert Special(DAY).task_module == "tests.tasks.native_tasks"


def test_a_task_is_picklable_without_what_the_worker_has_set() -> None:
    task = Special(DAY, tags=["a"])
    task.set_status_message = lambda text: None
    again = pickle.loads(pickle.dumps(task))
    assert again == task
    assert again.param_kwargs == task.param_kwargs
    assert again.set_status_message is None


def test_a_task_reaches_a_spawned_process() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(repr, (Sales(DAY),)) == repr(Sales(DAY))


def test_what_the_worker_has_set_is_off_within_no_unpicklable_properties() -> None:
    task = Sales(DAY)
    task.set_status_message = print
    with task.no_unpicklable_properties():
        assert task.set_status_message is None
    assert task.set_status_message is print


def test_clone_takes_over_what_has_the_same_name() -> None:
    assert Sales(DAY, 3).clone(Special, extra=True) == Special(DAY, 3, extra=True)
    with pytest.raises(ValueError, match="nothing is no parameter"):
        Sales(DAY).clone(nothing=1)


def test_a_task_is_complete_once_its_output_exists(tmp_path: Path) -> None:
    task = Written(directory=str(tmp_path))
    assert not task.complete()
    task.run()
    assert task.complete()


def test_a_wrapper_is_complete_with_all_it_requires(tmp_path: Path) -> None:
    both = Both(directory=str(tmp_path))
    assert not both.complete()
    for task in both.deps():
        task.run()
    assert both.complete()


def test_input_has_the_structure_of_requires(tmp_path: Path) -> None:
    found = Both(directory=str(tmp_path)).input()
    assert found["one"].path == f"{tmp_path}/a"
    assert [target.path for target in found["more"]] == [f"{tmp_path}/b"]


def test_input_refuses_what_is_no_task() -> None:
    with pytest.raises(TypeError, match="only tasks"):
        outputs_of([3])


def test_a_task_without_output_is_never_complete_and_says_so() -> None:
    with pytest.warns(UserWarning, match=r"no output\(\)"):
        assert not Sales(DAY).complete()


def test_an_external_task_has_no_run() -> None:
    assert Outside(directory="x").run is None


def test_run_may_yield_requirements(tmp_path: Path) -> None:
    (wanted,) = Dynamic(directory=str(tmp_path)).run()
    assert wanted.flat_requirements == [Written(directory=str(tmp_path))]
    assert [target.path for target in wanted.paths] == [f"{tmp_path}/a"]


def test_dynamic_requirements_ask_the_custom_way() -> None:
    asked: list[object] = []
    wanted = DynamicRequirements([Sales(DAY)], custom_complete=lambda complete: bool(asked.append(complete)) or True)
    assert wanted.complete(len)
    assert asked == [len]
    assert not DynamicRequirements({"a": [Sales(DAY)]}).complete(lambda task: False)


def test_on_failure_gives_the_stack_trace() -> None:
    try:
        raise LookupError("no such shop")
    except LookupError as error:
        assert "LookupError: no such shop" in Sales(DAY).on_failure(error)


def test_the_names_of_events_are_luigis() -> None:
    import luigi

    names = {name for name in vars(luigi.Event) if name.isupper()}
    assert {name: getattr(Event, name) for name in names} == {name: getattr(luigi.Event, name) for name in names}


def test_a_handler_hears_its_class_and_subclasses() -> None:
    heard: list[object] = []
    handler = Sales.event_handler(Event.START)(heard.append)
    try:
        special = Special(DAY)
        special.trigger_event(Event.START, special)
        Written(directory="x").trigger_event(Event.START, "other class")
        special.trigger_event(Event.SUCCESS, "other event")
    finally:
        Sales.remove_event_handler(Event.START, handler)
    special.trigger_event(Event.START, "removed")
    assert heard == [special]


def test_a_failing_handler_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[object] = []

    class Heard(Task):
        pass

    @Heard.event_handler(Event.FAILURE)
    def fail(task: object) -> None:
        raise SystemExit("from the handler")

    Heard.event_handler(Event.FAILURE)(heard.append)
    Heard().trigger_event(Event.FAILURE, "task")
    assert heard == ["task"]
    assert "from the handler" in caplog.text


def test_ten_thousand_tasks_are_made_within_two_seconds() -> None:
    started = time.process_time()
    made = {Written(directory="/data", name=str(number)) for number in range(10_000)}
    assert len(made) == 10_000
    assert time.process_time() - started < 2


def test_the_model_imports_neither_luigi_nor_redis() -> None:
    code = (
        "import sys\n"
        "import broker_sched.tasks as model\n"
        "assert all(getattr(model, name) for name in model.__all__)\n"
        "print(sorted({'luigi', 'redis', 'fsspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_workers_of_luigis_tasks_do_without_pydantic() -> None:
    code = (
        "import sys; import broker_sched.tasks.protocol, broker_sched.tasks.loading; print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
