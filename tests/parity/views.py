"""Random calls of the methods that only look, and prune first."""

from __future__ import annotations

import random
from typing import Any

from tests.parity.pair import STATUSES, Step
from tests.parity.world import World

UPSTREAM = ("UPSTREAM_RUNNING", "UPSTREAM_MISSING_INPUT", "UPSTREAM_FAILED", "UPSTREAM_DISABLED")
SEARCHES = ("load", "load", "SCORE", "day=mo", "REPORT", "date n=1", "äSS", "äß", "", " ", "x", "nothing like it", "k1")


def draw_view(rng: random.Random, world: World, worker: str, task_id: str) -> Step:
    """One view with random filters. worker, task_id: what those that need one look at."""
    views: list[tuple[float, Step]] = [
        (2, ("graph", {})),
        (2, ("dep_graph", _graph_of(rng, task_id))),
        (2.5, ("inverse_dep_graph", _graph_of(rng, rng.choice([task_id, *world.task_ids[:6]])))),
        (7, ("task_list", _filters(rng))),
        (1, ("task_search", {"task_str": rng.choice(("Load", "load", "_1", "batch", "", task_id))})),
        (2, ("worker_list", rng.choice(({}, {}, {"include_running": False})))),
        (2, ("resource_list", {})),
        (5, ("count_pending", {"worker": rng.choice((worker, worker, worker, "stranger"))})),
        (1.5, ("fetch_error", {"task_id": task_id})),
        (1, ("get_task_status_message", {"task_id": task_id})),
        (1, ("get_task_progress_percentage", {"task_id": task_id})),
        (2, ("get_running_task_resources", {"task_id": task_id})),
        (0.3, ("is_paused", {})),
        (0.3, ("is_pause_enabled", {})),
        (0.2, ("has_task_history", {})),
    ]
    return rng.choices([view for _, view in views], [weight for weight, _ in views])[0]


def _graph_of(rng: random.Random, task_id: str) -> dict[str, Any]:
    return {"task_id": task_id} | ({} if rng.random() < 0.4 else {"include_done": rng.random() < 0.25})


def _filters(rng: random.Random) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    if rng.random() < 0.6:
        filters["status"] = rng.choice(("PENDING", "PENDING", *STATUSES))
    if rng.random() < 0.4:
        filters["upstream_status"] = rng.choice(UPSTREAM)
    if rng.random() < 0.35:
        filters["search"] = rng.choice(SEARCHES)
    if rng.random() < 0.2:
        filters["limit"] = False
    if rng.random() < 0.2:
        filters["max_shown_tasks"] = rng.choice((1, 2, 4, 0))
    return filters
