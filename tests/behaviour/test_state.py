"""State is only in Redis: processes come and go, schedulers on one namespace are one scheduler.

Any number of schedulers and servers may work on a namespace, be killed, forked and pickled. Options are kept in
Redis, too, so that all agree. Two namespaces never meet.
"""

import os
import pickle
import subprocess
import sys

import pytest

from broker_sched import ConfigurationError, Scheduler, SchemaMismatch
from broker_sched.redis_backend.namespace import SCHEMA_VERSION, Namespace


def test_another_scheduler_on_the_namespace_sees_and_continues_everything(scheduler, another):
    scheduler.add_task(worker="w", task_id="a")
    scheduler.add_task(worker="w", task_id="b", deps=["a"])
    assert another.get_work(worker="w")["task_id"] == "a"
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    assert another.get_work(worker="w")["task_id"] == "b"
    assert another.graph() == scheduler.graph()


def test_two_namespaces_never_meet(scheduler, scheduler_factory):
    other = scheduler_factory(namespace=f"{scheduler.namespace.name}-2")
    scheduler.add_task(worker="w", task_id="a")
    scheduler.pause()
    assert other.task_list() == {}
    assert other.worker_list() == []
    assert other.is_paused() == {"paused": False}
    assert other.get_work(worker="w")["task_id"] is None


def test_an_option_that_would_do_nothing_is_refused_and_there_is_no_task_history(scheduler, scheduler_factory):
    with pytest.raises(ConfigurationError, match="record_task_history can't be True: no task history is kept"):
        scheduler_factory(record_task_history=True)
    assert scheduler_factory(record_task_history=False).has_task_history() is False
    # An earlier version has stored it.
    scheduler._client.hset(scheduler.namespace.key("config"), "record_task_history", "1")
    assert (scheduler.has_task_history(), scheduler.config().record_task_history) == (False, False)


def test_options_given_are_kept_in_redis_and_others_see_them(scheduler_factory):
    first = scheduler_factory(retry_delay=5, resources={"db": 3})
    second = scheduler_factory(namespace=first.namespace.name)
    assert second.config().retry_delay == 5
    assert second.config().remove_delay == 600
    assert [(r["name"], r["num_total"]) for r in second.resource_list()] == [("db", 3)]


def test_the_configuration_has_a_version_that_changes_with_it(scheduler_factory):
    first = scheduler_factory(retry_delay=5)
    key = first.namespace.key("config")
    version = int(first._client.hget(key, "version"))
    scheduler_factory(namespace=first.namespace.name)
    assert int(first._client.hget(key, "version")) == version
    scheduler_factory(namespace=first.namespace.name, retry_delay=6)
    assert int(first._client.hget(key, "version")) == version + 1


