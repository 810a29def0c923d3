"""Tasks on a real Dask cluster: each way in which a run can end, and each part killed.

One cluster serves them all: two dask workers of two threads, each with its nanny. By day test_jobs.py shows what
Dask has no part in: there, too, a job is a fork of Dask's job_host.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import distributed
import psutil
import pytest
from click.testing import CliRunner

from broker_sched import Scheduler, Worker
from broker_sched.errors import ConfigurationError, EngineUnavailable
from broker_sched.worker.executors import job_executor
from broker_sched.worker.executors.dask import engine as engine_module
from broker_sched.worker.executors.dask.engine import DaskEngine, job_function
from broker_sched.worker.executors.job_executor import JobExecutor
from broker_sched.worker.run_task import RunOptions
from bsched.main import cli
from tests.conftest import running
from tests.executors.conftest import beside
from tests.executors.plain_tasks import Layered
from tests.executors.tasks import Answering, Failing, InDirectory, Limited, Starting, Waiting, runs_of
from tests.nightly import by_night, only_by_night
from tests.programs import Program, environment_with
from tests.servers import free_port, is_alive, until

pytestmark = pytest.mark.timeout(180)
QUICK = {"wait_interval": 0.05, "wait_jitter": 0.0, "ping_interval": 0.2}
LAYERS, WIDTH = by_night((10, 30), (4, 8))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    where = str(tmp_path_factory.mktemp("dask"))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address=":0", local_directory=where, silence_logs=40
    ) as made:
        yield made


def empty_cluster(port: int = 0) -> Any:
    """A Dask scheduler without a dask worker."""
    return distributed.LocalCluster(n_workers=0, scheduler_port=port, dashboard_address=":0", silence_logs=50)


@contextlib.contextmanager
def engine_of(address: str) -> Iterator[DaskEngine]:
    engine = DaskEngine(address)
    engine.connect()
    try:
        yield engine
    finally:
        engine.close()


def answers(address: str) -> bool:
    with contextlib.suppress(EngineUnavailable), engine_of(address):
        return True
    return False


def capacity_of(engine: DaskEngine) -> int | None:
    with contextlib.suppress(EngineUnavailable):
        return engine.capacity()
    return None


class Site:
    """A namespace, and supervisors of it that have their tasks run by the cluster."""

    def __init__(self, address: str, directory: Path) -> None:
        self.address, self.directory = address, directory
        self.url, self.namespace = running("redis8").url, f"dask-{uuid.uuid4().hex[:8]}"
        self.scheduler = Scheduler(
            self.url, self.namespace, retry_delay=60.0, worker_disconnect_delay=5.0, send_messages=True
        )
        self.processes: list[Program] = []
        self.worker: Any = None  # the last one that was run in this process

    def task(self, kind: type[Any], name: str = "t") -> Any:
        return kind(directory=str(self.directory), name=name)

    def executor(self) -> JobExecutor:
        return JobExecutor(DaskEngine(self.address), self.scheduler, kill_after_seconds=2.0)

    def run(self, *tasks: Any, **options: Any) -> Any:
        """Schedule and supervise them in this process, to the end. Returns the summary."""
        options = {**QUICK, "kill_after": 1.0, "no_install_shutdown_handler": True, **options}
        with self.executor() as executor, Worker(self.scheduler, executor=executor, **options) as self.worker:
            for task in tasks:
                self.worker.add(task)
            self.worker.run()
            return self.worker.summary()

    @contextlib.contextmanager
    def while_running(self, *tasks: Any, **options: Any) -> Iterator[None]:
        """The same in a thread, which is waited for at the end."""
        with beside(self.run, *tasks, **options):
            yield

    def supervisor(self, *words: str) -> Program:
        """`bsched worker --executor dask`."""
        where = ("--redis", self.url, "--namespace", self.namespace, "--dask-scheduler", self.address)
        settings = [word for pair in ("wait_interval=0.05", "wait_jitter=0") for word in ("--set", pair)]
        return self.start("bsched.main", "worker", "--executor", "dask", *where, *settings, *words)

    def start(self, program: str, *words: str) -> Program:
        """A Python program with `-m`. What it says is in the directory's log."""
        with open(self.directory / "log", "a") as said:
            more: dict[str, Any] = {"env": environment_with(), "cwd": self.directory, "stdout": said, "stderr": said}
            process = Program(*words, program=program, **more)
        self.processes.append(process)
        return process

    def submit(self, *tasks: Any) -> None:
        """Schedule them for others."""
        with Worker(self.scheduler, **QUICK) as worker:
            for task in tasks:
                worker.add(task)

    def go(self) -> None:
        """Let what waits end."""
        (self.directory / "go").touch()

    def seen(self, task: Any) -> dict[str, Any]:
        return dict(self.scheduler.task_list(limit=False).get(task.task_id, {}))

    def status(self, task: Any) -> str:
        return str(self.seen(task).get("status", ""))

    def runner(self, task: Any) -> str:
        """The worker that its job is; "" before that has taken the run over."""
        worker = str(self.seen(task).get("worker_running") or "")
        return worker if "/" in worker else ""

    def reason(self, task: Any) -> str:
        return str(self.scheduler.fetch_error(task.task_id)["error"] or "")

    def ends(self, task: Any) -> list[str]:
        """How its runs have ended, the first one first."""
        return [each["outcome"] for each in self.scheduler.task_details(task.task_id)["attempts"]]

    def begins(self, task: Any, times: int = 1) -> psutil.Process:
        """Wait until it runs for the so-manieth time; return the process of the job, the parent of the task's."""
        until(lambda: len(runs_of(task)) >= times, "the task runs", seconds=60.0)
        return psutil.Process(runs_of(task)[-1].work_horse)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.scheduler.close()


