"""A namespace as commands see it: its keys, and nothing that does I/O."""

from __future__ import annotations

import re
from typing import NamedTuple

from broker_sched.errors import ConfigurationError

SCHEMA_VERSION = "5"  # of what stands in Redis: see scheduler/keys.py
DELETING = "deleting"  # stands in its place while somebody deletes the namespace, so that nobody uses it
_NAMES = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


def prefix_of(namespace: str) -> str:
    """Return how every key of a namespace begins, `bsched:{<namespace>}:`.

    Raises ConfigurationError for a name with other characters than letters, digits, `_`, `.` and `-`.
    """
    if not isinstance(namespace, str) or not _NAMES.fullmatch(namespace):
        raise ConfigurationError(
            f"Namespace {namespace!r} can't be used: 1 to 64 letters, digits, '_', '.' and '-' are allowed."
        )
    return f"bsched:{{{namespace}}}:"


class Namespace(NamedTuple):
    """The state of one scheduler in Redis: its name, and what all its keys begin with."""

    name: str
    prefix: str  # bsched:{<namespace>}:

    @classmethod
    def named(cls, name: str) -> Namespace:
        """The namespace of this name. Raises ConfigurationError when there can be none."""
        return cls(name, prefix_of(name))

    def key(self, *parts: str) -> str:
        """Return the name of a key: `namespace.key("task", task_id)` gives `bsched:{default}:task:<task_id>`."""
        return self.prefix + ":".join(parts)
