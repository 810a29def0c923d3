"""The self-check finds every kind of damage to an index, and mends it.

All indexes can be computed from the tasks. `bsched verify` does that, says where Redis has something else, and puts
it right when it is told to.
"""

import pytest


@pytest.fixture
def busy(scheduler):
    """A namespace with something in every index."""
    scheduler.update_resources(db=2)
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"], max_batch_size=2)
    for number in range(5):
        scheduler.add_task(
            worker="w", task_id=f"F_{number}", family="F", params={"day": str(number)}, batchable=True, priority=9
        )
    scheduler.get_work(worker="w")  # a batch of two
    scheduler.add_task(worker="w", task_id="a", resources={"db": 1}, priority=50)
    scheduler.get_work(worker="w")
    scheduler.add_task(worker="w", task_id="b", deps=["a", "missing_dep"], resources={"db": 1})
    scheduler.add_task(worker="helper", task_id="c", deps=["never"], assistant=True)
    scheduler.add_task(worker="w", task_id="d", status="DISABLED")
    scheduler.add_task(worker="w", task_id="e", deps=["d"])
    scheduler.add_task(worker="v", task_id="e")
    scheduler.add_task(worker="w", task_id="f", status="FAILED")
    scheduler.add_task(worker="w", task_id="g", resources={"gpu": 1})
    assert scheduler.verify() == []
    return scheduler


def keys_of_kind(scheduler, kind):
    prefix = scheduler.namespace.prefix
    return sorted(
        key
        for key in scheduler._client.scan_iter(match=f"{prefix}*")
        if key.removeprefix(prefix).partition(":")[0] == kind
    )


INDEXES = (
    "ids missing_deps tasks families dependents unmet blockers ready ready_queues counted running used batch "
    "batch_running worker_batches batch_ready batch_runner_sets batch_keys batchable worker_ids "
    "worker_runner_sets worker_stakeholder_sets"
).split()


@pytest.mark.parametrize("kind", INDEXES)
def test_a_lost_index_is_reported_and_rebuilt(busy, kind):
    keys = keys_of_kind(busy, kind)
    assert keys, "the fixture lacks this index"
    for key in keys:
        busy._client.delete(key)
    reported = busy.verify()
    assert {busy.namespace.prefix + each.key for each in reported} >= set(keys)
    busy.verify(repair=True)
    assert busy.verify() == []


@pytest.mark.parametrize(
    ("key", "damage"),
    [
        ("tasks:READY:F", lambda client, key: client.zadd(key, {"77": 1})),
        ("unmet:1000000005", lambda client, key: client.sadd(key, "77")),
        ("ready_queues", lambda client, key: client.sadd(key, "9|")),
        ("running", lambda client, key: client.zadd(key, {"1000000005": 3})),
        ("used", lambda client, key: client.hset(key, "db", "2")),
        ("worker_runner_sets:1", lambda client, key: client.sadd(key, "44")),
        ("due:retry", lambda client, key: client.zadd(key, {"77": 1})),
        ("strangers:1", lambda client, key: client.set(key, "x")),
        ("deps:77", lambda client, key: client.sadd(key, "78")),
        ("detail:nobody", lambda client, key: client.hset(key, "expl", "x")),
    ],
)
def test_what_does_not_belong_is_reported_and_removed(busy, key, damage):
    damage(busy._client, busy.namespace.key(key))
    reported = busy.verify()
    assert any(each.key == key for each in reported), reported
    busy.verify(repair=True)
    assert busy.verify() == []


@pytest.mark.parametrize("field", ["tally", "counted", "ready", "batched", "blocked", "ready_since", "date"])
def test_a_wrong_note_of_where_a_task_stands_is_reported_and_mended(busy, field):
    key = busy.namespace.key("task", "F_4")
    busy._client.hset(key, field, "77x")
    assert [each.key for each in busy.verify()] == [f"task:F_4#{field}"]
    busy.verify(repair=True)
    assert busy.verify() == []


@pytest.mark.parametrize("field", ["pending", "counted", "tasks", "with_resources", "size"])
def test_a_wrong_counter_of_a_runner_set_is_reported_and_mended(busy, field):
    key = busy.namespace.key("runner_set", "1")
    busy._client.hincrby(key, field, 1)
    assert any(each.key == "runner_set:1" for each in busy.verify())
    busy.verify(repair=True)
    assert busy.verify() == []


def test_a_difference_says_what_was_expected_and_found(busy):
    busy._client.hset(busy.namespace.key("used"), "db", "2")
    assert [str(each) for each in busy.verify()] == ["used: expected {'db': '1'}, found {'db': '2'}"]
    busy.verify(repair=True)


def test_work_goes_on_after_a_repair(busy):
    for kind in ("ready", "ready_queues", "unmet", "counted"):
        for key in keys_of_kind(busy, kind):
            busy._client.delete(key)
    busy.verify(repair=True)
    busy.add_task(worker="w", task_id="a", status="DONE")
    busy.add_task(worker="w", task_id="missing_dep", status="DONE", runnable=False)
    handed = [busy.get_work(worker="w") for _ in range(5)]
    assert {work["task_id"] for work in handed} >= {"b", "g"}


def test_tasks_that_are_removed_while_they_are_read_are_no_difference(busy, monkeypatch):
    """Between the question for their type and that for their content."""
    read, client = busy._read, busy._client

    def late(commands):
        if commands and commands[0][0] != "TYPE":
            for name in list(client.scan_iter(match=f"{busy.namespace.prefix}*", count=1000)):
                if not name.endswith(":config"):
                    client.delete(name)
        return read(commands)

    monkeypatch.setattr(busy, "_read", late)
    assert busy.verify() == []


@pytest.mark.parametrize(
    ("look", "most"),
    [
        (lambda scheduler: scheduler.verify(), 2200),
        (lambda scheduler: scheduler.dep_graph(task_id="sink"), 1000),
        (lambda scheduler: scheduler.inverse_dep_graph(task_id="hub"), 1000),
        (lambda scheduler: scheduler.task_list("PENDING", "UPSTREAM_DISABLED"), 1000),
    ],
    ids=["verify", "dep_graph", "inverse_dep_graph", "task_list"],
)
def test_what_is_large_is_read_by_parts(real_scheduler, monkeypatch, look, most):
    """Redis does nothing else while it makes a reply. most: entries of one; of verify they are pairs."""
    names = [f"t{number}" for number in range(1500)]
    for start in (0, 750):
        tasks = [{"task_id": name, "deps": ["hub"]} for name in names[start : start + 750]]
        real_scheduler.add_tasks(worker="w", tasks=tasks)
    real_scheduler.add_task(worker="w", task_id="hub", status="DISABLED")
    real_scheduler.add_task(worker="w", task_id="sink", deps=names)
    before = look(real_scheduler)
    connection, sizes = real_scheduler._connection, []
    send = connection.send

    def watched(commands, reads_only):
        replies = send(commands, reads_only)
        for reply in replies:
            is_scan = isinstance(reply, (list, tuple)) and len(reply) == 2 and isinstance(reply[1], (list, dict))
            entries = reply[1] if is_scan else reply
            sizes.append(len(entries) if isinstance(entries, (list, set, dict)) else 1)
        return replies

    monkeypatch.setattr(connection, "send", watched)
    assert look(real_scheduler) == before
    assert 100 < max(sizes) <= most
