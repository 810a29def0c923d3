"""`tasks` lists tasks by family, state, parameters, worker, words, error and time, a page at a time.

What it lists is what a plain look at every task would find, each once and in the stated order, however it is asked and
however many pages that takes. A cursor names a place in that order, so it holds when tasks have come and gone.
"""

import json
import random

import pytest

from broker_sched import InvalidArgument
from broker_sched.scheduler.operations import task_listing
from tests.nightly import by_night

FAMILIES = ["Load", "Sum", "", "caf\udce9:x"]
WORKERS = ["anna", "bob", "Worker(salt=1, host=h)"]
WORDS = ["day=1", "DAY=2", "load", "sum(", "kind=x", "nobody"]
DATES = ["2024-02-29", "2024-03-01", "2024-03"]
ERRORS = ["ValueError: no", "disk full", "Größe"]


def add_random_tasks(scheduler, clock, draw, count):
    """Tasks of every state, in four families, of three workers; some at the same moment."""
    for number in range(count):
        clock.advance(draw.choice([0, 0, 0.25, 1, 30]))
        family, worker = draw.choice(FAMILIES), draw.choice(WORKERS)
        task = {"family": family, "params": {"day": str(draw.randrange(3)), "kind": draw.choice("xy"), "secret": "s1"}}
        task["params"] |= draw.choice([{}, {"date": draw.choice(DATES)}, {"at": draw.choice(DATES) + "T05"}])
        task |= {"param_visibilities": {"day": 0, "secret": draw.choice([1, 2])}, "priority": draw.randrange(3)}
        deps = [f"t{draw.randrange(number)}" for _ in range(draw.choice([0, 0, 1, 2]))] if number else []
        scheduler.add_task(worker=worker, task_id=f"t{number}", deps=[*deps, *draw.choice([[], ["gone"]])], **task)
        happens = draw.random()
        if happens < 0.35:
            status = draw.choice(["DONE", "FAILED", "FAILED", "DISABLED"])
            expl = json.dumps(f"Traceback:\n  line\n{draw.choice(ERRORS)}\n") if status == "FAILED" else None
            scheduler.add_task(worker=worker, task_id=f"t{draw.randrange(number + 1)}", status=status, expl=expl)
        elif happens < 0.55:
            scheduler.get_work(worker=draw.choice(WORKERS))


def plain_look(scheduler):
    """Every task, as its own record and its deps say, newest first."""
    client, namespace = scheduler._client, scheduler.namespace
    found = []
    for n, task_id in client.hgetall(namespace.key("ids")).items():
        task, detail = client.hgetall(namespace.key("task", task_id)), client.hgetall(namespace.key("detail", task_id))
        if not task:
            continue
        state = task["status"]
        if state == "PENDING":
            waits = client.exists(namespace.key("unmet", n))
            state = "BLOCKED" if client.exists(namespace.key("blockers", n)) else "WAITING" if waits else "READY"
        hidden = json.loads(detail.get("param_visibilities", "{}"))
        params = json.loads(task.get("params") or detail.get("params") or "{}")
        expl = json.loads(task.get("expl") or detail.get("expl") or "null")
        runner_set = task.get("runner_set", "0")
        runners = client.smembers(namespace.key("runner_set", runner_set, "workers"))
        found.append(
            {
                "task_id": task_id,
                "n": n,
                "family": task.get("family", ""),
                "status": task["status"],
                "state": state,
                "since": float(task.get("ready_since") or task["updated"]),
                "updated": float(task["updated"]),
                "params": {name: value for name, value in params.items() if not hidden.get(name)},
                "error": expl.strip().splitlines()[-1] if expl else None,
                "workers": {client.hget(namespace.key("worker_ids"), w) for w in runners},
                "runs_on": task.get("worker_running") if task["status"] in ("RUNNING", "BATCH_RUNNING") else None,
            }
        )
    return sorted(found, key=lambda task: (task["since"], task["n"]), reverse=True)


def is_wanted(task, filters):
    shown = ", ".join(f"{name}={value}" for name, value in sorted(task["params"].items()))
    name = f"{task['family']}({shown})".casefold()
    params, words = filters.get("params") or {}, (filters.get("text") or "").casefold().split()
    worker = filters.get("worker")
    return (
        filters.get("family") in (None, task["family"])
        and filters.get("status") in (None, task["status"], task["state"])
        and all(task["params"].get(name) == value for name, value in params.items())
        and all(word in name for word in words)
        and filters.get("date")
        in (None, (task["params"].get("date") or task["params"].get("at", ""))[:10].partition("T")[0])
        and (filters.get("error") or "").casefold() in (task["error"] or "").casefold()
        and (worker is None or worker == task["runs_on"] or worker in task["workers"])
        and task["updated"] >= filters.get("updated_since", 0.0)
        and ("failed_since" not in filters or task["status"] in ("FAILED", "DISABLED"))
        and task["since"] >= filters.get("failed_since", 0.0)
    )


