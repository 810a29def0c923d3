"""A module that takes long to import where rq workers run tasks."""

import os
import time

from tests.executors.tasks import Limited

if "RQ_JOB_ID" in os.environ:
    time.sleep(30)


class SlowlyLoaded(Limited):
    """Its timeout is over before it is there."""
