"""Which workers may run a ready task, and what keeps each of them from it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from broker_sched.contract.why_replies import Candidate
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.why_causes import Options
from broker_sched.scheduler.operations.why_walk import Node
from broker_sched.scheduler.records import CHUNK, pairs

MOST_WORKERS = 500  # workers that are looked at
SILENT_SECONDS, MISSED_PINGS = 5, 2  # as lib/workers/replaced_worker.lua has them
WORKER_FIELDS = ("w", "disabled", "assistant", "submission", "slots", "host", "last_get_work", "modules", "refuses")
STATES = ("free", "busy", "refuses", "filtered", "silent", "disabled", "gone", "submission")


def find_candidates(
    namespace: Namespace, node: Node, runner_set: str, options: Options, now: float
) -> Commands[tuple[list[Candidate], int]]:
    """Return the workers that may run the task, or might have, those first that could; and how many were not looked at.

    That are those that have signed up for it, and where none of them is free all assistants.
    """
    signed_up = (node.fields["workers"] or "").split(",")
    members, w_count = yield Read(
        [
            ("SSCAN", namespace.key("runner_set", runner_set, "workers"), "0", "COUNT", str(MOST_WORKERS)),
            ("SCARD", namespace.key("runner_set", runner_set, "workers")),
        ]
    )
    able = set(members[1])
    numbers = list(dict.fromkeys([*filter(None, signed_up), *sorted(able)]))[:MOST_WORKERS]
    (ids,) = yield Read([("HMGET", namespace.key("worker_ids"), "", *numbers)])
    ids = ids[1:]
    named = [worker for worker in ids if worker is not None]
    found = yield from _look_at(namespace, node, named, able, options, now)
    gone = [w for w, worker in zip(numbers, ids) if worker is None]
    found += yield from _find_gone(namespace, gone)
    if any(each["state"] == "free" for each in found):
        return _sorted(found), max(0, w_count - len(able))
    names, count = yield Read(
        [
            ("ZRANGE", namespace.key("workers"), str(-MOST_WORKERS), "-1"),  # who was heard of last
            ("ZCARD", namespace.key("workers")),
        ]
    )
    others = yield from _look_at(namespace, node, [each for each in names if each not in named], able, options, now)
    assistants = [each for each in others if each["assistant"]]
    return _sorted(found + assistants), max(0, count - MOST_WORKERS)


def _sorted(found: list[Candidate]) -> list[Candidate]:
    return sorted(found, key=lambda each: (STATES.index(each["state"]), -(each["last_contact"] or 0.0)))


def _find_gone(namespace: Namespace, numbers: Sequence[str]) -> Commands[list[Candidate]]:
    """Workers that have signed up for the task, and are gone by now: their names are kept for a while."""
    found: list[Candidate] = []
    entries = yield Read([("ZRANGEBYSCORE", namespace.key("gone_workers"), w, w) for w in numbers])
    for lines in entries:
        contact, _, name = lines[0].partition(" ") if lines else ("", "", "")
        found.append({"worker": name or None, "state": "gone", "last_contact": float(contact) if contact else None})
    return found


def _look_at(
    namespace: Namespace, node: Node, names: Sequence[str], able: set[str], options: Options, now: float
) -> Commands[list[Candidate]]:
    found: list[Candidate] = []
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        replies = yield Read([command for name in chunk for command in _commands(namespace, name)])
        restricted: list[tuple[Candidate, dict[str, str | None]]] = []
        for index, name in enumerate(chunk):
            fields = dict(zip(WORKER_FIELDS, replies[5 * index]))
            told = _candidate(name, fields, replies[5 * index + 1 : 5 * index + 5], now)
            if fields["w"] is None:
                continue
            if told["state"] in ("free", "busy") and (fields["refuses"] or fields["modules"]):
                restricted.append((told, fields))
            found.append(told)
        refusals = yield Read(
            [
                ("ZRANGE", namespace.key("refusals", str(told["worker"])), "0", "-1", "WITHSCORES")
                for told, _ in restricted
            ]
        )
        for (told, fields), labels in zip(restricted, refusals):
            _add_restrictions(told, fields, pairs(labels), node, able, now)
    return found


def _commands(namespace: Namespace, name: str) -> list[tuple[str, ...]]:
    return [
        ("HMGET", namespace.key("worker", name), *WORKER_FIELDS),
        ("ZSCORE", namespace.key("workers"), name),
        ("SCARD", namespace.key("running", name)),
        ("HLEN", namespace.key("worker_batches", name)),
        ("HMGET", namespace.key("worker_info", name), "ping_interval"),
    ]


def _candidate(name: str, fields: dict[str, str | None], replies: Sequence[Any], now: float) -> Candidate:
    contact, running, batches, (ping_interval,) = replies
    slots, asked = float(fields["slots"] or 1), fields["last_get_work"]
    told: Candidate = {
        "worker": name,
        "state": "free",
        "host": fields["host"],
        "last_contact": None if contact is None else float(contact),
        "last_asked": None if asked is None else float(asked),
        "slots": slots,
        "running": max(running, batches),  # a batch is one task, once it has begun
        "assistant": fields["assistant"] == "1",
    }
    silence = now - float(contact or now)
    if fields["submission"] == "1":
        told["state"] = "submission"
    elif fields["disabled"] == "1":
        told["state"] = "disabled"
    elif silence > max(SILENT_SECONDS, MISSED_PINGS * _seconds(ping_interval) + 1):
        told["state"] = "silent"
    elif told["running"] >= slots:
        told["state"] = "busy"
    return told


def _seconds(told: str | None) -> float:
    """The ping interval that a worker told, JSON of any kind."""
    value = json.loads(told or "null")
    return float(value) if isinstance(value, (int, float)) else 0.0


def _add_restrictions(
    told: Candidate, fields: dict[str, str | None], refusals: dict[str, str], node: Node, able: set[str], now: float
) -> None:
    """What the worker refuses, or its filter leaves out of others' tasks; as lib/hand_out/restrictions.lua has it."""
    module, family = (_plain(node.fields[name] or "") for name in ("module", "family"))
    for label, readable in ((module, node.fields["module"] or ""), (f"{module}:{family}", "")):
        if label in refusals and float(refusals[label]) > now:
            told["state"], told["until"] = "refuses", float(refusals[label])
            told["refuses"] = readable or f"{node.fields['module'] or ''}:{node.fields['family'] or ''}"
            return
    patterns = json.loads(fields["modules"] or "[]")
    if patterns and fields["w"] not in able and not any(_fits(node.fields["module"] or "", each) for each in patterns):
        told["state"], told["refuses"] = "filtered", node.fields["module"] or ""


def _plain(text: str) -> str:
    """A module or family as it stands in a label, see lib/hand_out/labels.lua."""
    return re.sub("[%:!|]", lambda match: f"%{ord(match[0]):02X}", text)


def _fits(module: str, tokens: Sequence[str]) -> bool:
    """Whether a module fits a pattern of a worker's filter, as operations/refusals.py has made it."""
    sets = (re.sub("%(.)", r"\\\1", token) if len(token) > 2 else re.escape(token) for token in tokens)
    pattern = "".join(ANY.get(token, made) for token, made in zip(tokens, sets))
    return re.fullmatch(pattern, module, re.DOTALL) is not None


ANY = {"*": ".*", "?": "."}
