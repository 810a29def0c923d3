"""What is exported can be imported elsewhere, and is the same there: in listings, in the file, and in what happens
next."""

from __future__ import annotations

import json
import random
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from broker_sched import Scheduler
from broker_sched.redis_backend.commands import Calls
from broker_sched.redis_backend.encoding import to_bytes
from broker_sched.scheduler.transfer import exporting
from broker_sched.scheduler.transfer.exporting import Export
from broker_sched.scheduler.transfer.lines import EndLine, LineWriter
from tests.conftest import FakeClock, SchedulerFactory, running, schedulers
from tests.dumps import make
from tests.nightly import by_night
from tests.transfer.moving import exported, imported, lines_in

SCENARIOS = ("everything", "paused")


@pytest.fixture(params=SCENARIOS)
def busy(request: pytest.FixtureRequest, scheduler_factory: SchedulerFactory, clock: FakeClock) -> Scheduler:
    """A scheduler with something of everything."""
    scenario, options = make.SCENARIOS[request.param]
    scheduler = scheduler_factory(**options)
    scenario(scheduler, clock)
    return scheduler


def deps_of(task_id: str, scheduler: Scheduler) -> list[str]:
    """The task's deps, also those that are done or missing."""
    return next(line["deps"] for line in lines_in(exported(scheduler)) if line.get("id") == task_id)  # type: ignore[no-any-return]


def views(scheduler: Scheduler) -> list[Any]:
    """What people see of it."""
    listed = scheduler.task_list(limit=False)
    workers = sorted(scheduler.worker_list(), key=lambda each: each["name"])
    # Of equal ones the order is that of a set.
    for worker in workers:
        worker["running"] = dict(sorted(worker["running"].items()))
    return [
        *(listed, workers, scheduler.resource_list(), scheduler.config(), scheduler.is_paused()),
        [scheduler.fetch_error(task_id=task_id) for task_id in sorted(listed)],
        [scheduler.dep_graph(task_id=task_id) for task_id in sorted(listed)],
        sorted(scheduler.submission_list(), key=str),
        [scheduler.count_pending(worker=worker["name"]) for worker in workers],
    ]


def test_an_import_has_all_that_was_exported(busy: Scheduler, scheduler_factory: SchedulerFactory) -> None:
    content, other = exported(busy), scheduler_factory()
    importing = imported(other, content)
    assert lines_in(exported(other)) == lines_in(content)
    assert importing.tasks == len(busy.task_list(limit=False)) > 0
    assert other.verify() == []
    assert views(other) == views(busy)


