"""A call that must not happen twice gets its first answer, wherever the network is cut: over HTTP, and direct."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_sched import RemoteScheduler, Scheduler
from broker_sched.errors import Unreachable
from broker_sched.redis_backend.recovery import DIRECT
from tests.cutting import POINTS, CuttingProxy
from tests.harness import ServerProcess
from tests.nightly import by_night
from tests.servers import RunningRedis, any_server, free_port

POLICY = {"retry_count": 2}  # of the last call about a task
TRANSPORTS = ("direct", "http")


@pytest.fixture(scope="module")
def redis_on_a_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRedis]:
    server = RunningRedis(any_server(), tmp_path_factory.mktemp("redis"), port=free_port())
    yield server
    server.kill()


@pytest.fixture(scope="module")
def bsched_server(redis_on_a_port: RunningRedis) -> Iterator[ServerProcess]:
    process = ServerProcess("--redis", redis_on_a_port.url, "--namespace", "cut", "--set", "send_messages=true")
    yield process.await_ready()
    process.stop()


def port_of(server: ServerProcess) -> int:
    return int(server.url.rpartition(":")[2])


@pytest.fixture
def cut_off(
    request: pytest.FixtureRequest,
    redis_on_a_port: RunningRedis,
    bsched_server: ServerProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Any, CuttingProxy]]:
    """A scheduler behind a proxy that can cut its connection."""
    monkeypatch.setattr("broker_sched.scheduler.scheduler.DIRECT", DIRECT._replace(first_wait_seconds=0.001))
    is_direct = request.param == "direct"
    assert redis_on_a_port.port is not None
    proxy = CuttingProxy(redis_on_a_port.port if is_direct else port_of(bsched_server))
    where = f"127.0.0.1:{proxy.port}"
    scheduler: Any = (
        Scheduler(f"redis://{where}", "cut", prune_interval_seconds=None)
        if is_direct
        else RemoteScheduler(f"http://{where}", wait_seconds=0.001)
    )
    yield scheduler, proxy
    scheduler.close()
    proxy.close()


@pytest.fixture
def other(redis_on_a_port: RunningRedis) -> Iterator[Scheduler]:
    """What prepares, and looks what has become of it."""
    scheduler = Scheduler(redis_on_a_port.url, "cut", prune_interval_seconds=None)
    yield scheduler
    assert scheduler.verify() == []
    scheduler.close()


class Scene:
    """A worker `w` and tasks `a`, `b` of their own; resource `db`, of which there are 10."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        mark = uuid.uuid4().hex[:8]
        self.w, self.a, self.b, self.db = f"w-{mark}", f"a-{mark}", f"b-{mark}", f"db-{mark}"
        scheduler.update_resources(**{self.db: 10})
        for task_id in (self.a, self.b):
            scheduler.add_task(
                worker=self.w, task_id=task_id, resources={self.db: 5}, retry_policy_dict=POLICY, family=mark
            )

    def run_a(self) -> None:
        """It is handed out."""
        assert self.scheduler.get_work(worker=self.w)["task_id"] == self.a

    def failed(self, task_id: str) -> dict[str, Any]:
        """Arguments of add_task."""
        return {"task_id": task_id, "status": "FAILED", "retry_policy_dict": POLICY}

    def status(self, task_id: str) -> str:
        return str(self.scheduler.task_list(search=task_id.split("-")[1])[task_id]["status"])

    def pings(self) -> list[Any]:
        return list(self.scheduler.ping(worker=self.w)["rpc_messages"])


def at_last(call: Callable[[], Any]) -> Any:
    """What a client does that goes on: the same call again."""
    for _ in range(3):
        try:
            return call()
        except Unreachable:
            continue
    return call()


def get_work(scene: Scene, s: Any) -> None:
    assert at_last(lambda: s.get_work(worker=scene.w, current_tasks=None))["task_id"] == scene.a
    assert [scene.status(scene.a), scene.status(scene.b)] == ["RUNNING", "PENDING"]


def failure(scene: Scene, s: Any) -> None:
    scene.run_a()
    assert at_last(lambda: s.add_task(**scene.failed(scene.a), worker=scene.w)) is None
    assert scene.status(scene.a) == "FAILED", "two would disable it"


