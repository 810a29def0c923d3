"""A graph of any size is shown in few nodes: single tasks near the one that is asked for, groups beyond.

Who looks at a task wants to see what is around it, and how much of what kind is behind that. The answer costs the same
with a hundred tasks and with a million: what was not looked at is counted where it can be, and never guessed. A slow
model in this file, which walks the whole graph, says what must be in the nodes and edges.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Collection
from functools import partial
from typing import Any, NamedTuple

import pytest

from broker_sched import Scheduler
from broker_sched.errors import InvalidArgument
from broker_sched.scheduler.operations.graph_walk import LEVELS, LOOKED_AT, MEMBERS, _shares
from tests.behaviour.test_flat_cost import commands_of
from tests.harness import RedisProcess
from tests.nightly import by_night

STATUSES = ("PENDING", "PENDING", "PENDING", "DONE", "DONE", "FAILED", "DISABLED", "UNKNOWN")
MANY = 100_000


class Model(NamedTuple):
    """A graph that is walked as a whole. Missing deps have no status."""

    deps: dict[str, list[str]]
    statuses: dict[str, str]

    def neighbours(self, direction: str) -> dict[str, list[str]]:
        """The deps of each task, or its dependents."""
        if direction == "deps":
            return self.deps
        found = defaultdict(list)
        for task, deps in self.deps.items():
            for dep in deps:
                found[dep].append(task)
        return found

    def distances(self, first: str, direction: str) -> dict[str, int]:
        """The tasks that are reached from one, each with the least number of steps to it."""
        neighbours, found, wave = self.neighbours(direction), {first: 0}, [first]
        for distance in range(1, len(self.deps) + 2):
            wave = [other for task in wave for other in neighbours.get(task, ()) if other not in found]
            found.update(dict.fromkeys(wave, distance))
        return found

    def state(self, task: str) -> str:
        """How a task stands, with PENDING in its three kinds."""
        status = self.statuses.get(task, "MISSING")
        if status != "PENDING":
            return status
        if any(self.is_blocking(dep, {task}) for dep in self.deps[task]):
            return "BLOCKED"
        return "READY" if all(self.statuses.get(dep) == "DONE" for dep in self.deps[task]) else "WAITING"

    def is_blocking(self, task: str, above: set[str]) -> bool:
        """Whether a dep makes its dependents UPSTREAM_DISABLED. above: the tasks that it was reached through."""
        if self.statuses.get(task) != "PENDING" or task in above:
            return self.statuses.get(task) == "DISABLED"
        return any(self.is_blocking(dep, above | {task}) for dep in self.deps[task])


def family_of(task: str) -> str:
    return task.split("_")[0]


def random_graph(scheduler: Scheduler, chance: random.Random) -> Model:
    """Tasks of some families in all statuses, with deps on any other: some are placeholders, some form cycles."""
    size, families = chance.choice([5, 40, 120]), chance.choice(["AB", "ABCDEFGHIJ"])
    ids = [f"{chance.choice(families)}_{number}" for number in range(size)]
    deps: dict[str, list[str]] = {}
    for position, task in enumerate(ids):
        if chance.random() < 0.95:
            others = ids if chance.random() < 0.05 else ids[:position]
            deps[task] = chance.sample(others, min(len(others), chance.choice([0, 1, 1, 2, 2, 9])))
    scheduler.add_tasks(
        "w",
        [
            {"task_id": task, "family": family_of(task), "status": chance.choice(STATUSES), "deps": deps[task]}
            for task in deps
        ],
    )
    statuses = {task: each["status"] for task, each in scheduler.task_list(limit=False).items()}
    return Model(deps, statuses)


def assert_shows(graph: Any, model: Model, first: str, direction: str, nodes: int, expanded: bool = False) -> None:
    """Each task that is reached is in one node, the counts are theirs, and each dep is in one edge."""
    distances = model.distances(first, direction)
    shown = {node["node"]: node for node in graph["nodes"]}
    assert len(shown) == len(graph["nodes"]) <= nodes
    assert (graph["complete"], graph["looked_at"]) == (True, len(distances))
    single = {node["task_id"] for node in graph["nodes"] if node["task_id"]}
    of_group = {(node["state"], node["family"]): node["node"] for node in graph["nodes"] if not node["task_id"]}
    place = {}
    for task in distances:
        key = (model.state(task), family_of(task))
        others = of_group.get((key[0], None))
        place[task] = f"task:{task}" if task in single else of_group.get(key) or others
    assert Counter(place.values()) == {name: node["count"] for name, node in shown.items()}
    for name, node in shown.items():
        members = [task for task in distances if place[task] == name]
        assert node["distance"] == min(distances[task] for task in members)
        assert {model.state(task) for task in members} == {node["state"]}
        assert {model.statuses.get(task) for task in members} == {node["status"]}
        assert node["example"] in members
        assert (node["further"], node["exact"]) == (0, True)
        assert (node["more"] is None) == (node["task_id"] is not None) == (node["count"] == 1)
    expected = Counter(
        (place[task], place[dep]) for task in distances for dep in model.deps.get(task, ()) if dep in distances
    )
    assert expected == {(edge["dependent"], edge["dep"]): edge["count"] for edge in graph["edges"]}
    assert [node["distance"] for node in graph["nodes"]] == sorted(node["distance"] for node in graph["nodes"])
    assert graph["nodes"][0]["task_id"] == first
    if not expanded:  # beyond the nearest task of a group there is none that could be in a group with others
        nearest = min((node["distance"] for node in graph["nodes"] if not node["task_id"]), default=len(distances))
        beyond = {task for task in single if distances[task] > nearest}
        assert not {(model.state(task), family_of(task)) for task in beyond} & of_group.keys()


@pytest.mark.parametrize("seed", range(by_night(100, 12)))
def test_every_task_is_in_one_node_and_every_dep_in_one_edge(scheduler: Scheduler, seed: int) -> None:
    chance = random.Random(seed)
    model = random_graph(scheduler, chance)
    for _ in range(8):
        first, direction = chance.choice(list(model.statuses)), chance.choice(["deps", "dependents"])
        nodes = chance.choice([20, 30, 150])
        graph = scheduler.condensed_graph(first, direction, nodes)
        assert_shows(graph, model, first, direction, nodes)
        for node in graph["nodes"]:
            if node["more"] and "expand" in node["more"]:
                more = scheduler.condensed_graph(**node["more"])
                assert_shows(more, model, first, direction, nodes, expanded=True)
                known = {each["node"] for each in more["nodes"]}
                assert node["node"] not in known or len(known) == nodes, "it is taken apart as far as there is room"


@pytest.mark.parametrize("seed", range(by_night(60, 6)))
def test_without_done_tasks_the_graph_is_that_of_the_others(scheduler: Scheduler, seed: int) -> None:
    chance = random.Random(seed)
    model = random_graph(scheduler, chance)
    for _ in range(8):
        first, direction = chance.choice(list(model.statuses)), chance.choice(["deps", "dependents"])
        shown = {task for task in {*model.deps, *model.statuses} if task == first or model.statuses[task] != "DONE"}
        deps = {
            task: [dep for dep in deps if dep in shown or dep not in model.statuses]
            for task, deps in model.deps.items()
            if task in shown
        }
        graph = scheduler.condensed_graph(first, direction, 30, include_done=False)
        assert_shows(graph, Model(deps, model.statuses), first, direction, 30)
        assert all(node["more"]["include_done"] is False for node in graph["nodes"] if node["more"])


def test_of_very_many_deps_the_few_that_are_not_done_are_all_shown(scheduler: Scheduler) -> None:
    fill(scheduler, [f"Load_{number}" for number in range(LOOKED_AT + 500)], status="DONE")
    fill(scheduler, ["Bad_1", "Late_1"])
    fill(scheduler, ["a"], deps=[*(f"Load_{number}" for number in range(LOOKED_AT + 500)), "Bad_1", "Late_1"])
    graph = scheduler.condensed_graph("a", include_done=False)
    assert [node["task_id"] for node in graph["nodes"]] == ["a", "Bad_1", "Late_1"]
    assert (graph["complete"], graph["looked_at"]) == (True, 3)


def test_nearer_tasks_are_single_and_a_group_is_of_one_family_and_state(scheduler: Scheduler) -> None:
    fill(scheduler, ["Raw_1", "Raw_2"], status="DONE")
    fill(scheduler, [f"Load_{number}" for number in range(200)], status="DONE", deps=["Raw_1", "Raw_2"])
    fill(scheduler, ["Load_200", "Load_201"], status="FAILED")
    fill(scheduler, [f"Clean_{number}" for number in range(5)], deps=[f"Load_{number}" for number in range(202)])
    fill(scheduler, ["Report_1"], deps=[f"Clean_{number}" for number in range(5)])
    graph = scheduler.condensed_graph("Report_1", nodes=20)
    shown = [(node["task_id"] or node["family"], node["state"], node["count"]) for node in graph["nodes"]]
    assert shown[0] == ("Report_1", "WAITING", 1)
    assert shown[1:6] == [(f"Clean_{number}", "WAITING", 1) for number in range(5)]
    # The few that failed fit, and are single; the many that are done are one node, and so are those behind them.
    assert set(shown[6:9]) == {("Load_200", "FAILED", 1), ("Load_201", "FAILED", 1), ("Load", "DONE", 200)}
    assert shown[9:] == [("Raw", "DONE", 2)]
    edges = {(edge["dependent"], edge["dep"]): edge["count"] for edge in graph["edges"]}
    assert edges["task:Clean_3", "group:DONE:Load"] == 200
    assert edges["task:Clean_3", "task:Load_201"] == 1


def test_a_group_says_how_it_is_taken_apart(scheduler: Scheduler) -> None:
    fill(scheduler, [f"Load_{number}" for number in range(100)], status="DONE")
    fill(scheduler, [f"Other_{number}" for number in range(100)], status="DONE")
    fill(scheduler, ["all"], deps=[f"{family}_{number}" for family in ("Load", "Other") for number in range(100)])
    graph = scheduler.condensed_graph("all", nodes=60)
    (load,) = (node for node in graph["nodes"] if node["family"] == "Load")
    assert load["more"] == {"task_id": "all", "direction": "deps", "nodes": 60, "expand": ["group:DONE:Load"]}
    expanded = scheduler.condensed_graph(**load["more"])
    left = {node["family"]: node for node in expanded["nodes"] if not node["task_id"]}
    assert {family: node["count"] for family, node in left.items()} == {"Load": 43, "Other": 100}
    assert len(expanded["nodes"]) == 60  # the first, 57 of them, and two groups
    # It was taken apart as far as there is room: what more there is, one of its tasks shows.
    assert left["Load"]["more"] == {"task_id": left["Load"]["example"], "direction": "deps", "nodes": 60}
    assert left["Other"]["more"]["expand"] == ["group:DONE:Load", "group:DONE:Other"]


def test_a_group_that_just_fits_is_taken_apart_as_a_whole(scheduler: Scheduler) -> None:
    fill(scheduler, [f"Load_{number}" for number in range(18)], status="DONE")
    fill(scheduler, [f"Other_{number}" for number in range(30)], status="DONE")
    fill(scheduler, ["all"], deps=[*(f"Load_{number}" for number in range(18)), *(f"Other_{n}" for n in range(30))])
    nodes = scheduler.condensed_graph("all", nodes=20, expand=["group:DONE:Load"])["nodes"]
    assert [node["family"] for node in nodes if not node["task_id"]] == ["Other"]
    assert len(nodes) == 20


def test_of_a_level_that_does_not_fit_the_small_groups_are_taken_apart(scheduler: Scheduler) -> None:
    names = [f"Many_{number}" for number in range(16)] + [f"Few_{number}" for number in range(10)]
    fill(scheduler, names)
    fill(scheduler, ["all"], deps=names)
    nodes = scheduler.condensed_graph("all", nodes=20)["nodes"]
    assert [(node["family"], node["count"]) for node in nodes if not node["task_id"]] == [("Many", 16)]


def test_tasks_at_one_distance_stand_in_the_order_in_which_they_were_made(scheduler: Scheduler) -> None:
    fill(scheduler, ["X_1", "X_2", "X_3"])
    fill(scheduler, ["C_1"], deps=["X_2", "X_3"])
    fill(scheduler, ["C_2"], deps=["X_1"])
    fill(scheduler, ["all"], deps=["C_2", "C_1"])
    nodes = scheduler.condensed_graph("all")["nodes"]
    assert [node["task_id"] for node in nodes] == ["all", "C_1", "C_2", "X_1", "X_2", "X_3"]


def test_an_expanded_group_that_is_gone_meanwhile_or_named_twice_is_no_mistake(scheduler: Scheduler) -> None:
    fill(scheduler, [f"Load_{number}" for number in range(5)])
    fill(scheduler, ["a"], deps=[f"Load_{number}" for number in range(5)])
    expand = ["group:DONE:Gone", "nonsense", "group:READY:Load", "group:READY:Load"]
    assert len(scheduler.condensed_graph("a", expand=expand)["nodes"]) == 6


def test_small_groups_of_many_families_are_put_together_when_there_are_too_many(scheduler: Scheduler) -> None:
    names = []
    for family in range(60):
        for status in ("DONE", "FAILED", "DISABLED", "UNKNOWN", "PENDING"):
            names += (both := [f"F{family}_{status}_{number}" for number in range(2)])
            fill(scheduler, both, status=status)
    fill(scheduler, ["all"], deps=names)
    graph = scheduler.condensed_graph("all", nodes=20)
    assert len(graph["nodes"]) <= 20
    assert sum(node["count"] for node in graph["nodes"]) == graph["looked_at"] == 601
    others = [node for node in graph["nodes"] if node["family"] is None]
    assert {node["node"] for node in others} == {f"others:{node['state']}" for node in others}
    assert {"DONE", "FAILED", "DISABLED", "UNKNOWN", "READY"} >= {node["state"] for node in others}
    assert all(node["more"]["task_id"] == node["example"] for node in others)


def test_of_a_large_set_no_more_is_read_than_can_be_shown() -> None:
    assert _shares({"1": 100_000}, MEMBERS) == {"1": LOOKED_AT}
    assert _shares({"1": 100_000, "2": 3, "3": 0}, MEMBERS) == {"1": LOOKED_AT, "2": 3}
    assert set(_shares({str(n): 700 for n in range(100)}, MEMBERS).values()) == {MEMBERS // 100}


def test_a_missing_dep_and_a_placeholder_are_shown_as_what_they_are(scheduler: Scheduler) -> None:
    fill(scheduler, ["a"], deps=["Never_1"])
    scheduler.add_task(worker="h", task_id="a", new_deps=["Lost_1"], assistant=True)  # which makes no placeholders
    nodes = {node["task_id"]: node for node in scheduler.condensed_graph("a")["nodes"]}
    assert (nodes["Lost_1"]["state"], nodes["Lost_1"]["status"]) == ("MISSING", None)
    assert (nodes["Never_1"]["state"], nodes["Never_1"]["status"]) == ("UNKNOWN", "UNKNOWN")
    assert {nodes["Lost_1"]["family"], nodes["Never_1"]["family"]} == {"Lost", "Never"}
    assert nodes["Lost_1"]["task"] is None


def test_who_waits_for_a_missing_dep_can_be_asked(scheduler: Scheduler) -> None:
    fill(scheduler, ["a", "b"])
    for task_id in ("a", "b"):
        scheduler.add_task(worker="h", task_id=task_id, deps=["Lost_1"], assistant=True)
    graph = scheduler.condensed_graph("Lost_1", "dependents")
    assert [node["task_id"] for node in graph["nodes"]] == ["Lost_1", "a", "b"]
    assert graph["nodes"][0]["state"] == "MISSING"


def test_of_a_task_that_nobody_knows_there_is_no_graph(scheduler: Scheduler) -> None:
    assert scheduler.condensed_graph("nobody") is None


def test_a_cycle_ends(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", family="T", deps=["b", "a"])
    scheduler.add_task(worker="w", task_id="b", family="T", deps=["c"])
    scheduler.add_task(worker="w", task_id="c", family="T", deps=["a"])
    for direction in ("deps", "dependents"):
        graph = scheduler.condensed_graph("a", direction)
        assert {node["task_id"] for node in graph["nodes"]} == {"a", "b", "c"}
        edges = {(edge["dependent"][-1], edge["dep"][-1]) for edge in graph["edges"]}
        assert edges == {("a", "a"), ("a", "b"), ("b", "c"), ("c", "a")}


def test_hidden_parameters_are_not_shown(scheduler: Scheduler) -> None:
    shown = {"params": {"day": "1", "key": "s3cret", "own": "pr1vate"}, "param_visibilities": {"key": 1, "own": 2}}
    scheduler.add_task(worker="w", task_id="dep", family="T", **shown)
    scheduler.add_task(worker="w", task_id="a", family="T", deps=["dep"], **shown)
    for graph in (scheduler.condensed_graph("a"), scheduler.condensed_graph("dep", "dependents")):
        assert [node["task"]["params"] for node in graph["nodes"]] == [{"day": "1"}, {"day": "1"}]
        assert graph["nodes"][0]["task"]["display_name"] == "T(day=1)"
        assert not {"s3cret", "pr1vate"} & set(json.dumps(graph).replace('"', " ").split())


def test_a_single_task_has_what_listings_show_of_it(scheduler: Scheduler) -> None:
    fill(scheduler, ["Bad_1"], status="FAILED", expl=json.dumps("Traceback\nValueError: no"))
    fill(scheduler, ["Free_1"], priority=7)
    fill(scheduler, ["a"], deps=["Bad_1", "Free_1"])
    lines = {node["task_id"]: node["task"] for node in scheduler.condensed_graph("a")["nodes"]}
    for task_id, line in lines.items():
        details = scheduler.task_details(task_id)
        assert line == {**{name: details[name] for name in line}, "error": line["error"]}
    assert [lines[task_id]["error"] for task_id in ("Bad_1", "Free_1")] == ["ValueError: no", None]


def test_a_line_of_tasks_is_followed_for_a_hundred_steps_and_says_where_to_go_on(scheduler: Scheduler) -> None:
    length = LEVELS + 30
    tasks = [{"task_id": f"T_{n}", "family": "T", "deps": [f"T_{n + 1}"]} for n in range(length)]
    scheduler.add_tasks("w", tasks)
    graph = scheduler.condensed_graph("T_0")
    assert (graph["complete"], graph["looked_at"]) == (False, LEVELS + 1)
    assert sum(node["further"] for node in graph["nodes"]) == 1
    last = graph["nodes"][-1]
    assert last["more"] == {"task_id": f"T_{LEVELS}", "direction": "deps", "nodes": 150}
    assert scheduler.condensed_graph(**last["more"])["complete"]


def test_what_was_not_looked_at_is_counted_and_the_small_set_beside_a_large_one_is_read(scheduler: Scheduler) -> None:
    large = [f"Load_{number}" for number in range(LOOKED_AT + 500)]
    fill(scheduler, ["Large_1"], deps=large)
    fill(scheduler, ["Small_1"], deps=["Bad_1", "Bad_2"])
    fill(scheduler, ["a"], deps=["Large_1", "Small_1"])
    graph = scheduler.condensed_graph("a", nodes=20)
    nodes = {node["task_id"] or node["family"]: node for node in graph["nodes"]}
    assert (graph["complete"], graph["looked_at"]) == (False, LOOKED_AT)
    assert sum(node["count"] for node in graph["nodes"]) == LOOKED_AT
    assert {"Bad_1", "Bad_2"} <= set(nodes)
    assert (nodes["Small_1"]["further"], nodes["Large_1"]["further"]) == (0, len(large) - nodes["Load"]["count"])
    assert nodes["Load"]["exact"] is False
    assert nodes["Large_1"]["more"] == {"task_id": "Large_1", "direction": "deps", "nodes": 20}
    assert scheduler.condensed_graph("a", nodes=20) == graph, "who asks again sees the same"


def test_a_count_is_exact_where_the_family_has_no_more_tasks_in_that_state(scheduler: Scheduler) -> None:
    fill(scheduler, [f"Load_{number}" for number in range(LOOKED_AT + 500)])
    fill(scheduler, [f"Bad_{number}" for number in range(30)], status="FAILED")
    fill(scheduler, ["Large_1"], deps=[f"Load_{number}" for number in range(LOOKED_AT + 500)])
    fill(scheduler, ["a"], deps=["Large_1", *(f"Bad_{number}" for number in range(30))])
    groups = {node["family"]: node for node in scheduler.condensed_graph("a", nodes=20)["nodes"] if not node["task_id"]}
    assert (groups["Bad"]["count"], groups["Bad"]["exact"]) == (30, True)
    assert groups["Load"]["exact"] is False


@pytest.mark.parametrize("wrong", [{"direction": "up"}, {"nodes": 19}, {"nodes": 151}, {"expand": "group:DONE:T"}])
def test_what_cannot_be_asked_is_refused(scheduler: Scheduler, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        scheduler.condensed_graph("a", **wrong)


def test_a_hundred_thousand_dependents_cost_no_more_than_a_thousand(own_redis: RedisProcess) -> None:
    counts = {}
    for size in (1_000, MANY):
        own_redis.client.flushall()
        scheduler = Scheduler(own_redis.url, "large", prune_interval_seconds=None)
        scheduler.add_task(worker="w", task_id="hub", family="Hub")
        with_dependents(own_redis, scheduler, "hub", size)
        graph = scheduler.condensed_graph("hub", "dependents")
        assert graph["looked_at"] == LOOKED_AT
        assert graph["nodes"][0]["further"] == size + 1 - LOOKED_AT
        assert graph["nodes"][0]["more"] is None, "asked for once more, it shows the same"
        assert sum(node["count"] for node in graph["nodes"]) == LOOKED_AT
        counts[size] = commands_of(scheduler, partial(scheduler.condensed_graph, "hub", "dependents"))
        scheduler.close()
    own_redis.client.flushall()
    assert counts[1_000] <= counts[MANY] <= counts[1_000] + 10 < 4 * LOOKED_AT


def fill(scheduler: Scheduler, names: Collection[str], **given: Any) -> None:
    """Add these tasks, all alike."""
    tasks = [{"task_id": name, "family": family_of(name), **given} for name in names]
    for start in range(0, len(tasks), 1000):
        scheduler.add_tasks("w", tasks[start : start + 1000])


def with_dependents(redis: RedisProcess, scheduler: Scheduler, task_id: str, size: int) -> None:
    """Write dependents of a task as the scripts do, as far as a graph is made of it: a hundred thousand at once."""
    prefix = scheduler.namespace.prefix
    n = redis.client.hget(f"{prefix}task:{task_id}", "n")
    script = """
        for number = ARGV[3], ARGV[4] do
          local id = 'T_' .. number
          redis.call('HSET', ARGV[1] .. 'ids', number, id)
          redis.call('HSET', ARGV[1] .. 'task:' .. id, 'n', number, 'status', 'PENDING', 'family', 'T', 'priority', 0,
            'created', 1, 'updated', 1)
          redis.call('SADD', ARGV[1] .. 'unmet:' .. number, ARGV[2])
          redis.call('SADD', ARGV[1] .. 'dependents:' .. ARGV[2], number)
        end
        """
    for start in range(1000, 1000 + size, 10_000):  # Redis answers nobody meanwhile
        redis.client.eval(script, 0, prefix, n, start, min(start + 10_000, 1000 + size) - 1)
