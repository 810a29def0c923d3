"""Write the dumps of the schema that the code has now: `python -m tests.dumps.make`. They are made once for a schema.

Each scenario below becomes a file. Together they have every kind of key, and tasks in every status.
"""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker_sched import Scheduler
from broker_sched.redis_backend import script_call
from broker_sched.redis_backend.commands import Await, Call
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler.operations import tasks as task_operations
from broker_sched.scheduler.operations.work import awaiting
from tests.conftest import FakeClock
from tests.dumps import DUMPS, NOW, lines_of
from tests.servers import RunningRedis, embedded_servers
from tests.simulation import small_budgets

LONG = "long " * 40


def everything(scheduler: Scheduler, clock: FakeClock) -> None:
    """Workers of all kinds, tasks in every status, batches, resources, failures, refusals, submissions, options."""
    scheduler.update_resources(db=2, gpu=2.5, **{"licence: ä": 7})
    _workers(scheduler)
    _graph(scheduler, clock)
    _failures(scheduler, clock)
    _details(scheduler)
    _batches(scheduler)
    _deps(scheduler, clock)
    _refusals(scheduler)
    _submissions(scheduler, clock)
    _running(scheduler)
    _departed(scheduler, clock)
    _waiting(scheduler)


def _workers(scheduler: Scheduler) -> None:
    for number in range(1, 6):
        info = {"workers": number, "host": f"host-{number}", "pid": 100 + number, "first_task": "A_0"}
        scheduler.add_worker(worker=f"w{number}", info=info)
    scheduler.add_worker(worker="helper", info={"assistant": True, "workers": 8, "allow_modules": ["etl.*", "m"]})
    scheduler.add_worker(worker="named", info={"workers": 2}, start_id="first")
    scheduler.add_task(worker="broken", task_id="of_broken", family="A")
    scheduler.disable_worker(worker="broken")
    scheduler.set_worker_processes(worker="w2", n=3)


def _graph(scheduler: Scheduler, clock: FakeClock) -> None:
    """Five layers of eight tasks, in families of their own; some of the lower ones are done or run."""
    for layer in range(5):
        for place in range(8):
            clock.advance(0.25)
            deps = [f"{'ABCDE'[layer - 1]}_{(place + step) % 8}" for step in range(3)] if layer else []
            for worker in [f"w{1 + (place + each) % 5}" for each in range(1 + place % 4)]:
                scheduler.add_task(
                    worker=worker,
                    task_id=f"{'ABCDE'[layer]}_{place}",
                    family="ABCDE"[layer],
                    module="etl.pipeline",
                    params={"place": str(place), "layer": str(layer)},
                    deps=deps,
                    priority=[0, 0, 5, -2.5][place % 4],
                    resources={"db": 1} if place == 5 else {},
                )
    for _ in range(7):
        clock.advance(1)
        work = scheduler.get_work(worker="helper", host="host-9", assistant=True)
        scheduler.add_task(worker="helper", task_id=work["task_id"], status="DONE", attempt=work["attempt"])


def _failures(scheduler: Scheduler, clock: FakeClock) -> None:
    policy = {"retry_count": 3, "disable_hard_timeout": 500, "disable_window": 60}
    for number, (count, expl) in enumerate([(1, '"short"'), (2, f'"{LONG}"'), (3, '"too often"'), (1, None)]):
        for _ in range(count):
            clock.advance(2)
            told = {"worker": "w3", "task_id": f"F_{number}", "family": "F", "retry_policy_dict": policy}
            scheduler.add_task(**told, status="FAILED", expl=expl)
    scheduler.add_task(worker="w3", task_id="F_operator", family="F", status="DISABLED")
    scheduler.add_task(worker="w3", task_id="F_blocked", family="F", deps=["F_2", "F_operator", "F_0"])
    scheduler.add_task(worker="w3", task_id="F_above", family="G", deps=["F_blocked"])
    scheduler.add_task(worker="w3", task_id="F_cycle_a", deps=["F_cycle_b", "F_2"])
    scheduler.add_task(worker="w3", task_id="F_cycle_b", deps=["F_cycle_a"])