def test_another_schema_version_is_refused_with_a_clear_message_and_nothing_is_written(scheduler, another):
    key = scheduler.namespace.key("config")
    scheduler._client.hset(key, "schema", "99")
    before = sorted(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*"))
    with pytest.raises(SchemaMismatch, match=f"schema version 99, this program needs {SCHEMA_VERSION}"):
        scheduler.add_task(worker="w", task_id="a")
    with pytest.raises(SchemaMismatch):
        another._start()
    assert sorted(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*")) == before
    scheduler._client.hset(key, "schema", SCHEMA_VERSION)


def test_flushed_scripts_are_loaded_again_unnoticed(scheduler):
    scheduler.add_task(worker="w", task_id="a")
    scheduler._client.script_flush()
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_a_flushed_database_is_a_new_namespace_with_the_same_options(scheduler_factory):
    scheduler = scheduler_factory(retry_delay=5)
    scheduler.add_task(worker="w", task_id="a")
    for key in list(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*")):
        scheduler._client.delete(key)
    scheduler.add_task(worker="w", task_id="b")
    assert list(scheduler.task_list()) == ["b"]
    assert scheduler.config().retry_delay == 5


def test_a_scheduler_made_from_a_url_pickles(real_scheduler):
    real_scheduler.add_task(worker="w", task_id="a")
    copy = pickle.loads(pickle.dumps(real_scheduler))
    assert list(copy.task_list()) == ["a"]
    copy.close()


def test_a_scheduler_made_from_a_client_says_that_it_cannot_be_pickled(scheduler):
    made = Scheduler(scheduler._client, namespace=scheduler.namespace.name, prune_interval_seconds=None)
    with pytest.raises(TypeError, match="make it from a URL"):
        pickle.dumps(made)


def test_a_forked_child_and_its_parent_both_go_on(real_scheduler):
    real_scheduler.add_task(worker="w", task_id="a")
    child = os.fork()
    if child == 0:
        try:
            for number in range(50):
                real_scheduler.add_task(worker="w", task_id=f"child_{number}")
        finally:
            os._exit(0)
    for number in range(50):
        real_scheduler.add_task(worker="w", task_id=f"parent_{number}")
    assert os.waitpid(child, 0)[1] == 0
    assert len(real_scheduler.task_list()) == 101


def test_a_forked_child_and_its_parent_get_different_tasks(real_scheduler):
    for number in range(4):
        real_scheduler.add_task(worker="w", task_id=f"t_{number}")
    real_scheduler.get_work(worker="w")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, real_scheduler.get_work(worker="w")["task_id"].encode())
        finally:
            os._exit(0)
    mine = real_scheduler.get_work(worker="w")["task_id"]
    os.waitpid(child, 0)
    assert {mine, os.read(reader, 100).decode()} == {"t_1", "t_2"}


def test_a_process_that_is_killed_loses_nothing_that_was_answered(real_scheduler):
    code = (
        "import os, sys\n"
        "from broker_sched import Scheduler\n"
        "scheduler = Scheduler(sys.argv[1], namespace=sys.argv[2])\n"
        "for number in range(20):\n"
        "    scheduler.add_task(worker='w', task_id=f't_{number}')\n"
        "print(scheduler.get_work(worker='w')['task_id'], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    arguments = [sys.executable, "-c", code, real_scheduler._url, real_scheduler.namespace.name]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == -9
    assert done.stdout.strip() == "t_0"
    assert len(real_scheduler.task_list(status="PENDING")) == 19
    assert list(real_scheduler.task_list(status="RUNNING")) == ["t_0"]


@pytest.mark.parametrize("name", ["", "a b", "{x}", "a:b", "x" * 65, "ü", 3, None])
def test_a_namespace_that_could_not_be_a_key_is_refused(name):
    with pytest.raises(ConfigurationError, match="Namespace"):
        Namespace.named(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retry_dealy": 3}, "no option 'retry_dealy'"),
        ({"retry_delay": "soon"}, "retry_delay is a number of seconds"),
        ({"retry_delay": float("nan")}, "retry_delay"),
        ({"retry_count": 1.5}, "retry_count is a whole number"),
        ({"remove_delay": -1}, "remove_delay is a number of seconds, 0 or more"),
        ({"max_shown_tasks": -1}, "max_shown_tasks is a whole number, 0 or more"),
        ({"pause_enabled": "maybe"}, "pause_enabled is true or false"),
    ],
)
def test_a_wrong_option_is_named_with_what_it_should_be(options, message):
    with pytest.raises(ConfigurationError, match=message):
        Scheduler("memory:", **options)


def test_after_the_last_task_only_permanent_keys_and_those_that_expire_remain(scheduler, clock):
    scheduler.update_resources(db=2)
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"], max_batch_size=9)
    for number in range(6):
        scheduler.add_task(
            worker="w",
            task_id=f"F_{number}",
            family="F",
            params={"day": str(number), "text": "x" * 90},
            batchable=number < 4,
            resources={"db": 1},
            deps=[f"dep_{number}"] if number == 5 else None,
            param_visibilities={"text": 2},
        )
    scheduler.add_worker("w", {"workers": 2})
    work = scheduler.get_work(worker="w")
    scheduler.add_task(worker="w", task_id="F_all", family="F", status="RUNNING", batch_id=work["batch_id"])
    scheduler.add_task(worker="w", task_id="F_all", status="FAILED", expl="no")
    scheduler.send_scheduler_message("w", "F_4", "hello")
    scheduler.add_scheduler_message_response("F_4", "m", "answer")
    clock.advance(61)
    scheduler.prune()
    clock.advance(601)
    scheduler.prune()
    assert scheduler.task_list() == {}
    prefix = scheduler.namespace.prefix
    permanent = {"config", "counters", "resources", "events", "failed_runs", "batch_names", "gone_workers", "audit"}
    permanent |= {"metric_notes", "metric_families", "metrics", "other_metrics", "wakeup_metrics", "server_metrics"}
    left = {key.removeprefix(prefix) for key in scheduler._client.scan_iter(match=f"{prefix}*")}
    lasting = [key for key in left if scheduler._client.ttl(prefix + key) == -1]
    assert {key.partition(":")[0] for key in lasting} <= permanent
    assert {"family:F", "failed_runs"} <= left, "what is known of runs outlives the tasks for a while"
