"""Redis answers, and refuses: each such answer is an outage with a name, straight to Redis and over HTTP.

A full memory, a replica after a failover, a missing right, a script that blocks: whoever calls is told which it is,
workers wait until it is over, and then all goes on.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from broker_sched import RedisUnavailable, RemoteScheduler, Scheduler, ScriptError
from broker_sched.redis_backend.error_replies import (
    REFUSED_REPLIES,
    RedisRefused,
    message_of,
    refused_reply_in,
    translate,
)
from broker_sched.worker.retrying_scheduler import RetryingScheduler
from tests.documents import environment_of
from tests.harness import ServerProcess
from tests.nightly import by_night
from tests.programs import STDOUT, Ended, Program
from tests.refusing_redis import REFUSING, busy, oom
from tests.servers import RunningRedis, any_server, embedded_servers, free_port, until

# A worker that waits looks for itself after 5 s, its call tries for 10 s before it tells of the outage, and asks again
# after up to 15 s more: each of them is longer on a machine that is busy.
TOLD_SECONDS = 90.0
PIPELINE = """
import os
from broker_sched import LocalTarget, Task

class Small(Task):
    name: str
    def output(self): return LocalTarget(os.path.join(os.environ["OUT"], self.name))
    def run(self):
        with self.output().open("w") as file: file.write("x")
"""


@pytest.fixture
def own(real_redis_kind: str, tmp_path: Path) -> Iterator[RunningRedis]:
    """A server of the test's own that a test may make refuse."""
    server = RunningRedis(embedded_servers()[real_redis_kind], tmp_path / "redis", free_port())
    yield server
    server.kill()


@pytest.mark.parametrize("kind", REFUSING)
def test_a_server_answers_503_with_the_name_and_then_serves(own: RunningRedis, kind: str) -> None:
    server = ServerProcess("--redis", own.url).await_ready()
    try:
        server.call("add_task", worker="w", task_id="a")
        accept = REFUSING[kind](own.client())
        reply = server.post("get_work", '{"worker": "w"}')
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert kind in reply.json()["error"]["message"]
        unready = server.request("GET", "/readyz")
        assert unready.status == 503
        assert kind in unready.json()["reason"]
        accept()
        assert until(lambda: _work(server), "it serves again")["task_id"] == "a"
        assert until(lambda: server.request("GET", "/readyz").status == 200, "it is ready again")
    finally:
        server.stop()


def _work(server: ServerProcess) -> Any:
    reply = server.post("get_work", '{"worker": "w"}')
    return reply.json()["response"] if reply.status == 200 else None


def test_an_idle_worker_waits_out_every_kind_and_then_runs_what_is_submitted(tmp_path: Path) -> None:
    own = RunningRedis(any_server(), tmp_path / "redis", free_port())
    (tmp_path / "small_pipeline.py").write_text(PIPELINE)
    environment = environment_of(tmp_path, OUT=str(tmp_path), BSCHED_REDIS=own.url)
    log = tmp_path / "worker.log"
    with ExitStack() as stack:
        stack.callback(own.kill)
        said = stack.enter_context(log.open("w"))
        words = ("worker", "--processes", "1")
        worker = Program(*words, cwd=tmp_path, env=environment, stdout=said, stderr=STDOUT)
        stack.callback(worker.wait)
        stack.callback(worker.kill)
        until(lambda: "Running worker" in log.read_text(), "it runs")
        for number, kind in enumerate(
            by_night(("READONLY", "OOM", "NOREPLICAS", "NOPERM"), ("OOM", "NOPERM")), start=1
        ):
            until(lambda: own.client().zcard("bsched:{default}:idle_assistants") == 1, "it waits for work")
            accept = REFUSING[kind](own.client())
            until(
                # Of whatever it asked for first: the log of the task before may still be under way.
                lambda kind=kind: re.search(rf"for \w+: {re.escape(_meaning(kind))}", log.read_text()) or worker.poll(),  # type: ignore[misc]  # a default binds the kind
                f"it has told of {kind}",
                TOLD_SECONDS,
            )
            accept()
            assert worker.poll() is None, log.read_text()
            submit = Program("submit", "small_pipeline", "Small", "--name", kind, cwd=tmp_path, env=environment)
            assert Ended(submit).returncode == 0
            until(
                lambda number=number: own.client().zcard("bsched:{default}:tasks:DONE:Small") == number,  # type: ignore[misc]  # as above
                f"it runs what came after {kind}",
                TOLD_SECONDS,
            )
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0, log.read_text()


def test_each_reason_of_an_outage_is_told_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    reasons = ["OOM", "OOM", "READONLY", "OOM", "READONLY"]

    class Refusing:
        def ping(self, **arguments: Any) -> str:
            if reasons:
                raise RedisUnavailable(reasons.pop(0))
            return "answer"

    caplog.set_level("INFO", "bsched.worker")
    scheduler: Any = Refusing()
    retrying = RetryingScheduler(
        scheduler, 60, lambda seconds, method: None, lambda method: False, lambda task, attempt: None
    )
    retrying.is_retrying = True
    assert retrying.call("ping", worker="w") == "answer"
    told = [record.getMessage() for record in caplog.records]
    assert [next(each for each in ("OOM", "READONLY", "again.") if each in line) for line in told] == [
        "OOM",
        "READONLY",
        "again.",
    ]
    reasons.append("OOM")
    retrying.call("ping", worker="w")
    assert len(caplog.records) == 5, "another outage is told anew"


def _meaning(kind: str) -> str:
    told = str(RedisRefused(next(each for each in REFUSED_REPLIES if each.name == kind)))
    return told.partition(" may not ")[0]  # what the user may not do is named where Redis names it


