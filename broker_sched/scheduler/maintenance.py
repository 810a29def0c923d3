"""Reaches a namespace that is perhaps not ready for use: to bring tasks into it, or it to another schema."""

from __future__ import annotations

from collections.abc import Sequence

from broker_sched.redis_backend.commands import Commands, Write
from broker_sched.scheduler.operations.operators import check_permissions
from broker_sched.scheduler.operations.tasks import chunks
from broker_sched.scheduler.scheduler import Scheduler

KEYS_AT_ONCE = 500


class Maintenance(Scheduler):
    """A scheduler that makes no namespace ready, and so changes nothing before it is told to.

    Its methods are those of a Scheduler. They raise SchemaMismatch where the namespace has another schema.
    """

    def _start(self) -> None:
        self._connect()
        self._execution.is_configured = True

    def require_permissions(self) -> None:
        """Raise RedisRefused when Redis's user may not do all that an admin does, before anything is begun."""
        self.drive(check_permissions(self.namespace, "admin", self._connection.user))

    def remove_keys(self, kept: frozenset[str] = frozenset()) -> int:
        """Remove the namespace's keys, some with each command, and return how many there were.

        kept: the first words of keys that stay, such as `config`.
        """
        prefix, removed = self.namespace.prefix, 0
        found = [
            name
            for name in self._connection.keys(f"{prefix}*")
            if name.removeprefix(prefix).partition(":")[0] not in kept
        ]
        for some in chunks(sorted(set(found)), KEYS_AT_ONCE):
            self.drive(_remove(some))
            removed += len(some)
        return removed


def _remove(keys: Sequence[str]) -> Commands[None]:
    yield Write([("DEL", *keys)])
