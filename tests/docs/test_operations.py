"""Every command of docs/operations.md, run in the order in which it stands there (ports and Redis apart)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from broker_sched import Scheduler
from broker_sched.tasks.loading import load_task
from tests.documents import ROOT, commands_of, environment_of, run_line
from tests.harness import RedisProcess
from tests.programs import BSCHED, DEVNULL, Program
from tests.servers import found_redis_cli, free_port, until

DOCUMENT = ROOT / "docs" / "operations.md"
TASK = "MyTask_x_5cf8efb685"
PIPELINE = """
from broker_sched import LocalTarget, Task

class MyTask(Task):
    name: str = "x"
    def output(self): return LocalTarget(self.name)
    def run(self):
        print("at work")
        with self.output().open("w") as file: file.write("done")
"""
STAYING = ("bsched server ", "bsched worker ", "rq worker-pool ")  # until they are stopped
SAYS = {  # what a command's output must have in it
    "bsched submission list": "submission-",
    "bsched wait": "1 DONE",
    "bsched submission cancel": "submission-",
    "bsched call --url": "paused",
    "bsched call worker_list": "assistant",
    "bsched task logs": "at work",
    "bsched graph": "MyTask(name=x)  DONE",
    "bsched export backup": "Exported",
    "bsched import": "into namespace restored",
    "bsched migrate": "has schema",
    "redis-cli XREVRANGE": TASK,
    "redis-cli CONFIG": "noeviction",
    "redis-cli INFO": "used_memory:",
    "bsched call update_resource": "true",
    "rq info": "bsched",
}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path, "--maxmemory-policy", "noeviction")
    yield process
    process.kill()


def test_every_command_works_in_the_order_of_the_document(redis: RedisProcess, tmp_path: Path) -> None:
    (tmp_path / "my_pipeline.py").write_text(PIPELINE)
    environment = environment_of(tmp_path, BSCHED_REDIS=redis.url, BSCHED_NAMESPACE="default")
    port = str(free_port())
    running: list[Program] = []
    try:
        for line in commands_of(DOCUMENT):
            if line.startswith("redis-cli ") and not found_redis_cli():
                continue  # no wheel for this Python has one
            here = line.replace("8082", port).replace("redis-cli ", f"redis-cli -p {redis.port} ")
            if line.startswith(STAYING):
                words = shlex.split(here)
                words = [word.replace("$BSCHED_REDIS", redis.url) for word in words]
                program = str(Path(BSCHED).with_name(words[0]))
                running.append(Program(*words[1:], program=program, env=environment, cwd=tmp_path, stdout=DEVNULL))
                continue
            if line.startswith("rq info"):
                until(lambda here=here: "2 workers" in run_line(here, environment, tmp_path), "the pool is there")
            if line.startswith("bsched submission list"):
                until((tmp_path / "x").exists, "the fleet has run what was submitted")
            said = run_line(here, environment, tmp_path)
            assert all(text in said for start, text in SAYS.items() if line.startswith(start)), (line, said)
        with closing(Scheduler(redis.url)) as scheduler:
            assert scheduler.verify() == []
            assert scheduler.is_paused() == {"paused": False}
    finally:
        for process in running:
            process.terminate()
        codes = [process.wait(30) for process in running]
    assert codes == [0, 0, 0, 0]


def test_the_document_speaks_of_the_task_that_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "operated_pipeline.py").write_text(PIPELINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_task("operated_pipeline", "MyTask", {"name": "x"}).task_id == TASK


def test_every_promise_about_a_commands_output_is_kept_for_some_command() -> None:
    for start in SAYS:
        assert any(line.startswith(start) for line in commands_of(DOCUMENT)), start