def all_pages(scheduler, **arguments):
    """What all pages have, the number of calls, and the last reply."""
    found, calls, cursor = [], 0, None
    while True:
        reply = scheduler.tasks(**arguments, cursor=cursor)
        found += reply["tasks"]
        calls += 1
        cursor = reply["cursor"]
        if cursor is None:
            return found, calls, reply


def random_filters(draw, clock):
    choices = {
        "family": [*FAMILIES, "nobody's"],
        "status": ["PENDING", "READY", "WAITING", "BLOCKED", "RUNNING", "DONE", "FAILED", "DISABLED", "UNKNOWN"],
        "params": [{"day": "1"}, {"kind": "y", "day": "0"}, {"secret": "s1"}, {}],
        "worker": [*WORKERS, "nobody"],
        "text": [*WORDS, "x day", "secret=s1"],
        "error": ["no", "DISK FULL", "größe", "never"],
        "date": [*DATES, "2024-04-01"],
        "failed_since": [clock.now - 100, clock.now - 5],
        "updated_since": [clock.now - 100, clock.now - 5],
    }
    return {name: draw.choice(choices[name]) for name in draw.sample(sorted(choices), draw.choice([0, 1, 1, 2, 3]))}


@pytest.mark.parametrize("few", [1000, 0], ids=["by date", "among others"])
@pytest.mark.parametrize("seed", range(by_night(12, 3)))
def test_what_all_pages_list_is_what_a_plain_look_finds_in_this_order(scheduler, clock, seed, few, monkeypatch):
    """few: tasks of a date that are read by it; beyond, they are looked for among the others of their families."""
    monkeypatch.setattr(task_listing, "MAX_OF_DATE", few)
    draw = random.Random(seed)
    add_random_tasks(scheduler, clock, draw, by_night(150, 60))
    everything = plain_look(scheduler)
    for _ in range(by_night(60, 25)):
        filters, order = random_filters(draw, clock), draw.choice(["newest", "oldest"])
        expected = [task for task in everything if is_wanted(task, filters)]
        listed, _, last = all_pages(scheduler, **filters, order=order, limit=draw.choice([1, 3, 7, 1000]))
        expected = expected if order == "newest" else expected[::-1]
        assert [task["task_id"] for task in listed] == [task["task_id"] for task in expected], (filters, order)
        for task, right in zip(listed, expected):
            for name in ("family", "status", "state", "since", "updated", "params", "error"):
                assert task[name] == right[name], (name, task)
        assert last["looked_at"] == last["of"]


def test_a_page_says_how_far_it_got(scheduler, clock):
    for number in range(5):
        scheduler.add_task(worker="w", task_id=f"t{number}", family="F")
        clock.advance(1)
    first = scheduler.tasks(limit=2)
    assert ([task["task_id"] for task in first["tasks"]], first["looked_at"], first["of"]) == (["t4", "t3"], 2, 5)
    second = scheduler.tasks(limit=2, cursor=first["cursor"])
    assert ([task["task_id"] for task in second["tasks"]], second["looked_at"], second["of"]) == (["t2", "t1"], 4, 5)
    third = scheduler.tasks(limit=2, cursor=second["cursor"])
    assert ([task["task_id"] for task in third["tasks"]], third["looked_at"], third["cursor"]) == (["t0"], 5, None)


def test_a_page_that_ends_with_the_last_task_has_no_cursor(scheduler):
    for number in range(4):
        scheduler.add_task(worker="w", task_id=f"t{number}", family="F")
    second = scheduler.tasks(limit=2, cursor=scheduler.tasks(limit=2)["cursor"])
    assert (len(second["tasks"]), second["cursor"]) == (2, None)


