"""What holds for every command alike. A new command needs an example here, and is walked with all others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from broker_sched import Scheduler
from broker_sched.contract.roles import Role
from broker_sched.redis_backend import recovery
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler import scheduler as scheduler_module
from broker_sched.scheduler.operations.tokens import create_token
from broker_sched.scheduler.transfer.lines import FORMAT, HeaderLine, LineWriter
from bsched.exit_codes import UNREACHABLE, WRONG_USAGE
from bsched.main import cli
from tests.harness import RedisProcess
from tests.servers import free_port

TASK = "Made_made_ab12cd34ef"
# Each command with arguments that it takes.
EXAMPLES = {
    "audit": ["audit"],
    "call": ["call", "task_list"],
    "config": ["config"],
    "config from-luigi": ["config", "from-luigi", "walked.cfg"],
    "config get": ["config", "get", "retry_delay"],
    "config set": ["config", "set", "retry_delay=60"],
    "config unset": ["config", "unset", "retry_delay"],
    "critical-path": ["critical-path", TASK],
    "events": ["events"],
    "export": ["export", "written.jsonl"],
    "failures": ["failures"],
    "family dates": ["family", "dates"],
    "family list": ["family", "list"],
    "graph": ["graph", TASK],
    "import": ["import", "walked.jsonl"],
    "import-luigi": ["import-luigi", str(Path(__file__).parents[1] / "luigi_state" / "luigi-3.0.3.pickle")],
    "migrate": ["migrate"],
    "namespace delete": ["namespace", "delete", "json", "--yes", "--force"],
    "namespace list": ["namespace", "list"],
    "pause": ["pause"],
    "redis acl": ["redis", "acl"],
    "redis keys": ["redis", "keys", TASK],
    "redis start": ["redis", "start"],
    "redis status": ["redis", "status"],
    "redis stop": ["redis", "stop"],
    "resource list": ["resource", "list"],
    "resource set": ["resource", "set", "db", "2"],
    "resource show": ["resource", "show", "db"],
    "resource unset": ["resource", "unset", "db"],
    "resume": ["resume"],
    "run": ["run", "walked_module", "Made"],
    "server": ["server", "--port", "0"],
    "session list": ["session", "list"],
    "session revoke": ["session", "revoke", "--all"],
    "status": ["status"],
    "submission cancel": ["submission", "cancel", "submission-1"],
    "submission list": ["submission", "list"],
    "submission show": ["submission", "show", "submission-1"],
    "submit": ["submit", "walked_module", "Made"],
    "task deps": ["task", "deps", "Needing_x"],
    "task disable": ["task", "disable", "Other_x"],
    "task done": ["task", "done", TASK],
    "task enable": ["task", "enable", "Disabled_x"],
    "task forgive": ["task", "forgive", "Disabled_x"],
    "task list": ["task", "list"],
    "task message": ["task", "message", TASK, "how far?", "--wait", "0"],
    "task logs": ["task", "logs", TASK],
    "task remove": ["task", "remove", "Other_x"],
    "task retry": ["task", "retry", "Disabled_x"],
    "task show": ["task", "show", TASK],
    "task stop": ["task", "stop", TASK],
    "task why": ["task", "why", TASK],
    "timeline": ["timeline", "--by", "family"],
    "token create": ["token", "create", "--role", "worker"],
    "token list": ["token", "list"],
    "token revoke": ["token", "revoke", "TOKEN"],
    "top": ["top"],
    "user add": ["user", "add", "made", "--certificate", "--role", "viewer@*", "--users-file", "walked.users"],
    "user list": ["user", "list", "--users-file", "walked.users"],
    "user passwd": ["user", "passwd", "ann", "--users-file", "walked.users", "--password-file", "walked.users"],
    "user remove": ["user", "remove", "ann", "--users-file", "walked.users"],
    "verify": ["verify"],
    "wait": ["wait", "submission-1"],
    "worker": ["worker", "--burst", "--set", "patience=0"],
    "worker disable": ["worker", "disable", "w"],
    "worker drain": ["worker", "drain", "w"],
    "worker forget": ["worker", "forget", "w", "--force", "--yes"],
    "worker list": ["worker", "list"],
    "worker set-processes": ["worker", "set-processes", "w", "2"],
    "worker show": ["worker", "show", "w"],
}
PRIVATE = {"redis start", "redis status", "redis stop"}  # about the private Redis itself
WITHOUT_SCHEDULER = {*PRIVATE, "config from-luigi", "redis acl", "user add", "user list", "user passwd", "user remove"}
INTO_EMPTY = {"import", "import-luigi"}  # which want an empty namespace
MAKERS = {"config set", *INTO_EMPTY, "run", "server", "submit", "worker"}  # which make a namespace that is not there
RUN_ON = {"server", "top", "worker"}  # they run until they are stopped, and answer nothing that could be JSON
# A server has its Redis to itself: these are about what stands in Redis.
IN_REDIS = {"export", "import", "import-luigi", "migrate", "namespace delete", "namespace list", "redis keys", "verify"}
IN_REDIS |= {f"token {name}" for name in ("create", "list", "revoke")} | {"session list", "session revoke"}
DIRECT_ONLY = {*IN_REDIS, "server"}
NO_NAMESPACE = {"namespace delete", "namespace list"}  # about those that are there, one of which is named
ASKING = sorted(set(EXAMPLES) - WITHOUT_SCHEDULER)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No command asks twice, and a module with a task is there."""
    for module in (recovery, scheduler_module):
        monkeypatch.setattr(module, "DIRECT", recovery.DIRECT._replace(attempts=1))
    for variable in ("BSCHED_REDIS", "BSCHED_NAMESPACE"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "walked_module.py").write_text(
        "from broker_sched import Task\n"
        "class Made(Task):\n    def complete(self): return True\n    def run(self): pass\n"
    )
    (tmp_path / "walked.users").write_text("ann:$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2g:viewer@*\n")
    (tmp_path / "walked.cfg").write_text("[worker]\nkeep_alive = true\n")
    with (tmp_path / "walked.jsonl").open("wb") as file:
        writer = LineWriter(file)
        writer.write(HeaderLine(format=FORMAT, schema=SCHEMA_VERSION, version="1", namespace="n", time=1.0))
        writer.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def leaves(command: click.Command, *path: str) -> Iterator[str]:
    """All commands, as they are typed; a group that does something by itself is one, too."""
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    if path and command.invoke_without_command:
        yield " ".join(path)
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from leaves(inner, *path, name)


