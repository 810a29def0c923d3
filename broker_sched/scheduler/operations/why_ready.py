"""Why a ready task is not handed out: pauses, limits, workers, their slots, what is in use, and better tasks."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from broker_sched.contract.why_replies import Candidate, Cause, Holder, WhyCode
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.why_causes import Group, Options
from broker_sched.scheduler.operations.why_walk import Node
from broker_sched.scheduler.operations.why_workers import Candidates, SeenWorkers, add_assistants, find_signed_up
from broker_sched.scheduler.paging import read_paced
from broker_sched.scheduler.records import ids_of
from broker_sched.scheduler.task_lines import read_whole_error

MOST_RUNNING = 300  # running tasks that are looked at for who holds a resource
MOST_HOLDERS, MOST_TOLD = 20, 50  # of running tasks, of workers
MOST_REFUSAL = 1000  # characters
MOST_TRIED = 5  # workers for which is looked what they would be given
READY_QUEUE = re.compile(r"(\d+)(?:@([^|]*))?\|(.*)", re.DOTALL)
CODE_OF_HAND_OUT: dict[str, WhyCode] = {  # how it is says look_at_hand_out.lua; what tells most comes first
    "given": "ready",
    "held": "starvation_guard",
    "better": "priority",
    "postponed": "postponed",
    "none": "ready",  # that has changed while it was looked at
}


class HandOut(NamedTuple):
    """What a worker would be given if it asked, as look_at_hand_out.lua says."""

    how: str
    first: str  # task id, or ''
    worker: Candidate


def describe_ready(namespace: Namespace, group: Group, options: Options, seen: SeenWorkers) -> Commands[Cause]:
    """Return why the ready tasks of a group are not handed out, without the sentence; in the order in which get_work
    would find out. Reads at most MOST_RUNNING tasks."""
    node = group[0].node
    family = node.fields["family"] or ""
    cause: Cause = {"code": "ready", "task_id": node.task_id, "others": len(group) - 1, "family": family}
    cause["since"] = node.number("updated")
    if options["paused"] == "1":
        cause["code"] = "paused"
        return cause
    paused_families: dict[str, float] = json.loads(options["paused_families"] or "{}")
    if family in paused_families:
        cause["code"], cause["since"] = "family_paused", paused_families[family]
        return cause
    match = READY_QUEUE.fullmatch(node.fields["ready"] or "")
    runner_set, needs = (match[1], match[3]) if match else ("0", "")
    if runner_set == "0":
        cause["code"] = "external"
        return cause
    amounts: dict[str, float] = json.loads(needs) if needs else {}
    lacking = yield from _find_lacking(namespace, amounts)
    if lacking is not None and lacking["code"] == "over_limit":
        cause.update(lacking)
        return cause
    if lacking is not None:
        yield from _describe_lacking(namespace, cause, node, runner_set, lacking, seen)
    else:
        yield from _describe_contention(namespace, cause, node, runner_set, seen)
    return cause


def _describe_lacking(
    namespace: Namespace, cause: Cause, node: Node, runner_set: str, lacking: Cause, seen: SeenWorkers
) -> Commands[None]:
    """A resource is in use; nobody alive may run it, all the same, is the more important thing to know."""
    candidates = yield from find_signed_up(namespace, node, runner_set, seen)
    if not candidates.in_state("free", "busy"):
        candidates = yield from add_assistants(namespace, node, candidates, seen)
    if candidates.in_state("free", "busy"):
        cause.update(lacking)
        yield from _add_holders(namespace, cause)
    else:
        yield from _add_unusable(namespace, cause, node, candidates)


def _describe_contention(
    namespace: Namespace, cause: Cause, node: Node, runner_set: str, seen: SeenWorkers
) -> Commands[None]:
    """All that it wants is free: look at those who may run it, first at those who have signed up for it."""
    candidates = yield from find_signed_up(namespace, node, runner_set, seen)
    signed_up = candidates.in_state("free")[:MOST_TRIED]
    told = yield from _look_what_they_get(namespace, node, signed_up)
    if not any(each.how == "given" for each in told):
        candidates = yield from add_assistants(namespace, node, candidates, seen)
        known = {each["worker"] for each in signed_up}
        free = [each for each in candidates.in_state("free") if each["worker"] not in known]
        told += yield from _look_what_they_get(namespace, node, free[:MOST_TRIED])
    if told:
        yield from _add_what_goes_first(namespace, cause, node, told)
        return
    busy = candidates.in_state("busy")
    if not busy:
        yield from _add_unusable(namespace, cause, node, candidates)
        return
    cause["code"] = "busy"
    cause["workers"], cause["other_workers"] = busy[:MOST_TOLD], candidates.others + len(busy[MOST_TOLD:])
    yield from _add_ahead(namespace, cause, node)


def _find_lacking(namespace: Namespace, amounts: dict[str, float]) -> Commands[Cause | None]:
    """The resource that keeps the task waiting; one of which it wants more than the limit, rather than others."""
    if not amounts:
        return None
    names = sorted(amounts)
    limits, used = yield Read([("HMGET", namespace.key("resources"), *names), ("HMGET", namespace.key("used"), *names)])
    found: list[Cause] = []
    for name, limit_text, used_text in zip(names, limits, used):
        limit, in_use = float(limit_text or 1), exact_sum(used_text or "0")
        wanted = Fraction(amounts[name])
        if exceeds(in_use + wanted, limit):
            told: Cause = {"resource": name, "wanted": amounts[name], "limit": limit, "used": float(in_use)}
            told["code"] = "over_limit" if exceeds(wanted, limit) else "resource"
            found.append(told)
    return min(found, key=lambda each: each["code"] != "over_limit", default=None)


def exact_sum(text: str) -> Fraction:
    """Return the amount in use, which is several numbers where one can't hold the sum (lib/tasks/resources.lua)."""
    return sum((Fraction(float(part)) for part in text.split()), Fraction())


