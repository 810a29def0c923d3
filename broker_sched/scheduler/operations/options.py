"""The scheduler's options: which there are, what they are, who set them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from broker_sched.config import SchedulerConfig, described, from_hash, parse_option, to_text
from broker_sched.contract import replies as replies
from broker_sched.errors import ConfigurationError, InvalidArgument
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.records import pairs

DEFAULTS: dict[str, float | int | bool] = asdict(SchedulerConfig())


def option_list(namespace: Namespace) -> Commands[list[replies.Option]]:
    """Return all options of the namespace, by name, each with who set it. One read."""
    return (yield from _read_options(namespace, DEFAULTS))


def update_options(
    namespace: Namespace, *, options: Mapping[str, Any], by: str | None
) -> Commands[list[replies.Option]]:
    """Set these options. One script, and a read."""
    words: list[str] = []
    for name, value in options.items():
        try:
            parsed = parse_option(name, DEFAULTS.get(name) if value is None else value)
        except ConfigurationError as error:
            raise InvalidArgument(f"options.{name}", str(error)) from None
        words += [name, to_text(parsed), "0" if value is None else "1"]
    if words:
        yield Call("update_options", by=by or "", options=words)
    return (yield from _read_options(namespace, options))


def _read_options(namespace: Namespace, names: Iterable[str]) -> Commands[list[replies.Option]]:
    (stored,) = yield Read([("HGETALL", namespace.key("config"))])
    fields = pairs(stored)
    values = asdict(from_hash(fields))
    found: list[replies.Option] = []
    for name in names:
        told = json.loads(fields.get(f"set:{name}", "{}"))
        meaning, takes = described(name)
        found.append(
            {
                "name": name,
                "value": values[name],
                "default": DEFAULTS[name],
                "set_at": told.get("at"),
                "set_by": told.get("by"),
                "meaning": meaning,
                "takes": takes,
            }
        )
    return found