def run(*words: str) -> Result:
    result = CliRunner().invoke(cli, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_every_command_has_an_example_here() -> None:
    assert sorted(leaves(cli)) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", sorted(set(ASKING) - {"server"}))  # which answers 503 until Redis is there
def test_when_nobody_answers_the_exit_code_is_3(name: str) -> None:
    place = f"127.0.0.1:{free_port()}"
    result = run(*EXAMPLES[name], "--redis", f"redis://me:geheim@{place}")
    assert result.exit_code == UNREACHABLE, result.output
    assert "geheim" not in result.output
    assert "Redis" in result.stderr and place in result.stderr


@pytest.mark.parametrize("name", sorted(set(ASKING) - DIRECT_ONLY))
def test_when_no_server_answers_the_exit_code_is_3_too(name: str) -> None:
    place = f"127.0.0.1:{free_port()}"
    result = run(*EXAMPLES[name], "--scheduler-url", f"http://{place}")
    assert result.exit_code == UNREACHABLE, result.output
    assert place in result.stderr


@pytest.mark.parametrize("name", sorted(DIRECT_ONLY))
def test_what_no_server_does_takes_no_url(name: str) -> None:
    result = run(*EXAMPLES[name], "--scheduler-url", "http://127.0.0.1:1")
    assert result.exit_code == WRONG_USAGE and "No such option" in result.stderr


@pytest.mark.parametrize("name", sorted(set(ASKING) - MAKERS - NO_NAMESPACE))
def test_a_namespace_that_is_not_there_is_an_error_and_nothing_is_made(name: str, own_redis: RedisProcess) -> None:
    own_redis.client.flushall()
    nothing = run(*EXAMPLES[name], "--redis", own_redis.url, "--namespace", "cli")
    assert nothing.exit_code == 1
    assert "There is no namespace cli in Redis" in nothing.stderr and "nothing has used it yet" in nothing.stderr
    for there in ("orders", "staging"):
        Scheduler(own_redis.url, there).close()
    before = sorted(own_redis.client.keys())
    result = run(*EXAMPLES[name], "--redis", own_redis.url, "--namespace", "order")
    assert result.exit_code == 1
    assert "There is no namespace order in Redis" in result.stderr
    assert "Did you mean orders? There: orders, staging" in result.stderr
    assert sorted(own_redis.client.keys()) == before, "the look has made it"


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - RUN_ON))
def test_every_command_can_answer_in_json(name: str, own_redis: RedisProcess, tmp_path: Path) -> None:
    own_redis.client.flushall()
    with closing(Scheduler(own_redis.url, "json", prune_interval_seconds=None)) as scheduler:
        for worker in ("w", "submission-1"):
            scheduler.add_worker(worker=worker, info={})
            scheduler.add_task(worker=worker, task_id=TASK, family="Made", accepts_messages=True)
        scheduler.add_task(worker="w", task_id="Needing_x", family="Needing", deps=[TASK])
        scheduler.get_work(worker="w")
        scheduler.add_task(worker="w", task_id="Other_x", family="Other")
        scheduler.add_task(worker="w", task_id="Disabled_x", family="Disabled")
        scheduler.change_tasks(task_ids=["Disabled_x"], action="disable")
        scheduler.update_resources(db=3)
        scheduler.set_task_log(task_id=TASK, log="said", size=4)
        scheduler.add_submission(submission="submission-1", tasks=[TASK])
        scheduler.cancel_submission(submission="submission-1")
        token = scheduler.drive(create_token(scheduler.namespace, name="", role=Role.VIEWER, by="", seconds=None))
    where = ("--redis", own_redis.url, "--namespace", "empty" if name in INTO_EMPTY else "json")
    if name in NO_NAMESPACE:
        where = where[:2]
    if name in WITHOUT_SCHEDULER:
        where = ("--data-dir", str(tmp_path / "data")) if name in PRIVATE else ()
    result = run(*(token.id if word == "TOKEN" else word for word in EXAMPLES[name]), *where, "--json")
    for line in result.stdout.splitlines():
        json.loads(line)
    if name == "redis start":
        assert json.loads(run("redis", "stop", "--json", *where).stdout) == {"stopped": True}
    assert result.exit_code == {"redis status": 1, "wait": 25}.get(name, 0), result.output
    assert result.stdout or name in (
        "verify",
        "failures",
        "family dates",
        "events",
        "session list",
    )  # of which there are none


def test_a_server_and_a_namespace_exclude_each_other() -> None:
    for other in (("--namespace", "n"), ("--redis", "redis://127.0.0.1:1")):
        result = run("task", "logs", TASK, "--scheduler-url", "http://127.0.0.1:1", *other)
        assert result.exit_code == WRONG_USAGE and other[0] in result.stderr
