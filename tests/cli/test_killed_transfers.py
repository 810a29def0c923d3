"""`bsched export` and `bsched migrate` are killed in the middle, by kill -9, and called again: all is whole then."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker_sched import Scheduler
from broker_sched.redis_backend.namespace import Namespace
from bsched.main import cli
from tests.dumps import dumps_of, load
from tests.harness import RedisProcess
from tests.nightly import by_night
from tests.programs import Ended, Program

# Carries out a command line, a few tasks at a time, and is killed once so many scripts have run.
KILLED_AFTER = """
import os, signal, sys
from broker_sched.redis_backend.sync_connection import SyncConnection
from broker_sched.scheduler.integrity import migrations
from broker_sched.scheduler.transfer import exporting
migrations.TASKS_AT_ONCE = exporting.TASKS_READ = 3
exporting.SCRIPTS_SENT = 1
sent, send = 0, SyncConnection.send
def counted(self, commands, reads_only=False):
    global sent
    replies = send(self, commands, reads_only)
    sent += any(command[0] == 'EVALSHA' for command in commands)
    if sent == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return replies
SyncConnection.send = counted
from bsched.main import cli
cli(sys.argv[2:])
"""
MOMENTS = by_night(range(2, 30), (5,))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """What carries a command out and is killed."""
    (tmp_path / "script").mkdir()
    path = tmp_path / "script" / "killed_after.py"
    path.write_text(KILLED_AFTER)
    return path


def killed(script: Path, after: int, *words: str) -> bool:
    """Carry the command out, to be killed after so many scripts; False: it had ended before."""
    done = Ended(Program(str(after), *words, program=str(script)))
    assert done.returncode in (0, -signal.SIGKILL), done
    return done.returncode != 0


def run(*words: str) -> Result:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def where(own_redis: RedisProcess) -> Iterator[list[str]]:
    own_redis.client.flushall()
    yield ["--redis", own_redis.url, "--namespace", "killed"]


@pytest.mark.parametrize("after", MOMENTS)
def test_a_migration_that_was_killed_goes_on_and_ends_whole(
    own_redis: RedisProcess, where: list[str], script: Path, after: int
) -> None:
    (dump,) = (each for each in dumps_of("3") if each.stem == "everything")
    load(own_redis.client, Namespace.named("killed").prefix, dump)
    is_killed = killed(script, after, "migrate", *where)
    if is_killed and after > 3:
        assert own_redis.client.hget(Namespace.named("killed").key("config"), "schema") == "3>4", "in the middle"
    run("migrate", *where)
    with closing(Scheduler(own_redis.url, "killed", prune_interval_seconds=None)) as scheduler:
        assert scheduler.verify() == []
        assert scheduler.task_list(limit=False)


@pytest.mark.parametrize("after", MOMENTS)
def test_an_export_that_was_killed_leaves_nothing_that_can_be_imported_and_the_next_one_is_whole(
    own_redis: RedisProcess, where: list[str], script: Path, after: int, tmp_path: Path
) -> None:
    with closing(Scheduler(own_redis.url, "killed", prune_interval_seconds=None)) as scheduler:
        scheduler.add_tasks(worker="w", tasks=[{"task_id": f"t{n}", "family": f"F{n % 3}"} for n in range(40)])
        file, old = tmp_path / "new.jsonl", tmp_path / "old.jsonl"
        old.write_text("what was there before")
        for target in (file, old):
            if killed(script, after, "export", str(target), *where):
                assert not file.exists() and old.read_text() == "what was there before"
        for left in tmp_path.iterdir():
            if left not in (file, old, script.parent):  # what was written so far
                refused = CliRunner().invoke(
                    cli, ["import", str(left), "--redis", own_redis.url, "--namespace", "copy"]
                )
                assert refused.exit_code == 1, refused.output
        run("export", str(old), *where)
        run("import", str(old), "--redis", own_redis.url, "--namespace", "copy")
        with closing(Scheduler(own_redis.url, "copy", prune_interval_seconds=None)) as copy:
            assert copy.task_list(limit=False) == scheduler.task_list(limit=False)
            assert copy.verify() == []
    assert json.loads(old.read_text().splitlines()[-1])
