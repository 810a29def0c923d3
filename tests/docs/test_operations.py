"""Every command of docs/operations.md, run in the order in which it stands there (ports and Redis apart)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker_sched import Scheduler
from broker_sched.tasks.loading import load_task
from bsched.main import cli
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

class Broken(MyTask):
    name: str = "broken"
    def run(self): raise ValueError("no such table: sales")
"""
STAYING = ("bsched server ", "bsched worker --", "rq worker-pool ")  # until they are stopped
SAYS = {  # what a command's output must have in it
    "bsched submission list": "submission-",
    "bsched wait": "1 DONE",
    "bsched submission cancel": "submission-",
    "bsched status": "1 active",
    "bsched family list": "no such table: sales",
    "bsched task why": "is DONE",
    "bsched task show": "last runs",
    "bsched failures --since 1h": "Broken",
    "bsched task list": "Broken",
    "bsched task retry": "PENDING again",
    "bsched worker list": "etl-1",
    "bsched worker show": "failed last",
    "bsched pause": "handed out",
    "bsched resource show": "0 of 4",
    "bsched events": TASK,
    "bsched namespace list": "default",
    "bsched redis keys": "bsched:{default}:task:",
    "bsched task logs": "at work",
    "bsched graph": "MyTask(name=x)  DONE",
    "bsched export backup": "Exported",
    "bsched import": "into namespace restored",
    "bsched migrate": "has schema",
    "redis-cli XREVRANGE": TASK,
    "redis-cli CONFIG": "noeviction",
    "redis-cli INFO": "used_memory:",
    "rq info": "bsched",
}


NAMES = {"TASK": TASK, "FAMILY": "MyTask", "WORKER": "etl-1", "RESOURCE": "db"}  # for what the table says


def commands_in_table() -> list[str]:
    """The commands in the table on top."""
    table = DOCUMENT.read_text().partition("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    return [command for row in rows for command in re.findall(r"`(bsched [^`]+)`", row)]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path_factory.mktemp("redis"), "--maxmemory-policy", "noeviction")
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
            if line == "bsched status":  # what is below is about a fleet where something has failed
                run_line("bsched submit my_pipeline Broken", environment, tmp_path)
            if line == "bsched status" or "--retry --yes" in line:  # a retry before it has begun another run
                failed = "bsched task list --family Broken --status FAILED"
                until(lambda failed=failed: run_line(failed, environment, tmp_path), "a task has failed")
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


@pytest.mark.parametrize("command", commands_in_table())
def test_every_command_of_the_table_answers_its_question(redis: RedisProcess, command: str) -> None:
    redis.client.flushall()
    with closing(Scheduler(redis.url, prune_interval_seconds=None)) as scheduler:
        scheduler.add_worker(worker="etl-1", info={"workers": 1})
        scheduler.update_resources(db=1)
        for task_id in (TASK, "MyTask_y_0123456789"):
            scheduler.add_task(worker="etl-1", task_id=task_id, family="MyTask", resources={"db": 1})
        assert scheduler.get_work(worker="etl-1")["task_id"] == TASK
        scheduler.set_task_log(task_id=TASK, log="at work", size=7)
    words = [NAMES.get(word, word) for word in shlex.split(command)[1:]]
    how = ["--yes"] if "retry" in command else ["--yes", "--force"] if "forget" in command else []
    said = CliRunner().invoke(cli, [*words, *how], env={"BSCHED_REDIS": redis.url, "BSCHED_NAMESPACE": "default"})
    assert said.exit_code == 0, said.output
    assert said.output


def test_the_document_speaks_of_the_task_that_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "operated_pipeline.py").write_text(PIPELINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_task("operated_pipeline", "MyTask", {"name": "x"}).task_id == TASK


def test_every_promise_about_a_commands_output_is_kept_for_some_command() -> None:
    for start in SAYS:
        assert any(line.startswith(start) for line in commands_of(DOCUMENT)), start