def test_a_worker_that_is_started_while_redis_refuses_waits(tmp_path: Path) -> None:
    """As one does that talks to a server."""
    own = RunningRedis(any_server(), tmp_path / "redis", free_port())
    accept = oom(own.client())
    environment = environment_of(tmp_path, BSCHED_REDIS=own.url)
    worker = Program("worker", "--burst", "--processes", "1", cwd=tmp_path, env=environment)
    try:
        assert worker.stderr is not None
        assert "(OOM)" in worker.stderr.readline()
        accept()
        said, told = worker.communicate(timeout=60)
        assert worker.returncode == 0, told
        assert "0 task(s) run, leaving" in said
    finally:
        worker.kill()
        worker.communicate()
        own.kill()


MESSAGES = [
    ("READONLY", "READONLY You can't write against a read only replica."),
    ("READONLY", "ERR Error running script: @user_script:1: -READONLY You can't write against a read only replica."),
    ("MASTERDOWN", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    ("UNBLOCKED", "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"),
    ("MOVED", "MOVED 1234 10.0.0.1:6379"),
    ("BSCHED_UNCONFIRMED", "BSCHED_UNCONFIRMED"),  # what stands in place of a reply, where replicas do not confirm it
    ("LOADING", "LOADING Redis is loading the dataset in memory"),
    ("BUSY", "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
    ("TRYAGAIN", "TRYAGAIN Multiple keys request during rehashing of slot"),
    ("TRYAGAIN", "ASK 1234 10.0.0.1:6379"),
    ("TRYAGAIN", "ERR Script attempted to access a non local key in a cluster node script: x, on @user_script:1."),
    ("BSCHED_REPAIRING", "ERR BSCHED_REPAIRING script: x, on @user_script:1."),
    ("CLUSTERDOWN", "CLUSTERDOWN Hash slot not served"),
    ("OOM", "OOM command not allowed when used memory > 'maxmemory'."),
    ("NOREPLICAS", "NOREPLICAS Not enough good replicas to write."),
    ("MISCONF", "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."),
    ("NOPERM", "NOPERM User x has no permissions to run the 'set' command"),
    ("NOPERM", "ERR ACL failure in script: User x has no permissions to run the 'time' command"),
    ("NOPERM", "ERR @user_script: 1: The user executing the script can't run this command or subcommand"),
]
LOGINS = [
    ("NOAUTH", "NOAUTH Authentication required."),
    ("WRONGPASS", "WRONGPASS invalid username-password pair or user is disabled."),
]


@pytest.mark.parametrize(("name", "message"), MESSAGES)
def test_every_refusal_is_known_as_redis_sends_it_and_as_redis_py_shows_it(name: str, message: str) -> None:
    parsed = redis.connection.DefaultParser(socket_read_size=1).parse_error(message)
    for text in (message, message_of(parsed)):
        found = refused_reply_in(text)
        assert found is not None and found.name == name
        error = translate(None, text)
        assert isinstance(error, RedisUnavailable)
        assert name in str(error) or name.startswith("BSCHED_"), "our own, told in words"


@pytest.mark.parametrize(("name", "message"), LOGINS)
def test_a_refused_login_is_known_as_redis_sends_it(name: str, message: str) -> None:
    found = refused_reply_in(message)
    assert found is not None and found.name == name


def test_what_no_refusal_is_stays_a_fault_of_a_script() -> None:
    for message in ("ERR user_script:1: MASK 7 TASK x", "WRONGTYPE Operation against a key", "ERR a BUSY ASK MOVED x"):
        assert refused_reply_in(message) is None
        assert isinstance(translate(None, message), ScriptError)


def test_every_refusal_has_an_example() -> None:
    assert {name for name, _ in (*MESSAGES, *LOGINS)} == {each.name for each in REFUSED_REPLIES}


def test_a_call_is_repeated_while_redis_is_busy_for_a_moment(own: RunningRedis) -> None:
    scheduler = Scheduler(own.url)
    scheduler.add_task(worker="w", task_id="a")
    accept = busy(own.client())
    timer = threading.Timer(0.5, accept)
    timer.start()
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    timer.join()
    scheduler.close()


def test_a_call_that_a_frozen_redis_carries_out_later_is_carried_out_once(own: RunningRedis) -> None:
    """It accepts connections and reads nothing: each attempt waits for its reply, and all are read in the end."""
    scheduler = Scheduler(f"{own.url}?socket_timeout=0.3", prune_interval_seconds=None)
    for name in "abc":
        scheduler.add_task(worker="w", task_id=name)
    own.process.send_signal(signal.SIGSTOP)
    thaw = threading.Timer(1.2, own.process.send_signal, (signal.SIGCONT,))
    thaw.start()
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    thaw.join()
    assert list(scheduler.task_list(status="RUNNING")) == ["a"]
    own.process.send_signal(signal.SIGSTOP)
    with pytest.raises(RedisUnavailable, match="did not answer after 5 attempts"):
        scheduler.get_work(worker="w")
    own.process.send_signal(signal.SIGCONT)
    assert scheduler.get_work(worker="w")["task_id"] == "b", "the call that was not answered"
    assert sorted(scheduler.task_list(status="RUNNING")) == ["a", "b"]
    scheduler.close()


def test_a_client_of_a_server_sees_the_name(own: RunningRedis) -> None:
    server = ServerProcess("--redis", own.url).await_ready()
    try:
        accept = oom(own.client())
        with RemoteScheduler(server.url, attempts=1) as remote, pytest.raises(Exception, match="OOM"):
            remote.get_work(worker="w")
        accept()
    finally:
        server.stop()
