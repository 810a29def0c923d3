"""Many tasks in one call are what they are in many calls.

add_tasks is there because a pipeline of ten thousand tasks would otherwise take ten thousand requests. The result is
that of single calls in the same order; when one of the tasks is wrong, it is named, and none is added.
"""

import pytest

from broker_sched import InvalidArgument


def layered(count):
    """Tasks of which some have new deps, many deps, a failure, or are done."""
    tasks = []
    for number in range(count):
        task = {"task_id": f"t{number}", "family": "T", "params": {"n": str(number)}, "priority": number % 3}
        task["deps"] = [f"t{dep}" for dep in range(max(0, number - 2), number)]
        if number % 11 == 10:
            task["status"] = "FAILED"
        if number % 7 == 6:
            task["new_deps"] = ["extra"]
        if number % 5 == 4:
            task |= {"resources": {"db": 1}, "runnable": False}
        tasks.append(task)
    tasks[count // 2]["deps"] = [f"many_{number}" for number in range(200)]
    return tasks


def everything(scheduler):
    """What a namespace holds, apart from times and random keys."""
    listed = scheduler.task_list(limit=False)
    times = ("start_time", "last_updated", "time_running")
    tasks = {
        task_id: {name: value for name, value in task.items() if name not in times} for task_id, task in listed.items()
    }
    return list(listed), tasks, scheduler.count_pending(worker="w"), scheduler.resource_list()


def test_the_result_is_that_of_single_calls_in_this_order(scheduler, scheduler_factory):
    single = scheduler_factory()
    tasks = layered(250)
    scheduler.add_tasks(worker="w", tasks=tasks)
    for task in tasks:
        single.add_task(worker="w", **task)
    assert everything(scheduler) == everything(single)
    order = [each.get_work(worker="w")["task_id"] for each in (scheduler, single) for _ in range(3)]
    assert order[:3] == order[3:] and order[0]


@pytest.mark.parametrize(
    ("task", "field"),
    [
        ({"task_id": "x", "deps": "a"}, r"tasks\[1\].deps"),
        ({"task_id": ""}, r"tasks\[1\].task_id"),
        ({}, r"tasks\[1\].task_id"),
        ({"task_id": "x", "priority": float("nan")}, r"tasks\[1\].priority"),
        ({"task_id": "x", "params": {"a": float("inf")}}, r"tasks\[1\].params"),
        ({"task_id": "x", "status": "SLEEPING"}, r"tasks\[1\].status"),
        ({"task_id": "x", "resources": {"db": -1}}, r"tasks\[1\].resources"),
        ("x", "tasks"),
    ],
)
def test_a_wrong_task_is_named_and_nothing_is_changed(scheduler, task, field):
    with pytest.raises(InvalidArgument, match=field):
        scheduler.add_tasks(worker="w", tasks=[{"task_id": "good", "status": "FAILED"}, task])
    assert scheduler.task_list() == {}


def test_more_than_a_thousand_are_refused(scheduler):
    with pytest.raises(InvalidArgument, match="tasks"):
        scheduler.add_tasks(worker="w", tasks=[{"task_id": str(number)} for number in range(1001)])
    scheduler.add_tasks(worker="w", tasks=[])


def test_the_worker_is_that_of_the_call(scheduler):
    scheduler.add_tasks(worker="w", tasks=[{"task_id": "a", "worker": "somebody else"}, {"task_id": "b"}])
    assert [each["name"] for each in scheduler.worker_list()] == ["w"]


def test_scripts_flushed_in_the_middle_are_loaded_again(scheduler, monkeypatch):
    scheduler.add_task(worker="w", task_id="first")
    send, flushed = scheduler._connection.send, []

    def flushing(commands, *more):
        if len(commands) < 5 or flushed:
            return send(commands, *more)
        first = send(commands[:1], *more)
        flushed.append(scheduler._client.script_flush())
        return first + send(commands[1:], *more)

    monkeypatch.setattr(scheduler._connection, "send", flushing)
    scheduler.add_tasks(worker="w", tasks=[{"task_id": f"t{number}"} for number in range(5)])
    assert flushed and len(scheduler.task_list()) == 6
