"""A settings module for `rq worker -c`, which imports what each task needs once, and not in each work-horse."""

import broker_sched.worker.executors.rq.job
import tests.executors.tasks

__all__ = ["broker_sched", "tests"]
