"""For `rq worker -c`: starts a program in the rq worker's own process group, which must outlive whatever is stopped."""

import os
import subprocess
import time
from pathlib import Path

from rq.worker import Worker

import tests.executors.tasks  # noqa: F401
from tests.servers import ends_with_parent

if not Path("beside.pid").exists():
    Path("beside.pid").write_text(str(subprocess.Popen(["sleep", "600"], preexec_fn=ends_with_parent).pid))


class Ungrouped(Worker):
    """A worker class of somebody's that leaves work-horses in the process group of the rq worker."""

    def fork_work_horse(self, job, queue):  # type: ignore[no-untyped-def]  # as in RQ
        os.environ["RQ_WORKER_ID"], os.environ["RQ_JOB_ID"] = self.name, job.id
        if not (pid := os.fork()):
            self.main_work_horse(job, queue)
            os._exit(0)
        self._horse_pid = pid


class Late(Worker):
    """RQ's own on a busy machine: the work-horse is at work before the rq worker gets to note that it has one."""

    def fork_work_horse(self, job, queue):  # type: ignore[no-untyped-def]  # as in RQ
        os.environ["RQ_WORKER_ID"], os.environ["RQ_JOB_ID"] = self.name, job.id
        if not (pid := os.fork()):
            os.setpgrp()
            self.main_work_horse(job, queue)
            os._exit(0)
        time.sleep(0.2)
        self._horse_pid = pid
