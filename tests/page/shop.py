"""A shop's nightly pipeline as it stands after two hours: what views of the page show in tests and pictures.

A month of three extracts a day, cleaned, loaded into a database, reported, and learned from on a machine with a GPU.
One source is down, one day's data is broken, and a machine has fallen silent.
"""

from __future__ import annotations

import json
import random
import time

from broker_sched import Scheduler

DAYS = [f"2026-03-{day:02}" for day in range(1, 32)]
SOURCES = ("orders", "stock", "visits")
SLOTS = {"build-1": 3, "build-2": 3, "gpu-1": 1}
PING_SECONDS = {"build-1": 600, "build-2": 30, "gpu-1": 600}
SECONDS = {"Extract": 300.0, "Clean": 200.0, "Load": 420.0, "Report": 60.0, "Train": 900.0}
# Addresses of the page, by what they show.
VIEWS = {
    "now": "view=now",
    "families": "view=tasks",
    "tasks": "view=tasks&status=FAILED",
    "grid": "view=grid&family=Clean",
    "task": f"view=task&id=Clean_{DAYS[21]}",
    "graph": f"view=graph&id=Report_{DAYS[23]}",
    "timeline": "view=timeline",
    "workers": "view=workers",
    "worker": "view=worker&id=build-1",
    "resources": "view=resources",
    "resource": "view=resource&name=gpu",
    "submissions": "view=submissions",
    "submission": "view=submission&id=nightly-31",
    "events": "view=events&family=Report",
    "settings": "view=settings&change=retry_delay",
    "audit": "view=audit",
}
STEP_SECONDS = 20.0
LASTS_SECONDS = 7200.0
DOWN = "requests.exceptions.ConnectionError: visits.shop.example: connection refused"
BROKEN = "ValueError: row 8,112 of stock.csv has 7 columns, not 8"


class PassingTime:
    """A clock that is turned on by hand, and ends at the present."""

    def __init__(self) -> None:
        self.now = time.time() - LASTS_SECONDS

    def __call__(self) -> float:
        return self.now


def fill(url: str, namespace: str) -> None:
    """Let the pipeline run until now in a namespace that is empty."""
    clock = PassingTime()
    scheduler = Scheduler(
        url, namespace, clock=clock, prune_interval_seconds=None, retry_delay=100_000, remove_delay=100_000
    )
    try:
        _schedule(scheduler)
        _run(scheduler, clock)
        _operate(scheduler)
    finally:
        scheduler.close()


def _schedule(scheduler: Scheduler) -> None:
    for worker, slots in SLOTS.items():
        info = {
            "workers": slots,
            "host": f"{worker}.shop.example",
            "version": "0.1.0",
            "ping_interval": PING_SECONDS[worker],
        }
        scheduler.add_worker(worker=worker, info=info)
    scheduler.update_resources(db=2, gpu=1)
    scheduler.add_worker(worker="nightly-31", info={"host": "cron.shop.example"})
    asked_for = []
    for number, day in enumerate(DAYS):
        owner = "nightly-31" if number >= len(DAYS) - 6 else ""
        urgency = {"priority": len(DAYS) - number, "module": "shop.nightly"}
        tasks: list[dict[str, object]] = [
            {"task_id": f"Extract_{source}_{day}", "family": "Extract", "params": {"source": source, "day": day}}
            for source in SOURCES
        ]
        extracts = [str(each["task_id"]) for each in tasks]
        tasks += [
            {"task_id": f"Clean_{day}", "family": "Clean", "params": {"day": day}, "deps": extracts},
            {"task_id": f"Load_{day}", "family": "Load", "params": {"day": day}, "deps": [f"Clean_{day}"]},
            {"task_id": f"Report_{day}", "family": "Report", "params": {"day": day}, "deps": [f"Load_{day}"]},
            {"task_id": f"Train_{day}", "family": "Train", "params": {"day": day}, "deps": [f"Load_{day}"]},
        ]
        tasks[4]["resources"] = {"db": 1}
        tasks[6]["resources"] = {"gpu": 1}
        if owner:
            scheduler.add_tasks(worker=owner, tasks=[{**each, **urgency} for each in tasks])
        for worker in ("build-1", "build-2", "gpu-1"):
            wanted = [each for each in tasks if (each["family"] == "Train") == (worker == "gpu-1")]
            scheduler.add_tasks(worker=worker, tasks=[{**each, **urgency} for each in wanted])
        if owner:
            asked_for += [f"Report_{day}", f"Train_{day}"]
    scheduler.add_submission(submission="nightly-31", tasks=asked_for)


def _run(scheduler: Scheduler, clock: PassingTime) -> None:
    chance = random.Random(14)
    ends: dict[str, tuple[float, str]] = {}  # task id → when its run ends, on which worker
    while clock.now + STEP_SECONDS < time.time():
        clock.now += STEP_SECONDS
        for task_id, (end, worker) in list(ends.items()):
            if end <= clock.now:
                del ends[task_id]
                _end(scheduler, worker, task_id)
        for worker, slots in SLOTS.items():
            if worker == "build-2" and clock.now > time.time() - 90:
                continue  # it has fallen silent
            scheduler.ping(worker=worker)
            while sum(on == worker for _, on in ends.values()) < slots:
                work = scheduler.get_work(worker=worker, host=f"{worker}.shop.example")
                if work["task_id"] is None:
                    break
                usual = SECONDS[str(work["task_family"])]
                ends[work["task_id"]] = (clock.now + usual * chance.uniform(0.6, 1.5), worker)
    for task_id, (end, _) in ends.items():
        left = max(0.0, end - clock.now)
        share = 1 - left / (SECONDS[task_id.partition("_")[0]] * 1.5)
        scheduler.set_task_progress_percentage(task_id=task_id, progress_percentage=round(100 * share))
        scheduler.set_task_status_message(task_id=task_id, status_message=f"{round(40_000 * share):,} rows so far")
        lines = [f"{row:,} rows read" for row in range(0, 40_000, 2_000)]
        scheduler.set_task_log(task_id=task_id, log="\n".join(lines) + "\n", size=40_000)


def _end(scheduler: Scheduler, worker: str, task_id: str) -> None:
    if task_id.startswith("Extract_visits") and task_id.endswith(("24", "25")):
        scheduler.add_task(worker=worker, task_id=task_id, status="FAILED", expl=_told(DOWN))
    elif task_id == f"Clean_{DAYS[21]}":
        scheduler.add_task(worker=worker, task_id=task_id, status="FAILED", expl=_told(BROKEN))
    else:
        scheduler.add_task(worker=worker, task_id=task_id, status="DONE")


def _told(error: str) -> str:
    where = 'Traceback (most recent call last):\n  File "/srv/shop/nightly.py", line 88, in run\n    self.read()\n'
    return json.dumps(f"{where}{error}\n")


def _operate(scheduler: Scheduler) -> None:
    scheduler.change_tasks(task_ids=[f"Clean_{DAYS[21]}"], action="disable", by="ann")
    scheduler.update_options({"retry_delay": 1800, "worker_disconnect_delay": 600}, by="ann")
    scheduler.update_options({"remove_delay": 86_400}, by="ann")
    scheduler.pause_family(family="Publish")
    scheduler.update_resources(api=3)