def _details(scheduler: Scheduler) -> None:
    hidden = {"params": {"key": "secret", "text": LONG, "n": 1e22}, "param_visibilities": {"key": 2, "text": 1}}
    scheduler.add_task(
        worker="w4", task_id="D:0|ü \ud800 %s", family="D: %|!", module="a:b", owners=["a@x.test"], **hidden
    )
    scheduler.add_task(worker="w4", task_id="D_1", family="", tracking_url="http://x.test/", accepts_messages=True)
    scheduler.set_task_status_message(task_id="D_1", status_message="at work")
    scheduler.set_task_progress_percentage(task_id="D_1", progress_percentage=40)
    scheduler.add_scheduler_message_response(task_id="D_1", message_id="m1", response="yes")
    scheduler.send_scheduler_message(worker="w4", task="D_1", content="hello")
    scheduler.set_task_log(task_id="D_1", log="the end of it", size=4000)
    scheduler.add_task(worker="w4", task_id="D_unrunnable", family="D", runnable=False)
    scheduler.add_task(worker="w4", task_id="D_done", family="D", status="DONE", priority=1e9)


def _batches(scheduler: Scheduler) -> None:
    for worker in ("w1", "w2"):
        scheduler.add_task_batcher(worker=worker, task_family="Day", batched_args=["day"], max_batch_size=3)
    scheduler.add_task_batcher(worker="w2", task_family="Day", batched_args=["day", "hour"])
    for number in range(9):
        params = {"day": str(number), "hour": str(number % 2), "kind": "xy"[number // 7]}
        told = {"family": "Day", "params": params, "batchable": True, "priority": 1000}
        scheduler.add_task(worker="w1", task_id=f"Day_{number}", resources={"gpu": 0.1}, **told)
        scheduler.add_task(worker="w2", task_id=f"Day_{number}", resources={"gpu": 0.1}, **told)
    begun = scheduler.get_work(worker="w1")
    scheduler.get_work(worker="w2")  # members of a batch that is never begun
    assert begun["batch_id"]
    more = {"batch_id": begun["batch_id"], "attempt": begun["attempt"], "family": "Day"}
    scheduler.add_task(worker="w1", task_id="Day_all", status="RUNNING", **more)


def _deps(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_task(worker="helper", task_id="M_0", family="M", deps=["never_added", "M_1"], assistant=True)
    scheduler.add_task(worker="w5", task_id="M_2", family="M", deps=["placeholder", "M_2_dep"])
    scheduler.add_task(worker="w5", task_id="M_wide", family="M", deps=[f"wide_{number}" for number in range(12)])
    scheduler.add_task(worker="w5", task_id="M_dynamic", family="M", priority=2000)
    work = scheduler.get_work(worker="w5")
    assert work["task_id"] == "M_dynamic"
    clock.advance(1)
    told = {"status": "PENDING", "new_deps": ["M_wanted"], "attempt": work["attempt"]}
    scheduler.add_task(worker="w5", task_id="M_dynamic", family="M", **told)


def _refusals(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w5", task_id="R_0", family="R", module="m", priority=3000)
    scheduler.add_task(worker="w5", task_id="R_1", family="R", module="m", priority=2900)
    scheduler.add_worker(worker="picky", info={"workers": 1, "allow_modules": ["m"]})
    assert scheduler.get_work(worker="picky", assistant=True)["task_id"] == "R_0"
    scheduler.refuse_tasks(worker="picky", task_ids=["R_0"], reason="no module m", scope="module", seconds=3000)


def _submissions(scheduler: Scheduler, clock: FakeClock) -> None:
    for name in ("left", "over"):
        for number in range(2):
            scheduler.add_task(worker=f"submission-{name}", task_id=f"S_{name}_{number}", family="S", module="m")
        assert scheduler.add_submission(submission=f"submission-{name}", tasks=[f"S_{name}_0"])["state"] == "ACTIVE"
    for number in range(2):
        scheduler.add_task(worker="w4", task_id=f"S_over_{number}", family="S", status="DONE")
    clock.advance(1)
    scheduler.prune()


def _running(scheduler: Scheduler) -> None:
    for worker in ("w1", "w2", "w3", "named"):
        scheduler.add_task(worker=worker, task_id=f"run_{worker}", family="Run", priority=5000, resources={"gpu": 0.1})
        assert scheduler.get_work(worker=worker)["task_id"] == f"run_{worker}"
    scheduler.add_task(worker="w5", task_id="run_lowered", family="Run", priority=6000, resources={"db": 1, "gpu": 0.1})
    assert scheduler.get_work(worker="w5")["task_id"] == "run_lowered"
    scheduler.decrease_running_task_resources(task_id="run_lowered", decrease_resources={"db": 0.75})
    scheduler.add_task(worker="w4", task_id="run_reported", family="Run", status="RUNNING", resources={"db": 1})
    scheduler.await_work(worker="w2", seconds=0)


def _departed(scheduler: Scheduler, clock: FakeClock) -> None:
    """Workers that died: one with a run, one whose tasks nobody wants now."""
    scheduler.add_task(worker="gone", task_id="gone_run", family="Gone", priority=9000)
    assert scheduler.get_work(worker="gone")["task_id"] == "gone_run"
    scheduler.add_task(worker="gone", task_id="gone_task", family="Gone")
    scheduler.add_task_batcher(worker="gone", task_family="Gone", batched_args=["x"])
    clock.advance(50)
    living = ["w1", "w2", "w3", "w4", "w5", "helper", "named", "picky", "broken"]
    for worker in living:
        scheduler.ping(worker=worker)
    clock.advance(20)
    scheduler.prune()
    assert scheduler.task_list(status="FAILED")["gone_run"]


def _waiting(scheduler: Scheduler) -> None:
    """What the next call, prune or ping finds."""
    scheduler.send_scheduler_message(worker="w1", task="run_w1", content="hello")
    scheduler.add_task(worker="helper", task_id="nobodys", family="N", assistant=True)
    scheduler.add_task(worker="stranger", task_id="orphan", family="N", status="RUNNING", assistant=True)
    scheduler.add_task(worker="w5", task_id="R_2", family="R", module="m", priority=9000)
    assert scheduler.get_work(worker="picky", assistant=True)["task_id"] is None  # it refuses this module
    scheduler.add_worker(worker="other", info={"workers": 1})
    assert scheduler.get_work(worker="other", assistant=True)["task_id"] == "R_2"
    scheduler.refuse_tasks(worker="other", task_ids=["R_2"], reason="bad", scope="family", seconds=3000)
    scheduler.add_task(worker="idle", task_id="N_0", family="N", deps=["F_operator"])
    scheduler.add_worker(worker="idle_helper", info={"workers": 1, "allow_modules": ["none"]})
    for worker, assistant in (("idle", False), ("idle_helper", True)):
        scheduler._run(awaiting(Await(worker, assistant, 5.0), f"mailbox-{worker}"))


def paused(scheduler: Scheduler, clock: FakeClock) -> None:
    """Few tasks, all options set, handing out paused, mails on their way, an index being repaired by one who died."""
    scheduler.pause()
    client, namespace = scheduler._client, scheduler.namespace
    client.set(namespace.key("mail:server"), "here")
    scheduler.add_worker(worker="w", info=[("workers", 2)])
    scheduler.add_task_batcher(worker="w", task_family="T", batched_args=["x"])
    for _ in range(2):
        told = {"family": "T", "params": {"x": "1"}, "owners": ["a@x.test"], "expl": '"why"'}
        scheduler.add_task(worker="w", task_id="T_1", status="FAILED", retry_policy_dict={"retry_count": 2}, **told)
    failed = {"task_name": "U()", "family": "U", "params": {}, "expl": "no", "owners": []}
    scheduler.announce_scheduling_failure(worker="w", **failed)
    client.hset(namespace.key("mail:outbox"), "1", '{"subject":"s"}')
    client.set(namespace.key("mail:unlisted"), "3")
    client.hset(namespace.key("config"), "repairing", f"somebody {clock.now - 1000:.6f}")
    for number in range(10):
        scheduler.add_task(worker="w", task_id=f"P_{number}", family="P", deps=[f"P_{number - 1}"] if number else [])


def midway(scheduler: Scheduler, clock: FakeClock) -> None:
    """Calls that left nearly all of their deferred steps to later ones: nothing more came."""
    for number in range(12):
        scheduler.add_task(worker="w", task_id=f"hub_user_{number}", family="H", deps=["hub", "other"])
    while scheduler._run(Call("run_deferred", budget="50")):
        pass
    scheduler.add_task(worker="w", task_id="short", family="H", deps=[f"dep_{number}" for number in range(10)])
    while scheduler._run(Call("run_deferred", budget="50")):
        pass
    scheduler.add_task(worker="dies", task_id="short", family="H", deps=[f"new_{number}" for number in range(8)])
    scheduler.add_task(worker="w", task_id="long", family="H", deps=[f"dep_{number}" for number in range(20)])
    scheduler.add_task(worker="w", task_id="hub", family="H", status="DONE")
    scheduler.add_task(worker="v", task_id="other", family="H", status="DISABLED", runnable=False)
    assert scheduler._client.llen(scheduler.namespace.key("deferred_steps")) > 2


OPTIONS = {"retry_delay": 120.0, "remove_delay": 300.0, "retry_count": 5, "batch_emails": True, "disable_window": 100}
SCENARIOS: dict[str, tuple[Callable[[Scheduler, FakeClock], None], dict[str, Any]]] = {
    "everything": (everything, {"worker_disconnect_delay": 60.0, "stable_done_cooldown_secs": 0}),
    "paused": (paused, OPTIONS),
    "midway": (midway, {}),
    "unused": (lambda scheduler, clock: None, {}),
}


def main() -> None:
    """Write a file for each scenario."""
    folder = DUMPS / f"schema-{SCHEMA_VERSION}"
    folder.mkdir()  # they are never written anew
    with tempfile.TemporaryDirectory() as directory:
        server = RunningRedis(embedded_servers()["redis62"], Path(directory))
        try:
            for name, (scenario, options) in SCENARIOS.items():
                _write(folder / f"{name}.jsonl", server.url, scenario, options)
        finally:
            server.kill()


def _write(file: Path, url: str, scenario: Callable[[Scheduler, FakeClock], None], options: dict[str, Any]) -> None:
    script_call._weights.seed(file.name)
    clock = FakeClock()
    clock.now = NOW
    load, calls, deps = script_call.load, task_operations.MAX_DEFERRED_CALLS, task_operations.MAX_DEPS_AT_ONCE
    scheduler = Scheduler(url, f"dump-{uuid.uuid4().hex[:8]}", clock=clock, prune_interval_seconds=None, **options)
    if scenario is midway:
        script_call.load = small_budgets.script_with_small_budgets  # type: ignore[assignment]
        task_operations.MAX_DEFERRED_CALLS, task_operations.MAX_DEPS_AT_ONCE = 0, 5
    scenario(scheduler, clock)
    script_call.load = load
    task_operations.MAX_DEFERRED_CALLS, task_operations.MAX_DEPS_AT_ONCE = calls, deps
    file.write_text("".join(f"{line}\n" for line in lines_of(scheduler._client, scheduler.namespace.prefix)))
    if scenario is not midway:
        assert scheduler.verify() == [], name_of(scheduler)
    print(file, file.stat().st_size, file=sys.stderr)
    scheduler.close()


def name_of(scheduler: Scheduler) -> str:
    """The namespace, for the message of an assertion."""
    return scheduler.namespace.name


if __name__ == "__main__":
    main()
