"""A call may be sent twice or its reply lost: what must not happen twice, does not.

A client that loses its connection can't know whether its call arrived. It sends it again with the same request id,
and gets the first answer: no second hand-out, no second failure, no message lost.
"""

import redis.exceptions

from broker_sched.redis_backend.script_call import evalsha
from broker_sched.redis_backend.sync_connection import SyncConnection, ThroughClient
from broker_sched.scheduler.operations.work import get_work


class Losing:
    """A client that loses the reply of the next script: it runs, but the caller sees a broken connection."""

    def __init__(self, client):
        self._client = client
        self.lose = 0
        self.before = lambda args: None
        self.after_loss = lambda: None

    def __getattr__(self, name):
        return getattr(self._client, name)

    def execute_command(self, *args):
        self.before(args)
        reply = self._client.execute_command(*args)
        if self.lose and args[0] == "EVALSHA":
            self.lose -= 1
            self.after_loss()
            raise redis.exceptions.ConnectionError("lost")
        return reply


def losing(scheduler, replies=1):
    scheduler._client = Losing(scheduler._client)
    scheduler._connection = losing_connection(scheduler._client)
    scheduler._client.lose = replies
    return scheduler


def losing_connection(client):
    """One that calls the client: connections of its own would go past it."""
    connection = SyncConnection(client._client)
    connection._transport = ThroughClient(client)
    return connection


def test_work_whose_reply_was_lost_is_answered_again_and_not_handed_out_twice(scheduler):
    for name in "abc":
        scheduler.add_task(worker="w", task_id=name)
    assert losing(scheduler, replies=2).get_work(worker="w")["task_id"] == "a"
    assert list(scheduler.task_list(status="RUNNING")) == ["a"]


def test_a_batch_whose_reply_was_lost_is_answered_again_whole(scheduler):
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for day in "123":
        scheduler.add_task(worker="w", task_id=f"F_{day}", family="F", params={"day": day}, batchable=True)
    work = losing(scheduler).get_work(worker="w")
    assert work["batch_task_ids"] == ["F_1", "F_2", "F_3"]
    assert work["task_params"] == {"day": ["1", "2", "3"]}


def test_a_failure_whose_reply_was_lost_counts_once(scheduler_factory):
    scheduler = scheduler_factory(retry_count=2)
    scheduler.add_task(worker="w", task_id="a")
    scheduler.get_work(worker="w")
    losing(scheduler).add_task(worker="w", task_id="a", status="FAILED")
    assert list(scheduler.task_list(status="FAILED")) == ["a"]


def test_new_deps_whose_reply_was_lost_do_not_take_the_task_from_who_runs_it_by_then(scheduler, another):
    for worker in ("w", "v"):
        scheduler.add_task(worker=worker, task_id="a")
    scheduler.add_task(worker="w", task_id="dep", status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    client = losing(scheduler)._client
    client.after_loss = lambda: another.get_work(worker="v")
    scheduler.add_task(worker="w", task_id="a", new_deps=["dep"])
    assert scheduler.task_list(status="RUNNING")["a"]["worker_running"] == "v"
    assert scheduler.get_work(worker="w")["task_id"] is None


def test_after_a_loss_the_caller_is_another_one(scheduler):
    """A copy of the lost request that arrives late finds its answer, though the caller has gone on."""
    for name in "abc":
        scheduler.add_task(worker="w", task_id=name)
    sent = []
    client = losing(scheduler)._client
    client.before = lambda args: sent.append(args) if args[0] == "EVALSHA" else None
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    assert scheduler.get_work(worker="w")["task_id"] == "b"
    client.execute_command(*sent[0])
    assert sorted(scheduler.task_list(status="RUNNING")) == ["a", "b"]


def test_messages_whose_reply_was_lost_are_given_again(scheduler):
    scheduler.set_worker_processes("w", 3)
    assert losing(scheduler).ping(worker="w")["rpc_messages"] == [{"name": "set_worker_processes", "kwargs": {"n": 3}}]
    assert scheduler.ping(worker="w") == {"rpc_messages": []}


def test_resources_are_given_back_once(scheduler):
    scheduler.update_resources(db=10)
    scheduler.add_task(worker="w", task_id="a", resources={"db": 5})
    scheduler.get_work(worker="w")
    losing(scheduler).decrease_running_task_resources("a", {"db": 2})
    assert scheduler.get_running_task_resources("a")["resources"] == {"db": 3}
    assert scheduler.resource_list()[0]["num_used"] == 3


def test_a_message_is_sent_once(scheduler):
    losing(scheduler).set_worker_processes("w", 3)
    assert len(scheduler.ping(worker="w")["rpc_messages"]) == 1


def test_a_response_whose_reply_was_lost_is_given_again(scheduler):
    scheduler.add_task(worker="w", task_id="a")
    scheduler.add_scheduler_message_response("a", "m", {"x": [1, None, "é"]})
    assert losing(scheduler).get_scheduler_message_response("a", "m") == {"response": {"x": [1, None, "é"]}}
    assert scheduler.get_scheduler_message_response("a", "m") == {"response": None}


def test_the_first_answer_is_kept_only_for_the_callers_last_request(scheduler):
    """Otherwise the kept answers would grow with the calls."""
    namespace = scheduler.namespace
    for number in range(5):
        call = next(get_work(namespace, host=None, assistant=False, current_tasks=None, worker="w", start_id=None))
        _, command = evalsha(namespace, None, call, f"caller:{number}")
        scheduler._connection.send([command])
    kept = [key for key in scheduler._client.scan_iter(match=f"{namespace.prefix}reply:caller*")]
    assert len(kept) == 1
    assert 0 < scheduler._client.ttl(kept[0]) <= 900


def test_a_ping_is_kept_only_when_messages_were_handed_over(scheduler):
    scheduler.ping(worker="w")
    assert list(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}reply:*")) == []
    scheduler.send_scheduler_message(worker="w", task="t", content="hello")
    scheduler._client.delete(*scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}reply:*"))
    scheduler.ping(worker="w")
    assert len(list(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}reply:*"))) == 1


def test_a_copy_held_back_until_its_run_has_ended_hands_out_nothing(scheduler):
    """Its repetition was answered, and what that handed out is done: nobody awaits a second answer."""
    for name in "ab":
        scheduler.add_task(worker="w", task_id=name)
    namespace = scheduler.namespace
    call = next(get_work(namespace, host=None, assistant=False, current_tasks=None, worker="w", start_id=None))
    held_back, repeated = (evalsha(namespace, None, call, f"caller:5{mark}")[1] for mark in ("", "!"))
    [reply] = scheduler._connection.send([repeated])
    assert reply[7] == "a"
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    [late] = scheduler._connection.send([held_back])
    assert str(late) == "BSCHED_LATE 5"
    assert scheduler.task_list(status="RUNNING") == {}
    [reply] = scheduler._connection.send([repeated])  # whose caller does await it
    assert reply[7] == "b"
