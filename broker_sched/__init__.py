"""Luigi's central scheduler on Redis."""

from broker_sched.errors import (
    BrokerSchedError,
    ConfigurationError,
    InvalidArgument,
    RedisUnavailable,
    SchemaMismatch,
    ScriptError,
    UnknownMethod,
)
from broker_sched.scheduler.scheduler import Scheduler

__version__ = "0.1.0"
__all__ = [
    "BrokerSchedError",
    "ConfigurationError",
    "InvalidArgument",
    "RedisUnavailable",
    "Scheduler",
    "SchemaMismatch",
    "ScriptError",
    "UnknownMethod",
]