def exceeds(total: Fraction, limit: float) -> bool:
    """Whether a sum is above the limit, by more than decimal fractions are rounded by; as sums.exceeds of Lua says."""
    excess = total - Fraction(limit)
    return excess > 0 and (excess.denominator == 1 or excess > min(Fraction(limit) / 2**51, Fraction(1, 2**10)))


def _add_holders(namespace: Namespace, cause: Cause) -> Commands[None]:
    """Add which running tasks hold the resource."""
    ranks, count = yield Read(
        [("ZRANGE", namespace.key("running"), "0", str(MOST_RUNNING - 1)), ("ZCARD", namespace.key("running"))]
    )
    known = yield from ids_of(namespace, [rank.rpartition(":")[2] for rank in ranks])
    fields = yield from read_paced(
        [
            ("HMGET", namespace.key("task", task_id), "worker_running", "time_running", "held", "resources", "status")
            for task_id in known.values()
        ]
    )
    holders: list[Holder] = []
    for task_id, (worker, since, held, needs, status) in zip(known.values(), fields):
        amount = _amounts(held or needs).get(cause["resource"], 0)
        if amount and status == "RUNNING":
            started = None if since is None else float(since)
            holders.append({"task_id": task_id, "worker": worker, "since": started, "amount": amount})
    holders.sort(key=lambda each: (-each["amount"], each["since"] or 0.0))
    cause["holders"], cause["other_holders"] = holders[:MOST_HOLDERS], len(holders[MOST_HOLDERS:])
    if count > MOST_RUNNING and not holders:
        cause["other_holders"] = 1


def _amounts(text: str | None) -> dict[str, Any]:
    return {} if text in (None, "", "1") else dict(json.loads(text or "{}"))


def _add_unusable(namespace: Namespace, cause: Cause, node: Node, candidates: Candidates) -> Commands[None]:
    """Nobody alive may run it: add who might have, and what the last one said that could not load it."""
    cause["code"] = "refused" if candidates.in_state("refuses", "filtered") else "no_worker"
    cause["workers"] = candidates.workers[:MOST_TOLD]
    cause["other_workers"] = candidates.others + len(candidates.workers[MOST_TOLD:])
    cause["refusal"] = None
    if node.fields["refusals"]:
        told = yield from read_whole_error(namespace, node.task_id)
        cause["refusal"] = (told or "")[:MOST_REFUSAL] or None


def _add_ahead(namespace: Namespace, cause: Cause, node: Node) -> Commands[None]:
    (place,) = yield Read(
        [("ZRANK", namespace.key("ready", node.fields["ready"] or ""), node.fields["rank"] or node.n)]
    )
    cause["ahead"] = place or 0


def _look_what_they_get(namespace: Namespace, node: Node, free: Sequence[Candidate]) -> Commands[list[HandOut]]:
    """Look what workers would be given now. One script for each, until one would be given the task."""
    told: list[HandOut] = []
    for worker in free:
        is_assistant = "1" if worker["assistant"] else "0"
        how, first = yield Call(
            "look_at_hand_out", worker=worker["worker"] or "", assistant=is_assistant, task_id=node.task_id
        )
        told.append(HandOut(how, first, worker))
        if how == "given":
            break
    return told


def _add_what_goes_first(namespace: Namespace, cause: Cause, node: Node, told: Sequence[HandOut]) -> Commands[None]:
    best = min(told, key=lambda each: tuple(CODE_OF_HAND_OUT).index(each.how))
    cause["code"] = CODE_OF_HAND_OUT[best.how]
    if best.how != "none":
        cause["worker"], cause["host"] = best.worker["worker"], best.worker["host"]
        cause["last_contact"], cause["last_asked"] = best.worker["last_contact"], best.worker["last_asked"]
    if cause["code"] != "ready":
        cause["first"] = best.first or None
        yield from _add_ahead(namespace, cause, node)
    if cause["code"] == "priority":
        names = (node.task_id, best.first)
        kinds = yield Read([("HMGET", namespace.key("task", each), "batchable", "family") for each in names])
        cause["may_be_batched"] = kinds[0][0] == "1" and list(kinds[0]) == list(kinds[1])
    if cause["code"] == "postponed":
        cause["until"] = node.number("postponed")
