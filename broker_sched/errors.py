"""Every error this package raises on purpose.

BrokerSchedError
├── InvalidArgument      a call's argument is wrong: nothing was changed
├── UnknownMethod        no such method in the contract
├── ConfigurationError   a URL, namespace or option can't be used
├── SchemaMismatch       the namespace was written by another version
├── RedisUnavailable     Redis can't be reached, is loading, or refuses us
└── ScriptError          a Lua script failed: a bug of ours, with file and line
"""

from __future__ import annotations


class BrokerSchedError(Exception):
    """Base of every error that broker_sched raises on purpose."""


class InvalidArgument(BrokerSchedError, ValueError):
    """An argument of a call is wrong. Nothing was changed."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class UnknownMethod(BrokerSchedError):
    """The contract has no method of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no method {name!r}; `docs/api.md` lists all of them.")
        self.name = name


class ConfigurationError(BrokerSchedError, ValueError):
    """A URL, a namespace or an option can't be used as given."""


class SchemaMismatch(BrokerSchedError):
    """The namespace in Redis was written with another schema version."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(
            f"This namespace has schema version {found}, this program needs {wanted}. "
            f"Run the broker_sched release that wrote it, or use another namespace (--namespace)."
        )
        self.found = found
        self.wanted = wanted


class RedisUnavailable(BrokerSchedError):
    """Redis can't be reached, is still loading, or refuses the connection. Worth trying again."""


class ScriptError(BrokerSchedError):
    """A Lua script failed in a way that no input should cause. The message has its file and line."""
