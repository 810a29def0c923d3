"""What counts as the same answer. Every rule that forgives a difference says why.

Rules of order: a JSON object has none, so dicts compare as such.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

Path = tuple[Any, ...]


def normalise(method: str, reply: Any, labels: Mapping[str, str]) -> Any:
    """Bring a reply into a form in which equal answers are equal. labels: message id → symbolic name."""
    reply = json.loads(json.dumps(reply))  # what a client would see; and it must be JSON at all
    if method == "get_work":
        reply.pop("attempt", None)  # ours alone: Luigi's clients look up the fields they know
    if method == "fetch_error" and not isinstance(reply["error"], str | None):
        # Ours keeps an explanation as text: Luigi's page reads either as JSON.
        reply["error"] = json.dumps(reply["error"], separators=(",", ":"))
    if method == "worker_list":
        reply = _workers_by_name(reply)
    if method == "resource_list":
        # The reference lists limits in the order they were first set, which nobody relies on.
        reply = sorted(reply, key=lambda resource: resource["name"])
    return _normalise(reply, labels)


def _workers_by_name(workers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # Newest first is the contract; workers started at one moment come in a dict's order in the reference.
    groups = itertools.groupby(workers, key=lambda worker: worker["started"])
    return [worker for _, group in groups for worker in sorted(group, key=lambda worker: worker["name"])]


def _normalise(value: Any, labels: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {labels.get(key, key): _field(key, _normalise(item, labels), value) for key, item in value.items()}
    if isinstance(value, list):
        return [_normalise(item, labels) for item in value]
    if isinstance(value, str):
        return labels.get(value, value)  # message ids are random on both sides
    return value


def _field(key: str, value: Any, owner: dict[str, Any]) -> Any:
    if key == "deps" and "status" in owner and isinstance(value, list):
        return sorted(value)  # a set in the reference
    if key == "running_tasks" and isinstance(value, list):
        # Hash order or the order of becoming RUNNING there: clients only show them.
        return sorted(value, key=lambda running: running["task_id"])
    if key == "num_total":
        return float(value)  # update_resource takes true for a whole number; the reference keeps showing it as true
    if key == "start_time" and isinstance(value, float):
        return round(value, 3)  # creation times are spread by microseconds, see reference.py
    return value


def forgive(method: str, expected: Any, actual: Any) -> Any:
    """The actual reply; where ours explains that a worker was missed, and Luigi does not, with Luigi's explanation."""
    is_ours = method == "fetch_error" and str(actual.get("error")).startswith('"Worker ')
    return {**actual, "error": expected.get("error")} if is_ours else actual


def differences(expected: Any, actual: Any, path: Path = ()) -> list[tuple[Path, Any, Any]]:
    """Every place where two normalised values differ. True is not 1, but 1 is 1.0, as in JSON."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        keys = sorted({*expected, *actual})
        pairs = [(key, expected.get(key, ABSENT), actual.get(key, ABSENT)) for key in keys]
        return [found for key, one, two in pairs for found in differences(one, two, (*path, key))]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        found = [differences(one, two, (*path, i)) for i, (one, two) in enumerate(zip(expected, actual, strict=True))]
        return list(itertools.chain.from_iterable(found))
    same_kind = isinstance(expected, bool) == isinstance(actual, bool)
    return [] if same_kind and expected == actual else [(path, expected, actual)]


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


def describe(expected: Any, actual: Any, limit: int = 20) -> str:
    """The differences as text, one a line: where, what the reference says, what ours says."""
    found = differences(expected, actual)
    lines = []
    for path, one, two in found[:limit]:
        place = "".join(f"[{part!r}]" for part in path) or "the whole reply"
        lines.append(f"  {place}\n    reference: {one!r}\n    ours:      {two!r}")
    if len(found) > limit:
        lines.append(f"  … and {len(found) - limit} more")
    return "\n".join(lines)
