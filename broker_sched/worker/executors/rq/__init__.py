"""Runs a worker's tasks on a fleet of stock `rq worker` processes. docs/rq.md says how it is used.

| module | where it runs | what it knows |
| --- | --- | --- |
| executor | worker | what a worker is given: which runs it may make |
| run | worker | one run, as the worker's loop sees it |
| job_supervisor | worker | how jobs are enqueued, watched and stopped, in threads of its own |
| supervised_run | worker | one run, as the job supervisor sees it |
| jobs | worker | RQ's own jobs and queue |
| fleet | worker | which rq workers there are |
| failure_reasons | worker | why a job has ended without a result, as a sentence |
| job | rq worker | how one task is run, and what is left for the supervisor |
| job_heartbeat | rq worker | how a job shows that it lives, and learns whether it shall go on |
| process_guard | rq worker | how a run is ended, and what it has started |
| capture | rq worker | what the task writes |
| run_records | both | what both leave for each other in RQ's Redis |
| messages | both | how that is written, as JSON |
| connection | both | which Redis RQ uses |
"""

from broker_sched.errors import ConfigurationError

try:
    import rq as _rq  # noqa: F401
except ImportError as error:
    raise ConfigurationError("Tasks can be run by RQ once rq is installed: pip install 'broker-sched[rq]'") from error
