"""Brings a namespace that an earlier release has written to the schema of this one, some tasks at a time.

A new schema gets a script lua/migrate_<old>.lua, which does a part, and an entry in STEPS. While it is under way,
`schema` is `<old>><new>`: no program works with that, the older ones no more than this one. What is done is not there
to be done again, so whoever comes after one that was broken off goes on. tests/dumps has a namespace of each schema.
"""

from __future__ import annotations

from collections.abc import Callable

from broker_sched.errors import SchemaMismatch
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import SCHEMA_VERSION, Namespace

# Schema → the script that brings so many of its tasks to the next one.
STEPS: dict[str, Callable[[int], Call]] = {
    "3": lambda count: Call("migrate_3", count=str(count)),
    "4": lambda count: Call("migrate_4", count=str(count)),
}
TASKS_AT_ONCE = 150  # by one script: some 2 ms


class Migration:
    """Brings the namespace to this program's schema.

    first: the schema that was found, None where there is no namespace. left, of: how many tasks are to be done in the
    present step, and how many there were.
    """

    def __init__(self, namespace: Namespace) -> None:
        self.first: str | None = None
        self.left = self.of = 0
        self._namespace = namespace

    def commands(self) -> Commands[None]:
        """Do all steps. Raises SchemaMismatch for a schema from which no step leads here."""
        schema = self.first = yield from self._schema()
        while schema is not None and schema != SCHEMA_VERSION:
            step = STEPS.get(schema.partition(">")[0])
            if step is None:
                raise SchemaMismatch(schema, SCHEMA_VERSION)
            self.of = self.left = yield step(0)
            while self.left:
                self.left = yield step(TASKS_AT_ONCE)
            schema = yield from self._schema()

    def _schema(self) -> Commands[str | None]:
        (schema,) = yield Read([("HGET", self._namespace.key("config"), "schema")])
        return None if schema is None else str(schema)
