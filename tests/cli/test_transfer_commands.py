"""`bsched export`, `import`, `import-luigi` and `migrate` as people and pipes use them."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker_sched import Scheduler
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler.transfer.lines import FIRST_NUMBER, FORMAT, HeaderLine, LineWriter, TaskLine
from broker_sched.this_user import user_at_host
from bsched.main import cli
from tests.documents import environment_of
from tests.dumps import dumps_of, load
from tests.harness import RedisProcess
from tests.programs import Ended, Program, environment_with
from tests.servers import until

STATES = Path(__file__).parents[1] / "luigi_state"


@pytest.fixture
def source(own_redis: RedisProcess) -> Iterator[Scheduler]:
    own_redis.client.flushall()
    with closing(Scheduler(own_redis.url, "source", prune_interval_seconds=None)) as scheduler:
        scheduler.add_task(worker="w", task_id="a", family="F")
        scheduler.add_task(worker="w", task_id="b", family="F", deps=["a"])
        yield scheduler


def run(*words: str, redis: RedisProcess, namespace: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--redis", redis.url, "--namespace", namespace])


def test_a_file_goes_out_and_in(source: Scheduler, own_redis: RedisProcess, tmp_path: Path) -> None:
    file = tmp_path / "backup.jsonl"
    out = run("export", str(file), redis=own_redis, namespace="source")
    assert (out.exit_code, out.stdout) == (0, "Exported 2 tasks and 1 workers of namespace source.\n"), out.output
    assert [each.name for each in tmp_path.iterdir()] == ["backup.jsonl"]
    told = run("import", str(file), redis=own_redis, namespace="copy")
    assert (told.exit_code, told.stdout) == (0, "Imported 2 tasks and 1 workers into namespace copy.\n"), told.output
    with closing(Scheduler(own_redis.url, "copy")) as copy:
        assert copy.task_list() == source.task_list()
        assert copy.verify() == []
        (record,) = copy.audit()["records"]
    assert (record["method"], record["who"], record["tasks"]) == ("import", user_at_host(), 2)
    assert (record["arguments"], record["result"]) == ({"tasks": 2, "workers": 1}, "done")


def test_only_a_file_is_replaced_by_an_export(source: Scheduler, own_redis: RedisProcess, tmp_path: Path) -> None:
    real, link, pipe = (tmp_path / name for name in ("real", "link", "pipe"))
    real.touch()
    link.symlink_to(real)
    assert run("export", str(link), redis=own_redis, namespace="source").exit_code == 0
    assert link.is_symlink() and real.read_bytes()
    os.mkfifo(pipe)
    with open(os.open(pipe, os.O_RDWR), "rb") as reader:  # both ends, so that nobody waits for the other
        assert run("export", str(pipe), redis=own_redis, namespace="source").exit_code == 0
        assert json.loads(reader.readline())["format"] == FORMAT
    assert pipe.is_fifo()


@pytest.mark.parametrize(("file", "why"), [("/", "Is a directory"), ("{}/full", "No space left on device")])
def test_what_can_not_be_written_is_told_in_a_line(
    source: Scheduler, own_redis: RedisProcess, tmp_path: Path, file: str, why: str
) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    done = run("export", file.format(tmp_path), redis=own_redis, namespace="source")
    assert (done.exit_code, done.stderr) == (1, f"Error: {file.format(tmp_path)} can't be written: {why}.\n")
    assert (tmp_path / "full").is_symlink() and Path("/dev/full").is_char_device()


def test_an_answer_for_which_there_is_no_room_is_an_error(source: Scheduler, own_redis: RedisProcess) -> None:
    with open("/dev/full", "w") as full:
        done = Ended(Program("task", "list", "--redis", own_redis.url, "--namespace", "source", stdout=full))
    assert done.stderr.startswith("Error: What this command writes finds no room: No space left on device.\n")
    assert done.returncode != 0


def test_one_command_writes_what_the_other_reads(source: Scheduler, own_redis: RedisProcess, tmp_path: Path) -> None:
    line = "bsched export --namespace source | bsched import --namespace piped --json"
    environment = environment_of(tmp_path, BSCHED_REDIS=own_redis.url)
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == {"namespace": "piped", "tasks": 2, "workers": 1}, done.stderr
    assert done.stderr == "Exported 2 tasks and 1 workers of namespace source.\n"
    line = "bsched export --namespace source | head -c 300 | bsched import --namespace cut"
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "The file is truncated" in done.stderr
    assert own_redis.client.keys("bsched:{cut}:*") == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_an_import_and_nothing_of_it_is_there(
    number: signal.Signals, code: int, own_redis: RedisProcess, tmp_path: Path
) -> None:
    own_redis.client.flushall()
    file = tmp_path / "large.jsonl"
    with file.open("wb") as target:
        writer = LineWriter(target)
        writer.write(HeaderLine(format=FORMAT, schema=SCHEMA_VERSION, version="1", namespace="n", time=1.0))
        for index in range(8000):
            told = {"number": FIRST_NUMBER + 1 + index, "created": 1.0, "updated": 1.0}
            writer.write(TaskLine(id=f"t{index}", status="PENDING", family="F", deps=[f"t{index + 1}"], **told))
        writer.close()
    process = Program("import", str(file), "--namespace", "ended", env=environment_with(BSCHED_REDIS=own_redis.url))
    until(lambda: own_redis.client.exists("bsched:{ended}:ids"), "tasks are brought in")
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (code, "Nothing was imported.\n")
    assert own_redis.client.keys("bsched:{ended}:*") == []


@pytest.mark.parametrize("words", [("export", "missing/x.jsonl"), ("import", "missing.jsonl"), ("import-luigi", "no")])
def test_a_file_that_is_not_there_is_named(source: Scheduler, own_redis: RedisProcess, words: tuple[str, str]) -> None:
    result = run(*words, redis=own_redis, namespace="source")
    assert result.exit_code == 1
    assert f"{words[1]} can't be" in result.stderr and "No such file" in result.stderr


def test_an_import_into_a_namespace_with_tasks_is_refused(
    source: Scheduler, own_redis: RedisProcess, tmp_path: Path
) -> None:
    file = tmp_path / "backup.jsonl"
    run("export", str(file), redis=own_redis, namespace="source")
    for words in (("import", str(file)), ("import-luigi", str(STATES / "luigi-2.8.0.pickle"))):
        result = run(*words, redis=own_redis, namespace="source")
        assert result.exit_code == 1
        assert "Namespace source is not empty" in result.stderr
    assert set(source.task_list()) == {"a", "b"}


def test_the_state_of_a_luigid_is_imported_and_what_was_left_out_is_told(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    own_redis.client.flushall()
    result = run("import-luigi", str(STATES / "luigi-3.0.3.pickle"), redis=own_redis, namespace="moved")
    assert (result.exit_code, result.stdout) == (0, "Imported 11 tasks and 3 workers into namespace moved.\n")
    hostile = tmp_path / "state.pickle"
    hostile.write_bytes(b"cos\nsystem\n(Vtouch canary\ntR.")
    result = run("import-luigi", str(hostile), redis=own_redis, namespace="other")
    assert result.exit_code == 1
    assert "it names os.system, which is no part of luigi's state. Nothing was imported." in result.stderr
    import luigi.scheduler

    task = object.__new__(luigi.scheduler.Task)
    task.__dict__.update(id="t", status="RUNNING", time=1.0, worker_running=None)
    hostile.write_bytes(pickle.dumps(({"t": task}, {}, {})))
    result = run("import-luigi", str(hostile), redis=own_redis, namespace="other")
    assert result.stdout.splitlines() == [
        "Imported 1 tasks and 0 workers into namespace other.",
        "  1 times: a task that was RUNNING, on no worker, is PENDING (t)",
    ]


def test_a_namespace_of_an_earlier_release_is_migrated(own_redis: RedisProcess) -> None:
    own_redis.client.flushall()
    load(own_redis.client, "bsched:{old}:", next(dump for dump in dumps_of("3") if dump.stem == "midway"))
    refused = run("verify", redis=own_redis, namespace="old")
    assert refused.exit_code == 1
    assert "has schema version 3" in refused.stderr and "`bsched migrate`" in refused.stderr
    done = run("migrate", redis=own_redis, namespace="old")
    assert done.stdout == f"Namespace old went from schema 3 to {SCHEMA_VERSION}; start the new release.\n", done.output
    again = run("migrate", "--json", redis=own_redis, namespace="old")
    assert json.loads(again.stdout) == {"namespace": "old", "from": SCHEMA_VERSION, "to": SCHEMA_VERSION}
    assert run("verify", redis=own_redis, namespace="old").exit_code == 0
    (record,) = map(json.loads, run("audit", "--json", redis=own_redis, namespace="old").stdout.splitlines())
    assert (record["method"], record["who"]) == ("migrate", user_at_host())
    assert record["arguments"] == {"from": "3", "to": SCHEMA_VERSION}