def test_what_happens_next_is_the_same_on_both_sides(
    busy: Scheduler, scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    """Each is asked for work, told that it is done, and pruned, until nothing is left."""
    other = scheduler_factory()
    imported(other, exported(busy))
    both = (busy, other)
    for side in both:
        side.prune()
    # What a worker has refused just now is not exported: it may be offered that again.
    workers = [each["name"] for each in busy.worker_list() if each["name"] not in ("picky", "other")]
    for turn in range(by_night(400, 120)):
        clock.advance(0.5 if turn % 40 else 45)
        worker = workers[turn % len(workers)]
        for name in workers:
            assert len({str(side.ping(worker=name)) for side in both}) == 1
        one, two = (side.get_work(worker=worker, host="h", assistant=turn % 3 == 0) for side in both)
        batch = one.get("batch_task_ids")
        for reply in (one, two):
            reply.pop("batch_id", None)  # numbered anew
        assert one == two, turn
        for task_id in batch or ([one["task_id"]] if one["task_id"] else []):
            status = random.Random(ascii(task_id) + str(turn)).choice(["DONE", "DONE", "FAILED"])
            for side in both:
                side.add_task(worker=worker, task_id=task_id, status=status, attempt=one["attempt"])
        for side in both:
            side.prune()
    one, two = (side.task_list(limit=False) for side in both)
    assert one.keys() == two.keys()
    different = {(i, name, one[i][name], two[i][name]) for i in one for name in one[i] if one[i][name] != two[i][name]}
    assert different == set()


@pytest.mark.parametrize(("source", "target"), [("redis8", "redis62"), ("redis62", "redis8")])
def test_the_kinds_of_redis_understand_each_other(source: str, target: str, clock: FakeClock) -> None:
    from_, to = schedulers(running(source).url, clock), schedulers(running(target).url, clock)
    one, two = next(from_)(), next(to)()
    make.everything(one, clock)
    content = exported(one)
    imported(two, content)
    assert lines_in(exported(two)) == lines_in(content)
    for made in (from_, to):
        next(made, None)  # checks both


def test_what_people_have_disabled_stays_so(
    scheduler: Scheduler, scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler.change_tasks(["a"], "disable", by="ann@host")
    other = scheduler_factory()
    imported(other, exported(scheduler))
    clock.advance(10**6)
    other.prune()
    other.add_task(worker="w", task_id="a")
    (refusal,) = other.change_tasks(["a"], "disable")["unchanged"]
    assert refusal["reason"] == "It is DISABLED already, by ann@host."


def test_texts_of_all_kinds_are_kept(scheduler: Scheduler, scheduler_factory: SchedulerFactory) -> None:
    odd = 'a\ud800\u0000\n"\\ü{}%s\u2028'
    told: dict[str, Any] = {"family": odd, "module": odd, "params": {odd: odd, "n": 10**18, "x": 1e-300, "big": 10**30}}
    scheduler.add_task(worker=odd, task_id=odd, expl=odd, status="FAILED", owners=["a@b"], **told)
    scheduler.add_task(worker="w", task_id="above", deps=[odd, "missing" + odd], priority=-0.25, assistant=True)
    other = scheduler_factory()
    imported(other, exported(scheduler))
    assert views(other) == views(scheduler)


def test_a_task_with_more_deps_than_a_script_reads_keeps_them_all(
    scheduler: Scheduler, scheduler_factory: SchedulerFactory
) -> None:
    deps = [f"dep_{number}" for number in range(1200)]
    scheduler.add_task(worker="w", task_id="wide", deps=deps)
    for dep in deps[:700]:
        scheduler.add_task(worker="w", task_id=dep, status="DONE")
    other = scheduler_factory()
    imported(other, exported(scheduler))
    assert deps_of("wide", other) == sorted(deps)
    assert other.get_work(worker="w")["task_id"] is None
    for dep in deps[700:]:
        other.add_task(worker="w", task_id=dep, status="DONE")
    assert other.get_work(worker="w")["task_id"] == "wide"


def test_a_run_goes_on_where_its_worker_calls_in_time_and_fails_where_it_does_not(
    scheduler: Scheduler, scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    """The silence while the file was on its way is no silence of the worker's."""
    attempts = {}
    for worker in ("alive", "dead"):
        scheduler.add_task(worker=worker, task_id=f"of_{worker}")
        attempts[worker] = scheduler.get_work(worker=worker)["attempt"]
    content = exported(scheduler)
    clock.advance(3600)
    other = scheduler_factory(worker_disconnect_delay=60)
    imported(other, content)
    clock.advance(59)
    other.prune()
    assert set(other.task_list(status="RUNNING")) == {"of_alive", "of_dead"}
    other.add_task(worker="alive", task_id="of_alive", status="DONE", attempt=attempts["alive"])
    clock.advance(2)
    assert set(other.task_list(status="FAILED")) == {"of_dead"}
    assert other.task_list()["of_alive"]["status"] == "DONE"
    assert "dead" in other.fetch_error(task_id="of_dead")["error"]


class Nowhere:
    """A file that keeps nothing."""

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None: ...


def test_an_export_keeps_no_task_in_memory(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many tasks take no more memory: what it needs at once is a page of them."""
    scheduler.add_worker(worker="w", info={})
    peaks = []
    monkeypatch.setattr(exporting, "NUMBERS_LOOKED_UP", 200)
    for count in (600, 1200):
        told = [{"task_id": f"t{number}", "family": "F", "params": {"x": "y" * 200}} for number in range(count)]
        for start in range(0, count, 300):
            scheduler.add_tasks(worker="w", tasks=told[start : start + 300])
        tracemalloc.start()
        writer = LineWriter(Nowhere())  # type: ignore[arg-type]  # it has what a writer needs
        scheduler.drive(Export(scheduler.namespace, writer).commands())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert writer.tasks == count
    assert peaks[1] < 1.2 * peaks[0] + 50_000, peaks


def test_a_task_that_comes_while_others_are_read_is_in_the_file_when_one_of_these_needs_it(
    scheduler: Scheduler, scheduler_factory: SchedulerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its id was known before, as that of a missing dep."""
    monkeypatch.setattr(exporting, "TASKS_READ", 1)
    monkeypatch.setattr(exporting, "SCRIPTS_SENT", 1)
    scheduler.add_task(worker="helper", task_id="t0", deps=["late_0"], assistant=True)
    for number in range(1, 6):
        scheduler.add_task(worker="w", task_id=f"t{number}")
    commands = _export_of(scheduler, content := [])
    reply, seen = None, 0
    while True:
        try:
            command = commands.send(reply)
        except StopIteration:
            break
        reply = scheduler.drive(_one(command))
        if isinstance(command, Calls):
            seen += 1
            if seen == 3:
                scheduler.add_task(worker="w", task_id="late_0", deps=["late_1"])
                scheduler.add_task(worker="w", task_id="t5", deps=["late_2", "late_0"])
                scheduler.add_task(worker="w", task_id="late_2", status="DONE")
    (data,) = content
    other = scheduler_factory()
    imported(other, data())
    assert deps_of("t5", other) == ["late_0", "late_2"]
    assert set(other.task_list()) >= {"late_0", "late_1", "late_2", "t0", "t5"}


def _one(command: Any) -> Any:
    return (yield command)


def _export_of(scheduler: Scheduler, content: list[Callable[[], bytes]]) -> Any:
    import io

    file = io.BytesIO()
    writer = LineWriter(file)

    def finished() -> bytes:
        assert isinstance(writer.close(), EndLine)
        return file.getvalue()

    content.append(finished)
    return Export(scheduler.namespace, writer).commands()


def test_an_export_of_a_namespace_at_work_can_be_imported(
    real_redis_url: str, scheduler_factory: SchedulerFactory, scheduler: Scheduler
) -> None:
    """Tasks are added, run, fail and are removed all the while; each line is a task as it once was."""
    stopped = threading.Event()
    source = next(made := schedulers(real_redis_url, None))(
        remove_delay=0.05, retry_delay=0, worker_disconnect_delay=60
    )

    def work() -> None:
        chance, count = random.Random(3), 0
        while not stopped.is_set():
            count += 1
            deps = [f"t{chance.randrange(count)}" for _ in range(chance.choice([0, 1, 3]))]
            told = {"family": "F", "deps": deps, "priority": chance.choice([0, 5])}
            source.add_task(worker=chance.choice("ab"), task_id=f"t{count}", assistant=chance.random() < 0.2, **told)
            worker = chance.choice("ab")
            work = source.get_work(worker=worker)
            if work["task_id"]:
                status = chance.choice(["DONE", "DONE", "FAILED"])
                source.add_task(worker=worker, task_id=work["task_id"], status=status, attempt=work["attempt"])
            if not count % 20:
                source.prune()

    at_work = threading.Thread(target=work)
    at_work.start()
    try:
        contents = [exported(source) for _ in range(by_night(40, 8))]
    finally:
        stopped.set()
        at_work.join()
    for content in contents[::4]:
        other = scheduler_factory()
        imported(other, content)
        assert lines_in(exported(other)) != []
        assert other.verify() == []
    next(made, None)


# Fields of a task that say where it is indexed, by numbers which are others elsewhere.
PLACES = frozenset("n rank runner_set stakeholder_set workers last tally counted ready batched linking apart".split())
HASHES_OF_WORKERS = ("worker", "worker_info", "batchers")
NUMBERS_OF_WORKERS = frozenset({"w", "weight", "refuses", "mailbox"})


def test_every_field_of_a_task_and_of_a_worker_is_the_same_after_an_import(
    busy: Scheduler, scheduler_factory: SchedulerFactory
) -> None:
    """Whoever adds one finds here that it has to stand in the file, too."""
    other = scheduler_factory()
    imported(other, exported(busy))
    for kind in ("task", "detail", "family", *HASHES_OF_WORKERS):
        one, two = (hashes(side, kind) for side in (busy, other))
        # What a worker that has left registered for batches is kept for a week, in case it comes back.
        assert one.keys() - two.keys() <= ({"gone"} if kind == "batchers" else set())
        assert [(name, each) for name in two for each in one[name].items() ^ two[name].items()] == []
    families = other._client.smembers(other.namespace.key("families"))
    assert families and all(other._client.ttl(to_bytes(other.namespace.key("family", each))) < 0 for each in families)
    for kind in ("failures", "attempts"):
        assert lists_of_tasks(busy, kind) == lists_of_tasks(other, kind)


def hashes(scheduler: Scheduler, kind: str) -> dict[str, dict[str, str]]:
    """The fields of all hashes of a kind, without those of the place where it is kept; none are as good as no hash."""
    prefix = f"{scheduler.namespace.prefix}{kind}:"
    left_out = PLACES if kind == "task" else NUMBERS_OF_WORKERS
    found = {}
    for key in scheduler._client.scan_iter(match=f"{prefix}*", count=1000):
        fields = scheduler._client.hgetall(to_bytes(key))
        found[key.removeprefix(prefix)] = {n: comparable(t) for n, t in fields.items() if n not in left_out and t != ""}
    return {name: fields for name, fields in found.items() if fields}


def comparable(text: str) -> Any:
    """JSON as what it stands for: 1e22 may be written in several ways."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def lists_of_tasks(scheduler: Scheduler, kind: str) -> dict[str, list[str]]:
    """The lists of a kind, by task."""
    prefix = f"{scheduler.namespace.prefix}{kind}:"
    ids = scheduler._client.hgetall(scheduler.namespace.key("ids"))
    return {
        ids[key.removeprefix(prefix)]: [comparable(each) for each in scheduler._client.lrange(key, 0, -1)]
        for key in scheduler._client.scan_iter(match=f"{prefix}*")
    }
