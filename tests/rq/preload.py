"""A settings module for `rq worker -c`, which imports what each task needs once, and not in each work-horse."""

import broker_sched.rq.job
import tests.rq.tasks

__all__ = ["broker_sched", "tests"]
