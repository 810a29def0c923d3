"""What a random sequence is about: its options, workers, and a small graph of tasks."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

PRIORITIES = (-2, 0, 0, 0, 0.5, 1, 5, 5, 10)
RESOURCE_NAMES = ("db", "gpu", "io")
NEEDS: tuple[dict[str, float] | None, ...] = (
    None, {}, {}, {"db": 1}, {"db": 1}, {"db": 2}, {"gpu": 1}, {"db": 0.5}, {"db": 0.5, "gpu": 1}, {"io": 0},
    {"db": 1, "io": 1}, {"gpu": 0, "db": 1},
)  # fmt: skip
CONTESTED: tuple[dict[str, float] | None, ...] = ({"db": 1}, {"db": 1}, {"db": 2}, {"db": 0.5}, {"db": 1, "gpu": 1}, {})
# Tasks nobody adds: they are only named as deps. Their ids show what is made of an id without a family.
UNSEEN = ("Ghost_1", "ghost", "Ghost(x=1)")


class Family(NamedTuple):
    """A family of tasks: its parameters are always the same ones, as with real clients."""

    name: str
    parameters: dict[str, tuple[Any, ...]]  # name → values to choose from
    visibilities: dict[str, int] | None
    batchable: bool


FAMILIES = (
    Family("Load", {"date": tuple(f"2024-01-0{day}" for day in range(1, 9)), "n": ("1", "1", "1", "2")}, None, True),
    Family("Score", {"day": ("Mo", "Tu", "We"), "key": ("k1", "k2"), "secret": ("s",)}, {"key": 1, "secret": 2}, True),
    Family("report", {"name": ("x", "Äß", 'q"/\\', 3, None, True, 1.5, 2.0)}, {"name": 0}, False),
    Family("Top", {}, {}, False),
)


class Task(NamedTuple):
    """A task as a well-behaved client would add it."""

    task_id: str
    family: Family
    params: dict[str, Any]
    deps: tuple[str, ...]  # earlier tasks only, so that there is no cycle
    resources: dict[str, float] | None
    priority: float


class World(NamedTuple):
    """Everything a sequence chooses from."""

    options: dict[str, Any]
    workers: tuple[str, ...]
    assistants: frozenset[str]
    tasks: tuple[Task, ...]

    @property
    def task_ids(self) -> list[str]:
        return [task.task_id for task in self.tasks]


def draw_world(rng: random.Random, theme: str) -> World:
    """Draw a world: 4 to 8 workers, 12 to 25 tasks.

    theme: `batches` has mostly tasks that can be batched with each other, `guard` tasks that compete for
    resources, `failures` few tasks that may fail often; any other is a mixture.
    """
    workers = tuple(f"w{number}" for number in range(4 if theme == "batches" else rng.randint(4, 8)))
    share = rng.choice((0.0, 0.1, 0.4))
    assistants = frozenset(worker for worker in workers if rng.random() < share)
    options = draw_options(rng)
    if theme == "batches":
        options |= {"retry_delay": rng.choice((0, 5, 60)), "worker_disconnect_delay": rng.choice((60, 300))}
    if theme == "guard":
        options |= {"worker_disconnect_delay": rng.choice((10, 60)), "retry_count": 999999999}
    if theme == "failures":
        options |= {"retry_count": 2, "retry_delay": rng.choice((0, 0, 5)), "disable_window": rng.choice((5, 3600))}
    return World(options, workers, assistants, tuple(_draw_tasks(rng, theme)))


def draw_options(rng: random.Random) -> dict[str, Any]:
    """Options with small values, so that a few steps reach every edge."""
    options: dict[str, Any] = {
        "retry_delay": rng.choice((0, 5, 60, 900, -1)),
        "remove_delay": rng.choice((0, 5, 100, 600)),
        "worker_disconnect_delay": rng.choice((10, 60, 60, 300, 1000000)),
        "disable_window": rng.choice((5, 60, 3600)),
        "retry_count": rng.choice((1, 2, 2, 3, 999999999)),
        "disable_hard_timeout": rng.choice((5, 60, 999999999)),
        "disable_persist": rng.choice((5, 60, 86400)),
        "stable_done_cooldown_secs": rng.choice((0, 1, 10, 60)),
    }
    unusual = {
        "prune_on_get_work": (0.2, (True,)),
        "pause_enabled": (0.1, (False,)),
        "send_messages": (0.15, (False,)),
        "max_graph_nodes": (0.2, (1, 2, 3, 5)),
        "max_shown_tasks": (0.2, (1, 3, 5)),
    }
    options |= {name: rng.choice(values) for name, (share, values) in unusual.items() if rng.random() < share}
    return options


def _draw_tasks(rng: random.Random, theme: str) -> list[Task]:
    alone = theme in ("batches", "guard")  # most tasks have no deps, so that many are ready at once
    families = rng.sample(FAMILIES[:2], rng.randint(1, 2)) if alone else rng.sample(FAMILIES, rng.randint(2, 4))
    choices = CONTESTED if theme == "guard" else NEEDS
    needs = {family.name: rng.choice(choices) for family in families}
    same_needs = rng.random() < {"batches": 0.85, "guard": 0.1}.get(theme, 0.6)  # only then batches form
    same_priority = rng.random() < 0.3
    tasks: list[Task] = []
    for number in range(rng.randint(5, 8) if theme == "failures" else rng.randint(12, 25)):
        family = rng.choice(families)
        earlier = [task.task_id for task in tasks] + list(UNSEEN[: rng.random() < 0.2])
        wanted = rng.choice((0, 0, 0, 0, 0, 0, 1) if alone else (0, 0, 0, 1, 1, 2, 3))
        deps = rng.sample(earlier, min(len(earlier), wanted))
        tasks.append(
            Task(
                task_id=_task_id(family, number, rng),
                family=family,
                params={name: rng.choice(values) for name, values in family.parameters.items()},
                deps=tuple(deps),
                resources=needs[family.name] if same_needs else rng.choice(choices),
                priority=0 if same_priority else rng.choice(PRIORITIES),
            )
        )
    return tasks


def _task_id(family: Family, number: int, rng: random.Random) -> str:
    """Ids sort differently from their order of creation, and some hold unusual characters."""
    tail = rng.choice(("", "", "", ' a/"ü', "|{x}:%s", "*[a]?"))
    return f"{family.name}_{rng.randrange(16):x}{number}{tail}"