def failure_in_bulk(scene: Scene, s: Any) -> None:
    scene.run_a()
    tasks = [scene.failed(scene.a), scene.failed(scene.b)]
    assert at_last(lambda: s.add_tasks(worker=scene.w, tasks=tasks)) is None
    assert [scene.status(scene.a), scene.status(scene.b)] == ["FAILED", "FAILED"]


def new_deps(scene: Scene, s: Any) -> None:
    scene.run_a()
    given = {"worker": scene.w, "task_id": scene.a, "new_deps": [scene.b]}
    assert at_last(lambda: s.add_task(**given)) is None
    assert scene.status(scene.a) == "PENDING"


def resources(scene: Scene, s: Any) -> None:
    scene.run_a()
    at_last(lambda: s.decrease_running_task_resources(scene.a, {scene.db: 2}))
    assert scene.scheduler.get_running_task_resources(scene.a)["resources"] == {scene.db: 3}


def ping(scene: Scene, s: Any) -> None:
    scene.scheduler.set_worker_processes(scene.w, 3)
    found = at_last(lambda: s.ping(worker=scene.w))["rpc_messages"]
    assert found == [{"name": "set_worker_processes", "kwargs": {"n": 3}}]
    assert scene.pings() == []


def processes(scene: Scene, s: Any) -> None:
    at_last(lambda: s.set_worker_processes(scene.w, 3))
    assert len(scene.pings()) == 1


def stop(scene: Scene, s: Any) -> None:
    scene.run_a()
    assert at_last(lambda: s.stop_task(scene.a)) == {"task_id": scene.a, "worker": scene.w}
    assert len(scene.pings()) == 1


def message(scene: Scene, s: Any) -> None:
    scene.scheduler.add_task(worker=scene.w, task_id=scene.a, accepts_messages=True)
    sent = at_last(lambda: s.send_scheduler_message(scene.w, scene.a, "hello"))["message_id"]
    assert [each["kwargs"]["message_id"] for each in scene.pings()] == [sent], "the id that is answered was sent"


def response(scene: Scene, s: Any) -> None:
    scene.scheduler.add_scheduler_message_response(scene.a, "m", {"x": "é"})
    assert at_last(lambda: s.get_scheduler_message_response(scene.a, "m")) == {"response": {"x": "é"}}
    assert scene.scheduler.get_scheduler_message_response(scene.a, "m") == {"response": None}


def release(scene: Scene, s: Any) -> None:
    scene.run_a()
    assert at_last(lambda: s.release_task(scene.a, scene.w)) == {"task_id": scene.a, "status": "PENDING"}


def forgive(scene: Scene, s: Any) -> None:
    scene.scheduler.add_task(worker=scene.w, task_id=scene.a, status="FAILED")
    assert at_last(lambda: s.forgive_failures(scene.a)) == {"task_id": scene.a, "status": "PENDING"}


def mark(scene: Scene, s: Any) -> None:
    scene.run_a()
    assert at_last(lambda: s.mark_as_done(scene.a)) == {"task_id": scene.a, "status": "DONE"}


def enable(scene: Scene, s: Any) -> None:
    for _ in range(2):
        scene.scheduler.add_task(**scene.failed(scene.a), worker=scene.w)
    assert scene.status(scene.a) == "DISABLED"
    assert at_last(lambda: s.re_enable_task(scene.a))["status"] == "FAILED"


CASES = {
    each.__name__: each
    for each in (
        *(get_work, failure, failure_in_bulk, new_deps, resources, ping, processes, stop, message, response, release),
        *(forgive, mark, enable),
    )
}


# Each case at each point: by night over both, by day over one of them in turn.
CUTS = [
    (transport, case, point)
    for number, (case, point) in enumerate(itertools.product(CASES, POINTS))
    for transport in by_night(TRANSPORTS, TRANSPORTS[number % 2 :][:1])
]