@pytest.fixture
def site(cluster: Any, tmp_path: Path) -> Iterator[Site]:
    made = Site(cluster.scheduler_address, tmp_path)
    yield made
    made.go()
    made.end()


def test_many_tasks_run_once_each_and_after_their_deps(site: Site) -> None:
    tasks = [Layered(str(site.directory), LAYERS - 1, column, WIDTH) for column in range(WIDTH)]
    summary = site.run(*tasks)
    assert not summary.groups.get("failed") and len(summary.groups["completed"]) == LAYERS * WIDTH
    runs = [line.split() for line in (site.directory / "runs").read_text().splitlines()]
    assert len(runs) == len({name for name, _ in runs}) == LAYERS * WIDTH
    assert len({job for _, job in runs}) == LAYERS * WIDTH, "each job is a process of its own"
    assert site.scheduler.verify() == []


def test_a_job_is_a_worker_of_its_own_and_its_log_is_kept(site: Site) -> None:
    task = site.task(Waiting)
    with site.while_running(task):
        job, runner = site.begins(task), site.runner(task)
        told = {each["name"]: each for each in site.scheduler.worker_list()}[runner]
        assert told["pid"] == job.pid
        until(lambda: "waiting for go" in (site.scheduler.task_log(task.task_id)["log"] or ""), "its output is kept")
        site.go()
    assert site.status(task) == "DONE"


@only_by_night  # test_jobs.py
def test_a_failure_is_told_with_its_trace_and_counted_once(site: Site) -> None:
    task = site.task(Failing)
    site.run(task)
    assert "no such customer" in site.reason(task)
    assert site.ends(task) == ["FAILED"]


def test_a_stop_ends_the_task_and_all_that_it_has_started_and_nothing_else(site: Site, cluster: Any) -> None:
    task, beside = site.task(Starting), site.task(Waiting, "beside")
    pids = site.directory / "t.pids"
    with site.while_running(task, beside):
        site.begins(task)
        site.begins(beside)
        programs = [int(pid) for pid in pids.read_text().split()]
        site.scheduler.stop_task(task.task_id)
        until(lambda: site.status(task) == "FAILED", "the task is stopped")
        until(lambda: not any(map(is_alive, programs)), "its programs have ended")
        site.go()
    assert "stop_task" in site.reason(task)
    assert site.status(beside) == "DONE"


@only_by_night  # test_jobs.py
def test_a_timeout_ends_the_task(site: Site) -> None:
    task = site.task(Limited)
    site.run(task)
    assert "timeout" in site.reason(task)


