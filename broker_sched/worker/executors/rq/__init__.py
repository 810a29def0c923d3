"""Runs a worker's tasks on a fleet of stock `rq worker` processes. docs/rq.md says how it is used."""

from broker_sched.errors import ConfigurationError

try:
    import rq as _rq  # noqa: F401
except ImportError as error:
    raise ConfigurationError("Tasks can be run by RQ once rq is installed: pip install 'broker-sched[rq]'") from error