@pytest.mark.parametrize(("cut_off", "case", "point"), CUTS, indirect=["cut_off"])
def test_a_call_that_was_cut_off_happens_once_and_gets_its_first_answer(
    cut_off: tuple[Any, CuttingProxy], other: Scheduler, case: str, point: str
) -> None:
    scheduler, proxy = cut_off
    scene = Scene(other)
    scheduler.count_pending(worker=scene.w)  # it is connected
    real, armed = proxy.cut, []

    class Cutting:
        """The call under test is cut; those that prepare it are the other one's."""

        def __getattr__(self, name: str) -> Any:
            if not armed:
                armed.append(name)
                real(point)
            return getattr(scheduler, name)

    CASES[case](scene, Cutting())
    assert proxy.cuts == 1
    if point == "late copy":
        before = other.task_list(search=scene.a.split("-")[1]), scene.pings()
        scheduler.count_pending(worker=scene.w)
        if case == "ping":
            other.set_worker_processes(scene.w, 4)
        proxy.let_go()
        after = other.task_list(search=scene.a.split("-")[1])
        assert after == before[0]
        assert len(scene.pings()) == (1 if case == "ping" else 0), "the late copy has taken no message, and left none"


def test_work_that_was_handed_out_and_taken_back_meanwhile_is_not_answered_again(
    redis_on_a_port: RunningRedis, bsched_server: ServerProcess, other: Scheduler
) -> None:
    scene = Scene(other)
    proxy = CuttingProxy(port_of(bsched_server))
    scheduler = RemoteScheduler(f"http://127.0.0.1:{proxy.port}", attempts=1)
    proxy.cut("before the reply")
    with pytest.raises(Unreachable):
        scheduler.get_work(worker=scene.w)
    assert other.release_task(scene.a, scene.w)["status"] == "PENDING"
    other.add_task(worker="v", task_id=scene.a)
    assert other.get_work(worker="v")["task_id"] == scene.a
    assert scheduler.get_work(worker=scene.w)["task_id"] == scene.b
    proxy.close()


def test_another_call_of_the_same_method_is_another_call(bsched_server: ServerProcess, other: Scheduler) -> None:
    scene = Scene(other)
    proxy = CuttingProxy(port_of(bsched_server))
    scheduler = RemoteScheduler(f"http://127.0.0.1:{proxy.port}", attempts=1)
    proxy.cut("before the reply")
    with pytest.raises(Unreachable):
        scheduler.set_worker_processes(scene.w, 3)
    scheduler.set_worker_processes(scene.w, 4)
    scheduler.set_worker_processes(scene.w, 4)
    assert [each["kwargs"]["n"] for each in scene.pings()] == [3, 4, 4]
    proxy.close()


@pytest.mark.parametrize(
    "bad", ["", "x", ":1", "a:", "a:b", "a b:1", "a:1:2", "a:1!!", "é:1", f"{'x' * 101}:1", "a/1:1"]
)
def test_a_request_id_that_is_none_is_refused_by_name(bsched_server: ServerProcess, bad: str) -> None:
    headers = {"Bsched-Request-Id": bad.encode().decode("latin-1"), "Content-Type": "application/json"}
    reply = bsched_server.request("POST", "/api/ping", b'{"worker": "w"}', headers=headers)
    assert reply.status == 400
    assert reply.json()["error"]["field"] == "Bsched-Request-Id"


def test_one_id_for_two_methods_gets_no_foreign_answer(bsched_server: ServerProcess, other: Scheduler) -> None:
    scene = Scene(other)
    headers = {"Bsched-Request-Id": f"{scene.w}:1", "Content-Type": "application/json"}
    for method in ("get_work", "ping"):
        body = f'{{"worker": "{scene.w}"}}'.encode()
        reply = bsched_server.request("POST", f"/api/{method}", body, headers=headers).json()["response"]
        assert ("task_id" in reply) == (method == "get_work")


def test_kept_answers_go_by_themselves_and_do_not_grow_with_the_calls(
    bsched_server: ServerProcess, other: Scheduler, tmp_path: Path
) -> None:
    scene = Scene(other)
    other._client.delete(*other._client.scan_iter(match="bsched:{cut}:reply:*"), "nothing")
    with RemoteScheduler(bsched_server.url) as scheduler:
        for _ in range(5):
            scheduler.set_worker_processes(scene.w, 3)
    kept = list(other._client.scan_iter(match="bsched:{cut}:reply:*"))
    assert len(kept) == 3, "that of the call, and of the two scripts that record it"
    assert 0 < other._client.ttl(kept[0]) <= 900
