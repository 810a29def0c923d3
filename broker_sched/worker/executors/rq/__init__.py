"""Runs a worker's tasks on a fleet of stock `rq worker` processes. docs/rq.md says how it is used.

| module | where it runs | what it knows |
| --- | --- | --- |
| engine | worker | how jobs are enqueued, withdrawn and waited for, and how many rq workers there are |
| lost_jobs | worker | of which jobs no result will tell, and which rq workers are connected |
| failure_reasons | worker | why a job has ended without a result, as a sentence |
| job | rq worker | what an rq worker calls |
| connection | worker | which Redis RQ uses |
| sentinels | rq worker | how it finds Redis through Sentinels |
"""

from broker_sched.errors import ConfigurationError

try:
    import rq as _rq  # noqa: F401
except ImportError as error:
    raise ConfigurationError("Tasks can be run by RQ once rq is installed: pip install 'broker-sched[rq]'") from error
