"""Every error this package raises on purpose.

BrokerSchedError
├── ConfigurationError   a URL, namespace or option can't be used
├── SchemaMismatch       the namespace was written by another version
├── SchedulerRefused     the scheduler, or who stands before it, understood and says no: trying again is no use
│   ├── InvalidArgument  a call's argument is wrong: nothing was changed
│   ├── UnknownMethod    no such method in the contract
│   ├── LoginRefused     user or password is wrong, or may not do this
│   ├── NameTaken        another worker has this one's name
│   └── Superseded       what was said is about a run of a task that does not count any more: nothing was changed
├── SchedulerUnreachable the scheduler can't be asked now: worth trying again
│   ├── RedisUnavailable Redis can't be reached, is loading, or refuses us
│   └── RPCError         the server can't be reached, or its answer is no use
├── WorkerError          a worker, or a task given to it, can't be used as it is
│   ├── TaskTypeError    (model.contract) no task, or not one yet
│   └── TaskNotLoadable  (model.register) no task can be made from module, family and parameters
├── ParameterError       (model.parameters) parameters of a task are missing, unknown or wrong
├── TaskDefinitionError  (model.parameters) a class of tasks is declared in a way that can't work
├── TargetError          (model.target) a target can't be read or written as asked
└── ScriptError          a Lua script failed: a bug of ours, with file and line
"""

from __future__ import annotations


class BrokerSchedError(Exception):
    """Base of every error that broker_sched raises on purpose."""


class SchedulerRefused(BrokerSchedError):
    """The scheduler, or a proxy before it, understood the call and says no. Trying it again is no use."""


class LoginRefused(SchedulerRefused):
    """The server knows no such user, or does not let this one call."""


class InvalidArgument(SchedulerRefused, ValueError):
    """An argument of a call is wrong. Nothing was changed."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class UnknownMethod(SchedulerRefused):
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


class Superseded(SchedulerRefused):
    """What was said is about a run of a task that does not count any more. Nothing was changed."""


class NameTaken(SchedulerRefused):
    """Another worker has this one's name: either it still runs tasks, or it was started later and is the one now."""


class SchedulerUnreachable(BrokerSchedError):
    """The scheduler can't be asked now. Worth trying again."""


class RPCError(SchedulerUnreachable):
    """The server could not be asked, or its answer is no use. `__cause__` is the last error."""


class RedisUnavailable(SchedulerUnreachable):
    """Redis can't be reached, is still loading, or refuses the connection. Worth trying again."""


class WorkerError(BrokerSchedError):
    """A worker, or a task given to it, can't be used as it is."""


class ScriptError(BrokerSchedError):
    """A Lua script failed in a way that no input should cause. The message has its file and line."""
