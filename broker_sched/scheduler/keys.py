"""Every key in Redis: its pattern, type, content and lifetime. docs/keys.md is made from this table.

All keys of a namespace start `bsched:{<namespace>}:`; the braces put them into one
Redis Cluster slot. <n> is a task's number (see `ids`), <class> a number of the
`classes` or `claims` counter, <w> a worker's number.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from broker_sched.errors import ConfigurationError

SCHEMA_VERSION = "1"
_NAMESPACE = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


def prefix_of(namespace: str) -> str:
    """`bsched:{<namespace>}:`. Raises ConfigurationError for a name with other than letters, digits, _ . -"""
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise ConfigurationError(
            f"Namespace {namespace!r} can't be used: 1 to 64 letters, digits, '_', '.' and '-' are allowed."
        )
    return f"bsched:{{{namespace}}}:"


class Key(NamedTuple):
    """One pattern of keys, after the prefix."""

    pattern: str
    type: str
    content: str
    lifetime: str
