"""Luigi's own worker on our scheduler in its process: nothing in between makes texts of what it hands over."""

from __future__ import annotations

from typing import Any

import luigi
import luigi.worker
import pytest

from broker_sched import Scheduler


class Odd(luigi.Task):
    """Fails, or succeeds, with an explanation that is no text."""

    how = luigi.Parameter()

    def complete(self) -> bool:
        return False

    def run(self) -> None:
        if self.how != "success":
            raise ValueError("on purpose")

    def on_failure(self, exception: BaseException) -> Any:
        return [1, "two"]

    def on_success(self) -> Any:
        return {"rows": 3}


@pytest.mark.parametrize(("how", "expected"), [("list", '[1, "two"]'), ("success", '{"rows": 3}')])
def test_what_is_no_text_is_explained_by_its_text(how: str, expected: str) -> None:
    scheduler: Any = Scheduler("memory:luigis-worker")
    with luigi.worker.Worker(scheduler=scheduler, worker_id=f"w-{how}") as worker:
        task = Odd(how=how)
        worker.add(task)
        worker.run()
    error = scheduler.fetch_error(task.task_id)["error"]
    assert expected in error.replace('\\"', '"')
    assert scheduler.task_list("", "")[task.task_id]["status"] == ("DONE" if how == "success" else "FAILED")
    scheduler.close()