def test_a_saved_cursor_goes_on_when_tasks_have_come_and_gone(scheduler, clock):
    for number in range(12):
        scheduler.add_task(worker="w", task_id=f"t{number}", family=FAMILIES[number % 2])
        clock.advance(1)
    first = scheduler.tasks(limit=4)
    assert [task["task_id"] for task in first["tasks"]] == ["t11", "t10", "t9", "t8"]
    scheduler.add_task(worker="w", task_id="t8", status="DONE")  # at which the cursor stands
    scheduler.add_task(worker="w", task_id="t5", status="DONE")  # that is new now, and was not listed
    scheduler.add_task(worker="w", task_id="new", family="Load")
    second = scheduler.tasks(limit=4, cursor=first["cursor"])
    third = scheduler.tasks(limit=4, cursor=second["cursor"])
    assert [task["task_id"] for task in second["tasks"] + third["tasks"]] == ["t7", "t6", "t4", "t3", "t2", "t1", "t0"]


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_many_tasks_of_one_moment_are_paged_like_any(scheduler, clock, order):
    for start in range(0, 300, 100):
        tasks = [{"task_id": f"t{number}", "family": FAMILIES[number % 3]} for number in range(start, start + 100)]
        scheduler.add_tasks(worker="w", tasks=tasks)
    listed, _, _ = all_pages(scheduler, order=order, limit=7)
    numbers = [int(task["task_id"][1:]) for task in listed]
    assert numbers == sorted(range(300), reverse=order == "newest")


def test_a_filter_that_no_index_serves_looks_at_a_thousand_tasks_a_call(scheduler):
    for start in range(0, 1200, 300):
        tasks = [
            {"task_id": f"t{n}", "family": f"F{n % 7}", "params": {"n": str(n)}} for n in range(start, start + 300)
        ]
        scheduler.add_tasks(worker="w", tasks=tasks)
    first = scheduler.tasks(params={"n": "17"})
    assert (first["tasks"], first["looked_at"], first["of"]) == ([], 1000, 1200)
    second = scheduler.tasks(params={"n": "17"}, cursor=first["cursor"])
    assert ([task["task_id"] for task in second["tasks"]], second["looked_at"], second["cursor"]) == (
        ["t17"],
        1200,
        None,
    )
    served = scheduler.tasks(family="F3", status="READY", limit=1000)
    assert len(served["tasks"]) == served["looked_at"] == served["of"]


def test_a_hidden_parameter_is_neither_shown_nor_found(scheduler):
    task = {"family": "Login", "params": {"user": "ada", "password": "hunter2"}, "param_visibilities": {"password": 1}}
    scheduler.add_task(worker="w", task_id="t", **task)
    assert "hunter2" not in json.dumps(scheduler.tasks()) + json.dumps(scheduler.task_details("t"))
    assert scheduler.tasks(params={"password": "hunter2"})["tasks"] == []
    assert scheduler.tasks(text="hunter2")["tasks"] == []
    assert [task["display_name"] for task in scheduler.tasks(params={"user": "ada"})["tasks"]] == ["Login(user=ada)"]


def test_a_parameter_is_compared_as_text(scheduler):
    scheduler.add_task(worker="w", task_id="t", family="F", params={"n": 3, "flag": True})
    assert len(scheduler.tasks(params={"n": "3", "flag": "true"})["tasks"]) == 1
    assert len(scheduler.tasks(params={"n": 3, "flag": True})["tasks"]) == 1
    assert scheduler.tasks(params={"n": "03"})["tasks"] == []


@pytest.mark.parametrize(
    "cursor", ["", "x", "====", "bm8", "é", "\ud800", "WzFd", "e30", "W10", "bnVsbA", "WyIiLCIxIiwiMiIsM10"]
)
def test_what_is_no_cursor_is_refused(scheduler, cursor):
    for method in ("tasks", "families", "workers"):
        with pytest.raises(InvalidArgument) as caught:
            getattr(scheduler, method)(cursor=cursor)
        assert caught.value.field == "cursor"


def test_a_cursor_of_another_listing_is_refused(scheduler):
    for number in range(3):
        scheduler.add_task(worker=f"w{number}", task_id=f"t{number}", family=f"F{number}")
    cursors = {
        "tasks": scheduler.tasks(limit=1)["cursor"],
        "families": scheduler.families(limit=1)["cursor"],
        "workers": scheduler.workers(limit=1)["cursor"],
    }
    assert all(cursors.values())
    for method in cursors:
        for other in cursors.keys() - {method}:
            with pytest.raises(InvalidArgument, match="cursor"):
                getattr(scheduler, method)(cursor=cursors[other])
    with pytest.raises(InvalidArgument, match="cursor: is of another listing"):
        scheduler.tasks(family="F1", cursor=cursors["tasks"])
    with pytest.raises(InvalidArgument, match="cursor: is of another listing"):
        scheduler.tasks(order="oldest", cursor=cursors["tasks"])
    assert len(scheduler.tasks(limit=3, cursor=cursors["tasks"])["tasks"]) == 2  # only the limit may differ


def test_a_status_that_there_is_not_is_refused_with_those_that_there_are(scheduler):
    with pytest.raises(InvalidArgument, match="status: is 'FINISHED'; it must be one of PENDING, READY, WAITING"):
        scheduler.tasks(status="FINISHED")
