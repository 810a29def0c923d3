"""Which workers may run a ready task, and what keeps each of them from it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from broker_sched.contract.why_replies import Candidate
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.why_walk import Node
from broker_sched.scheduler.paging import read_paced
from broker_sched.scheduler.records import pairs
from broker_sched.scheduler.worker_standings import WorkerStanding, plain_label, read_standings

MOST_WORKERS = 300  # workers that are looked at
STATES = ("free", "busy", "refuses", "filtered", "silent", "disabled", "gone", "submission")


class Candidates(NamedTuple):
    """Workers that may run a task, or might have, those first that could; and how many more were not looked at."""

    workers: list[Candidate]
    others: int

    def in_state(self, *states: str) -> list[Candidate]:
        """Return the workers that are in one of these states."""
        return [each for each in self.workers if each["state"] in states]


class WorkerRow(NamedTuple):
    """What was read of a worker: how it stands, and what it refuses, or leaves out by a filter (modules)."""

    standing: WorkerStanding
    asked: str | None
    modules: str | None
    batches: int
    refusals: dict[str, str]  # label → until when
    reasons: dict[str, str]  # label → why


class SeenWorkers:
    """The workers that were read so far: each is, once, however many tasks it may run. now: s since the epoch."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._rows: dict[str, WorkerRow | None] = {}

    def read(self, namespace: Namespace, names: Sequence[str]) -> Commands[list[WorkerRow]]:
        """Return those of these workers that are known, in this order."""
        fresh = [each for each in names if each not in self._rows]
        self._rows.update(dict.fromkeys(fresh))
        standings = yield from read_standings(namespace, fresh, self.now)
        replies = yield from read_paced([each for one in standings for each in _commands(namespace, one.worker)])
        for index, standing in enumerate(standings):
            (asked, modules), batches, refusals, reasons = replies[4 * index : 4 * index + 4]
            self._rows[standing.worker] = WorkerRow(standing, asked, modules, batches, pairs(refusals), pairs(reasons))
        return [row for each in names if (row := self._rows[each]) is not None]


def find_signed_up(namespace: Namespace, node: Node, runner_set: str, seen: SeenWorkers) -> Commands[Candidates]:
    """Return the workers that have signed up for the task, those too that may not run it any more."""
    signed_up = (node.fields["workers"] or "").split(",")
    (_, members), count = yield Read(
        [
            ("SSCAN", namespace.key("runner_set", runner_set, "workers"), "0", "COUNT", str(MOST_WORKERS)),
            ("SCARD", namespace.key("runner_set", runner_set, "workers")),
        ]
    )
    numbers = list(dict.fromkeys([*filter(None, signed_up), *sorted(members)]))[:MOST_WORKERS]
    (ids,) = yield Read([("HMGET", namespace.key("worker_ids"), "", *numbers)])
    ids = ids[1:]
    found = yield from _look_at(namespace, node, [each for each in ids if each is not None], True, seen)
    found += yield from _find_gone(namespace, [w for w, worker in zip(numbers, ids) if worker is None])
    return Candidates(_sorted(found), max(0, count - len(members)))


def add_assistants(namespace: Namespace, node: Node, signed_up: Candidates, seen: SeenWorkers) -> Commands[Candidates]:
    """Return these and all assistants, who may run what others have signed up for."""
    names, count = yield Read(
        [
            ("ZRANGE", namespace.key("workers"), str(-MOST_WORKERS), "-1"),  # who was heard of last
            ("ZCARD", namespace.key("workers")),
        ]
    )
    known = {each["worker"] for each in signed_up.workers}
    others = yield from _look_at(namespace, node, [each for each in names if each not in known], False, seen)
    assistants = [each for each in others if each["assistant"]]
    return Candidates(_sorted(signed_up.workers + assistants), signed_up.others + max(0, count - MOST_WORKERS))


def _sorted(found: list[Candidate]) -> list[Candidate]:
    return sorted(found, key=lambda each: (STATES.index(each["state"]), -(each["last_contact"] or 0.0)))


def _find_gone(namespace: Namespace, numbers: Sequence[str]) -> Commands[list[Candidate]]:
    """Workers that have signed up for the task, and are gone by now: their names are kept for a while."""
    found: list[Candidate] = []
    entries = yield from read_paced([("ZRANGEBYSCORE", namespace.key("gone_workers"), w, w) for w in numbers])
    for lines in entries:
        contact, _, name = lines[0].partition(" ") if lines else ("", "", "")
        found.append({"worker": name or None, "state": "gone", "last_contact": float(contact) if contact else None})
    return found


def _look_at(
    namespace: Namespace, node: Node, names: Sequence[str], have_signed_up: bool, seen: SeenWorkers
) -> Commands[list[Candidate]]:
    found: list[Candidate] = []
    for row in (yield from seen.read(namespace, names)):
        told: Candidate = {
            "worker": row.standing.worker,
            "state": row.standing.state,
            "host": row.standing.host,
            "last_contact": row.standing.last_contact,
            "last_asked": None if row.asked is None else float(row.asked),
            "slots": row.standing.slots,
            "running": max(row.standing.running, row.batches),  # a batch is one task, once it has begun
            "assistant": row.standing.assistant,
        }
        if row.standing.state == "active":
            told["state"] = "busy" if told["running"] >= told["slots"] else "free"
            _add_restrictions(told, row, node, have_signed_up, seen.now)
        found.append(told)
    return found


def _commands(namespace: Namespace, worker: str) -> list[tuple[str, ...]]:
    return [
        ("HMGET", namespace.key("worker", worker), "last_get_work", "modules"),
        ("HLEN", namespace.key("worker_batches", worker)),
        ("ZRANGE", namespace.key("refusals", worker), "0", "-1", "WITHSCORES"),
        ("HGETALL", namespace.key("refusal_reasons", worker)),
    ]


def _add_restrictions(told: Candidate, row: WorkerRow, node: Node, has_signed_up: bool, now: float) -> None:
    """What the worker refuses, or its filter leaves out of others' tasks; as lib/hand_out/restrictions.lua has it."""
    module, family = node.fields["module"] or "", node.fields["family"] or ""
    for label in (_plain(module), f"{_plain(module)}:{_plain(family)}"):
        if float(row.refusals.get(label, 0)) > now:
            told["state"], told["refuses"], told["until"] = "refuses", plain_label(label), float(row.refusals[label])
            told["reason"] = row.reasons.get(label)
            return
    if row.modules and not has_signed_up and not any(_fits(module, each) for each in json.loads(row.modules)):
        told["state"], told["refuses"] = "filtered", module


def _plain(text: str) -> str:
    """A module or family as it stands in a label, see lib/hand_out/labels.lua."""
    return re.sub("[%:!|]", lambda match: f"%{ord(match[0]):02X}", text)


def _fits(module: str, tokens: Sequence[str]) -> bool:
    """Whether a module fits a pattern of a worker's filter, as operations/refusals.py has made it."""
    sets = (re.sub("%(.)", r"\\\1", token) if len(token) > 2 else re.escape(token) for token in tokens)
    pattern = "".join(ANY.get(token, made) for token, made in zip(tokens, sets))
    return re.fullmatch(pattern, module, re.DOTALL) is not None


ANY = {"*": ".*", "?": "."}