@only_by_night  # test_jobs.py
def test_a_message_reaches_a_running_task(site: Site) -> None:
    task = site.task(Answering)
    with site.while_running(task):
        runner = until(lambda: site.runner(task), "its job has taken the run over")
        sent = site.scheduler.send_scheduler_message(runner, task.task_id, "it?")["message_id"]
        answer: Any = lambda: site.scheduler.get_scheduler_message_response(task.task_id, sent)["response"]  # noqa: E731
        assert until(answer, "the task answers") == "half of it?"
    assert site.status(task) == "DONE"


@pytest.mark.parametrize("times", by_night([3, 0], [3]), ids="Dask runs lost jobs again {} times".format)
def test_a_killed_dask_worker_gives_its_tasks_back_and_they_run_once_more(
    site: Site, cluster: Any, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """When Dask runs the lost job again by itself, that one finds the run given back, or handed out again."""
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", times)
    task = site.task(Waiting)
    with site.while_running(task):
        job = site.begins(task)
        job.parent().parent().kill()  # type: ignore[union-attr]  # between them is the host
        site.begins(task, 2)
        until(lambda: not is_alive(job.pid), "the first job has ended")
        site.go()
    assert site.status(task) == "DONE"
    assert site.ends(task)[0] == "PENDING" and "FAILED" not in site.ends(task)
    assert len(runs_of(task)) == 2


def test_a_killed_job_is_reported_at_once_with_its_host(site: Site) -> None:
    task = site.task(Waiting)
    with site.while_running(task):
        job = site.begins(task)
        process = runs_of(task)[0].task_process
        job.kill()
        until(lambda: site.status(task) == "FAILED", "the failure is told")
        until(lambda: not is_alive(process), "the task's process ends")
    assert "its job was killed" in site.reason(task)


def test_a_lost_supervisor_leaves_what_runs_to_the_job(site: Site) -> None:
    task = site.task(Waiting)
    site.submit(task)
    supervisor = site.supervisor()
    site.begins(task)
    supervisor.kill()
    supervisor.wait()
    site.go()
    until(lambda: site.status(task) == "DONE", "the job reports by itself")
    assert len(runs_of(task)) == 1


@only_by_night  # a test below and test_job_executor.py
def test_what_runs_is_not_failed_by_the_loss_of_the_dask_scheduler(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ASK_SECONDS", "END_SECONDS"):
        monkeypatch.setattr(job_executor, name, 0.5)
    place = ("--host", "127.0.0.1", "--port", str(free_port()), "--dashboard-address", ":0")
    site.address = f"tcp://127.0.0.1:{place[3]}"
    dask_scheduler = site.start("dask", "scheduler", *place)
    until(lambda: answers(site.address), "the Dask scheduler listens")
    site.start("dask", "worker", site.address, *("--nthreads", "1", "--no-nanny", "--dashboard-address", ":0"))
    task = site.task(Waiting)
    with site.while_running(task):
        site.begins(task)
        dask_scheduler.kill()
        dask_scheduler.wait()
        assert site.status(task) == "RUNNING"
        site.go()
    assert site.status(task) == "DONE" and len(runs_of(task)) == 1


def test_a_job_that_begins_too_late_does_nothing(site: Site) -> None:
    """As one that waited in Dask's queue while its supervisor was lost."""
    task = site.task(InDirectory)
    site.submit(task)
    work = site.scheduler.get_work(worker="supervisor", assistant=True)
    with site.executor() as executor:
        run = executor.run_of(task, RunOptions("supervisor"), 0.0)
    site.scheduler.release_task(task.task_id, "supervisor", attempt=work["attempt"])
    with engine_of(site.address) as engine:
        engine.submit("late", {**run.spec, "attempt": work["attempt"], "worker": "supervisor/1"})
        [end] = until(lambda: engine.wait_for_ends(1.0), "the job has ended")
    assert end.returned["status"] == "SUPERSEDED"
    assert runs_of(task) == [] and site.status(task) == "PENDING"


def test_a_job_for_which_there_is_no_dask_worker_is_withdrawn_for_good() -> None:
    with empty_cluster() as empty, engine_of(empty.scheduler_address) as engine:
        assert engine.capacity() == 0
        assert not engine.withdraw("nobody's")
        engine.submit("waits", {"task_id": "t"})
        engine.submit("waits", {"task_id": "t"})
        until(lambda: engine.withdraw("waits"), "it was submitted, and is withdrawn")
        assert not empty.scheduler.tasks
        assert engine.wait_for_ends(0.1) == []


def test_jobs_may_live_when_the_dask_scheduler_is_lost_and_a_new_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "CONNECT_SECONDS", 0.5)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with contextlib.ExitStack() as later:
        with empty_cluster(port):
            engine = later.enter_context(engine_of(address))
            engine.submit("one", {"task_id": "t"})
        [end] = until(lambda: engine.wait_for_ends(1.0), "its end is told")
        assert (end.job_id, end.returned, end.is_hosts_fault, end.may_live) == ("one", None, True, True)
        assert "its Dask scheduler was lost" in end.why
        threads = threading.active_count()
        for _ in range(3):
            with pytest.raises(EngineUnavailable, match=address):
                engine.capacity()
        assert threading.active_count() <= threads, "each attempt ends its threads"
        with empty_cluster(port) as another:
            until(lambda: capacity_of(engine) == 0, "it is used")
            engine.submit("two", {"task_id": "t"})
            until(lambda: "two" in another.scheduler.tasks, "a job is submitted")


def test_what_can_not_be_used_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "CONNECT_SECONDS", 0.2)
    with pytest.raises(ConfigurationError, match=r"such as tcp://host:8786"):
        DaskEngine("no address").connect()
    with pytest.raises(EngineUnavailable, match=r"The Dask scheduler at tcp://127\.0\.0\.1:1 can't be reached"):
        DaskEngine("tcp://127.0.0.1:1").connect()
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'broker-sched\[dask\]'"):
        DaskEngine("tcp://host:8786")
    words = ["worker", "--executor", "dask", "--dask-scheduler", "tcp://host:8786"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2 and "pip install 'broker-sched[dask]'" in result.output
    assert CliRunner().invoke(cli, ["worker", "--help"]).exit_code == 0, "who has no Dask misses nothing"


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (("--executor", "dask"), 2, "give --dask-scheduler tcp://host:8786"),
        (("--dask-scheduler", "tcp://127.0.0.1:1"), 2, "give --executor dask with it"),
        (("--executor", "dask", "--dask-scheduler", "nowhere"), 2, "no address of a Dask scheduler"),
        (("--executor", "dask", "--dask-scheduler", "tcp://127.0.0.1:1"), 3, "can't be reached"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_command_says_what_to_give(
    words: tuple[str, ...], exit_code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "CONNECT_SECONDS", 0.2)
    given = ["worker", "--burst", "--redis", running("redis8").url, *words]
    result = CliRunner().invoke(cli, given, env={"DASK_SCHEDULER_ADDRESS": None})
    assert (result.exit_code, said in result.output) == (exit_code, True), result.output


def test_a_dask_worker_without_broker_sched_says_so() -> None:
    run = cloudpickle.loads(cloudpickle.dumps(job_function()))
    told = json.loads(run("{}", module="broker_sched.not_there"))
    assert told["is_hosts_fault"] and told["returned"] is None
    assert socket.gethostname() in told["why"] and "Install broker-sched" in told["why"]


def test_a_module_that_the_dask_workers_lack_goes_back_with_host_and_fix(site: Site) -> None:
    """What others scheduled, and can load, is not failed by a cluster that can't."""
    (site.directory / "not_there.py").write_text((Path(__file__).parent / "plain_tasks.py").read_text())
    sys.path.insert(0, str(site.directory))
    try:
        import not_there  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(site.directory))
    task = not_there.Layered(str(site.directory), 0, 0, 1)
    site.submit(task)
    with site.while_running(assistant=True, keep_alive=True):
        until(lambda: "PYTHONPATH" in site.reason(task), "the reason is told")
        site.worker.stop_asking()
    assert "not_there" in site.reason(task) and site.status(task) == "PENDING"
