"""luigid with a running load is ended, its state imported, and `bsched server` takes its port: the workers go on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from broker_sched import Scheduler
from tests.documents import environment_of
from tests.e2e.luigi_run import FAILING, TASKS, LuigiRun
from tests.harness import RedisProcess, ServerProcess
from tests.programs import Ended, Program
from tests.servers import die_with_parent, free_port, until

pytestmark = pytest.mark.timeout(240)
WORKERS = 3
SCHEDULER_CFG = "[scheduler]\nretry_delay = 1\n"


class Luigid:
    """A stock luigid of our own."""

    def __init__(self, directory: Path, port: int) -> None:
        self.state = directory / "state.pickle"
        directory.mkdir()
        (directory / "luigi.cfg").write_text(SCHEDULER_CFG)
        code = "import sys; from luigi.cmdline import luigid; sys.exit(luigid())"
        arguments = ["--port", str(port), "--address", "127.0.0.1", "--state-path", str(self.state)]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, *arguments],
            cwd=directory,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        own = psutil.Process(self.process.pid)
        until(lambda: any(each.laddr.port == port for each in own.net_connections()), "luigid listens")

    def end(self) -> None:
        """SIGTERM: it writes its state."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def luigi_run(tmp_path: Path) -> Iterator[LuigiRun]:
    """The luigi processes, ended with the test."""
    run = LuigiRun(tmp_path)
    yield run
    run.close()


def test_luigis_workers_go_on_after_the_move_and_nothing_that_was_done_runs_again(
    tmp_path: Path, luigi_run: LuigiRun, mortal_redis: RedisProcess
) -> None:
    port = free_port()
    luigid = Luigid(tmp_path / "luigid", port)
    try:
        for _ in range(WORKERS):
            luigi_run.start(f"http://127.0.0.1:{port}")
        luigi_run.await_runs(TASKS // 3)
        luigid.end()
    finally:
        luigid.kill()
    environment = environment_of(tmp_path, BSCHED_REDIS=mortal_redis.url)
    done = Ended(Program("import-luigi", str(luigid.state), "--json", env=environment))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["tasks"], told["workers"], told["left"]) == (TASKS, WORKERS, [])
    with closing(Scheduler(mortal_redis.url)) as scheduler:
        assert scheduler.verify() == []
        before = {status: scheduler.task_list(status=status) for status in ("DONE", "RUNNING", "PENDING")}
        assert len(before["DONE"]) >= TASKS // 3 - FAILING - 3 * WORKERS
        assert before["PENDING"]
        server = ServerProcess(
            *("--port", str(port), "--redis", mortal_redis.url, "--set", "retry_delay=1"), environment={}
        ).await_ready()
        try:
            assert luigi_run.wait() == [0] * WORKERS, luigi_run.logs()
            assert set(scheduler.task_list(status="DONE")) == luigi_run.counts("done").keys()
        finally:
            server.stop()
        counts = luigi_run.counts("done")
        assert len(counts) == TASKS
        assert {task_id: count for task_id, count in counts.items() if count != 1} == {}
        assert scheduler.verify() == []
