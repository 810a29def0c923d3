"""A namespace as the methods' steps see it: its keys, and nothing that does I/O."""

from __future__ import annotations

from typing import NamedTuple

from broker_sched.scheduler.keys import prefix_of


class Space(NamedTuple):
    """One namespace."""

    namespace: str
    prefix: str  # bsched:{<namespace>}:

    @classmethod
    def named(cls, namespace: str) -> Space:
        """Raises ConfigurationError when the name can't be used."""
        return cls(namespace, prefix_of(namespace))

    def key(self, *parts: str) -> str:
        """`space.key("task", task_id)` → bsched:{default}:task:<task_id>"""
        return self.prefix + ":".join(parts)
