"""Luigi's central scheduler on Redis; workers and tasks for it."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.version_info < (3, 10):  # noqa: UP036  # said here, before something stops that says less
    found = ".".join(map(str, sys.version_info[:2]))
    raise ImportError(f"broker_sched needs Python 3.10 or newer, and this is {found} ({sys.executable}).")

from broker_sched.errors import (
    BrokerSchedError,
    ConfigurationError,
    InvalidArgument,
    LoginRefused,
    NamespaceInUse,
    NameTaken,
    RedisUnavailable,
    Refused,
    RPCError,
    SchemaMismatch,
    ScriptError,
    Superseded,
    UnknownMethod,
    Unreachable,
    WorkerError,
)

if TYPE_CHECKING:
    from broker_sched.client.remote_scheduler import RemoteScheduler
    from broker_sched.mails.settings import EmailSettings, MailSettings, SendgridSettings, SmtpSettings
    from broker_sched.scheduler.scheduler import Scheduler
    from broker_sched.tasks.events import Event
    from broker_sched.tasks.parameters import Batch, Parameter, ParameterError, TaskDefinitionError, Visibility
    from broker_sched.tasks.requirements import DynamicRequirements
    from broker_sched.tasks.targets import FSSpecTarget, LocalTarget, TargetError
    from broker_sched.tasks.task import ExternalTask, Task, WrapperTask
    from broker_sched.worker.submit import submit
    from broker_sched.worker.worker import Worker

__version__ = "0.1.0"
__all__ = [
    "Batch",
    "BrokerSchedError",
    "ConfigurationError",
    "DynamicRequirements",
    "EmailSettings",
    "Event",
    "ExternalTask",
    "FSSpecTarget",
    "InvalidArgument",
    "LocalTarget",
    "LoginRefused",
    "MailSettings",
    "NameTaken",
    "NamespaceInUse",
    "Parameter",
    "ParameterError",
    "RPCError",
    "RedisUnavailable",
    "Refused",
    "RemoteScheduler",
    "Scheduler",
    "SchemaMismatch",
    "ScriptError",
    "SendgridSettings",
    "SmtpSettings",
    "Superseded",
    "TargetError",
    "Task",
    "TaskDefinitionError",
    "UnknownMethod",
    "Unreachable",
    "Visibility",
    "Worker",
    "WorkerError",
    "WrapperTask",
    "submit",
]

# Loaded when first asked for: who writes tasks needs no Redis client, and its import takes longer than a small task.
_HOMES = {
    "Batch": "tasks.parameters",
    "DynamicRequirements": "tasks.requirements",
    "EmailSettings": "mails.settings",
    "Event": "tasks.events",
    "ExternalTask": "tasks.task",
    "FSSpecTarget": "tasks.targets",
    "LocalTarget": "tasks.targets",
    "MailSettings": "mails.settings",
    "Parameter": "tasks.parameters",
    "ParameterError": "tasks.parameters",
    "RemoteScheduler": "client.remote_scheduler",
    "Scheduler": "scheduler.scheduler",
    "SendgridSettings": "mails.settings",
    "SmtpSettings": "mails.settings",
    "TargetError": "tasks.targets",
    "Task": "tasks.task",
    "TaskDefinitionError": "tasks.parameters",
    "Visibility": "tasks.parameters",
    "Worker": "worker.worker",
    "WrapperTask": "tasks.task",
    "submit": "worker.submit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
