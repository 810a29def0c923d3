"""Every error that this package raises on purpose.

BrokerSchedError
├── ConfigurationError      a URL, a namespace or an option can't be used
│   └── NoRedisServer       local: needs a redis-server, and there is none
├── SchemaMismatch          the namespace was written by another version
├── Refused                 the scheduler, or who stands before it, understood the call and says no
│   ├── InvalidArgument     an argument is wrong: nothing was changed
│   ├── UnknownMethod       there is no such method
│   ├── LoginRefused        user, password or token is wrong, or may not do this
│   ├── ImportRefused       a file can't be imported, or not into this namespace: nothing was changed
│   ├── NameTaken           another worker has this one's name
│   ├── NamespaceInUse      servers or workers are alive on the namespace
│   └── Superseded          the run reported on does not count any more: nothing was changed
├── Unreachable             nobody answered: worth trying again
│   ├── RedisUnavailable    Redis is away, is loading, or does not serve us now
│   ├── EngineUnavailable   what runs jobs for a worker is away: RQ's Redis, Dask's scheduler
│   └── RPCError            the server is away, or its answer is no use
├── WorkerError             a worker, or a task given to it, can't be used as it is
│   ├── TaskTypeError       (tasks.protocol) it is no task, or not one yet
│   └── TaskNotLoadable     (tasks.loading) no task can be made from module, family and parameters
├── ParameterError          (tasks.parameters) parameters of a task are missing, unknown or wrong
├── TaskDefinitionError     (tasks.parameters) a class of tasks is declared in a way that can't work
├── TargetError             (tasks.targets) a target can't be read or written as asked
└── ScriptError             a Lua script failed: a bug of ours, with file and line
"""

from __future__ import annotations


class BrokerSchedError(Exception):
    """The base of every error that broker_sched raises on purpose: catch it to catch them all."""


class Refused(BrokerSchedError):
    """The scheduler, or a proxy before it, understood a call and says no. The same call would be refused again."""


class LoginRefused(Refused):
    """The server, or a proxy before it, answers 401 or 403. Give the right user and password, or token."""


class InvalidArgument(Refused, ValueError):
    """An argument of a call is wrong, and nothing was changed. `field` names it, `message` says what it may be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class UnknownMethod(Refused):
    """The scheduler has no method of this name: it is misspelt, or the server is a luigid, or older than the caller."""

    def __init__(self, name: str, server: str | None = None) -> None:
        super().__init__(
            f"There is no method {name!r}; `docs/api.md` lists all of them."
            if server is None
            else f"The server at {server} has no method {name!r}: it is a luigid, or a `bsched server` older than this."
        )
        self.name = name


class NameTaken(Refused):
    """Another worker with this name still runs tasks, or was started later. Give each worker a name of its own."""


class NamespaceInUse(Refused):
    """A namespace was to be deleted on which servers or workers are alive, and nothing was. The message names them."""


class Superseded(Refused):
    """A report is about a run whose task was handed out anew, and nothing was changed. End that run."""


class Unreachable(BrokerSchedError):
    """Nobody answered, so it is not known whether the call was carried out. Make the same call again later."""


class RPCError(Unreachable):
    """The server did not answer any attempt, or not in a way that is of use. `__cause__` is the last failure."""


class RedisUnavailable(Unreachable):
    """Redis can't be reached, is loading, or does not serve us now: the message says which, and what to do."""


class EngineUnavailable(Unreachable):
    """What runs jobs for a worker can't be reached: RQ's Redis, or Dask's scheduler. The message says which."""


class ImportRefused(Refused):
    """A file can't be imported, or not into this namespace. The message says why; nothing was changed."""


class ConfigurationError(BrokerSchedError, ValueError):
    """A URL, a namespace or an option can't be used as given. The message names it, and says what it may be."""


class NoRedisServer(ConfigurationError):
    """A `local:` URL needs a redis-server or valkey-server, of which there is none; the message says how to get one."""


class SchemaMismatch(BrokerSchedError):
    """The namespace in Redis has keys of another release. The message says how the two come together."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(
            _DELETING
            if found == "deleting"
            else f"This namespace has schema version {found}, this program needs {wanted}. "
            + (_OLDER if found.isdecimal() and int(found) < int(wanted) else _NEWER)
        )
        self.found = found
        self.wanted = wanted


_DELETING = "This namespace is being deleted: `bsched namespace delete` goes on where that was broken off."
_OLDER = "End all servers and workers of the older release, then run `bsched migrate`."
_NEWER = "Run the broker_sched release that wrote it, or use another namespace (--namespace)."


class WorkerError(BrokerSchedError):
    """A worker, or a task given to it, can't be used as it is. The message says what to change."""


class ScriptError(BrokerSchedError):
    """A Lua script failed in a way that no input should cause: report it, with its message, which names the line."""
