"""`bsched token` and `bsched session`: what is shown, what is kept, and what is ended."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import time

import pytest

from broker_sched import Scheduler
from broker_sched.contract.roles import Role
from broker_sched.scheduler.operations.secrets import digest_of
from broker_sched.scheduler.operations.sessions import (
    Client,
    Proof,
    begin_login,
    begin_session,
    find_session,
    take_login,
)
from broker_sched.scheduler.operations.tokens import create_token, find_token, list_tokens
from broker_sched.this_user import user_at_host
from tests.cli.commands import Bsched
from tests.conftest import FakeClock, SchedulerFactory
from tests.harness import RedisProcess
from tests.transfer.moving import exported, imported


def test_a_new_token_is_all_that_is_printed_on_stdout(board: Scheduler, on: Bsched) -> None:
    result = on("token", "create", "--role", "worker", "--name", "ci", "--expires", "90d")
    assert re.fullmatch(r"bst_[\w-]{43}\n", result.stdout)
    (told,) = on.json_lines("token", "list")
    assert f"bsched token revoke {told['id']}" in result.stderr and "(in 90 d)" in result.stderr
    assert (told["name"], told["role"], told["by"], told["last_used"]) == ("ci", "worker", user_at_host(), None)
    assert told["expires"] - told["created"] == pytest.approx(90 * 86400, abs=1)


def test_redis_has_the_digest_of_a_token_and_no_more(board: Scheduler, on: Bsched, own_redis: RedisProcess) -> None:
    secret = on.json("token", "create", "--role", "viewer")["token"]
    redis = own_redis.client
    kept = [json.dumps([key, redis.dump(key).hex()]) for key in redis.keys("*") if redis.type(key) != "hash"]
    kept += [json.dumps(redis.hgetall(key)) for key in redis.keys("*") if redis.type(key) == "hash"]
    assert any(hashlib.sha256(secret.encode()).hexdigest() in text for text in kept)
    assert not any(part in text for text in kept for part in (secret, secret.removeprefix("bst_")))
    assert secret not in on("token", "list").output


def test_a_token_is_found_until_it_is_revoked(board: Scheduler, on: Bsched) -> None:
    made = on.json("token", "create", "--role", "operator", "--name", "ci")
    found = board.drive(find_token(board.namespace, digest_of(made["token"])))
    assert found is not None and (found.role.value, found.expired) == ("operator", None)
    assert found.name == f"ci (token {made['id']})"
    (told,) = on.json_lines("token", "list")
    assert told["last_used"] == pytest.approx(time.time(), abs=60)
    assert on.json("token", "revoke", made["id"]) == {"revoked": made["id"]}
    assert board.drive(find_token(board.namespace, digest_of(made["token"]))) is None
    assert "There is no token" in on.error("token", "revoke", made["id"])
    assert "no tokens here" in on("token", "list").stderr


def test_that_a_token_is_used_is_written_once_a_minute(scheduler: Scheduler, clock: FakeClock) -> None:
    made = scheduler.drive(create_token(scheduler.namespace, name="n", role=Role.WORKER, by="me", seconds=None))
    written = []
    for seconds in (0.0, 30.0, 29.0, 2.0):
        clock.advance(seconds)
        scheduler.drive(find_token(scheduler.namespace, digest_of(made.secret)))
        (told,) = scheduler.drive(list_tokens(scheduler.namespace))
        written.append(told["last_used"])
    first = clock.now - 61
    assert written == [first, first, first, clock.now]


def test_an_expired_token_is_known_as_such_for_30_days(scheduler: Scheduler, clock: FakeClock) -> None:
    made = scheduler.drive(create_token(scheduler.namespace, name="n", role=Role.WORKER, by="me", seconds=60))
    clock.advance(60)
    found = scheduler.drive(find_token(scheduler.namespace, digest_of(made.secret)))
    assert found is not None and found.expired == clock.now
    for days, left in ((29, 2), (2, 2)):  # the new one, and before the month is over the old one
        clock.advance(days * 86400)
        scheduler.drive(create_token(scheduler.namespace, name="", role=Role.WORKER, by="me", seconds=None))
        assert (scheduler.drive(find_token(scheduler.namespace, digest_of(made.secret))) is not None) == (days == 29)
        assert len(scheduler.drive(list_tokens(scheduler.namespace))) == left


@pytest.mark.parametrize("text", ["90", "0s", "-1d", "nand", "9999999w"])
def test_a_lifetime_that_is_none_is_refused(on: Bsched, text: str) -> None:
    assert "expires" in on.error("token", "create", "--role", "worker", "--expires", text, code=2)


def begin(board: Scheduler, name: str) -> str:
    client = Client("127.0.0.1", "Mozilla/5.0")
    commands = begin_session(
        board.namespace, proof=Proof("user", name), client=client, idle_seconds=60, most_seconds=90
    )
    return board.drive(commands)


def test_sessions_are_listed_and_revoked_by_id_by_name_and_all(board: Scheduler, on: Bsched) -> None:
    cookies = [begin(board, name) for name in ("ann", "bob", "bob", "eve")]
    listed = on.json_lines("session", "list")
    assert [each["name"] for each in listed] == ["ann", "bob", "bob", "eve"]
    assert not any(cookie in json.dumps(listed) for cookie in cookies)

    def there() -> list[bool]:
        return [board.drive(find_session(board.namespace, digest_of(cookie))) is not None for cookie in cookies]

    assert on.json("session", "revoke", listed[0]["id"]) == {"revoked": 1}
    assert there() == [False, True, True, True]
    assert on("session", "revoke", "--name", "bob").stdout == "2 sessions ended.\n"
    assert there() == [False, False, False, True]
    assert "There is no session" in on.error("session", "revoke", listed[0]["id"])
    assert "--name, or --all" in on.error("session", "revoke", code=2)
    assert on.json("session", "revoke", "--all") == {"revoked": 1}
    assert "Nobody has logged in" in on("session", "list").stderr


def test_a_session_ends_by_idleness_and_in_any_case(scheduler: Scheduler, clock: FakeClock) -> None:
    def begin_at_new() -> str:
        return scheduler.drive(
            begin_session(
                scheduler.namespace,
                proof=Proof("user", "ann"),
                client=Client("", ""),
                idle_seconds=1000,
                most_seconds=2500,
            )
        )

    used, unused = begin_at_new(), begin_at_new()
    there = []
    for seconds in (900.0, 900.0, 690.0, 20.0):
        clock.advance(seconds)
        there.append(scheduler.drive(find_session(scheduler.namespace, digest_of(used))) is not None)
    assert there == [True, True, True, False]
    assert scheduler.drive(find_session(scheduler.namespace, digest_of(unused))) is None


def test_what_a_login_elsewhere_began_with_is_known_once(scheduler: Scheduler) -> None:
    assert scheduler.drive(begin_login(scheduler.namespace, "state", {"nonce": "n"}, "192.0.2.1"))
    assert scheduler.drive(take_login(scheduler.namespace, "state")) == {"nonce": "n"}
    assert scheduler.drive(take_login(scheduler.namespace, "state")) is None
    assert scheduler.drive(take_login(scheduler.namespace, "another")) is None


def test_who_begins_very_many_logins_keeps_nobody_else_out(scheduler: Scheduler) -> None:
    def begin(number: int, address: str) -> bool:
        return scheduler.drive(begin_login(scheduler.namespace, f"{address} {number}", {}, address))

    assert [begin(number, "192.0.2.1") for number in range(502)].count(True) == 500
    assert begin(1, "192.0.2.2") and begin(1, "")
    left = scheduler._client.ttl(scheduler.namespace.key("logins_begun", "192.0.2.1"))
    assert 0 < left <= 300, "for some minutes only"


def test_no_token_leaves_in_an_export_and_those_that_are_there_stay_with_an_import(
    scheduler: Scheduler, scheduler_factory: SchedulerFactory
) -> None:
    scheduler.add_task(worker="w", task_id="t1", family="F")
    made = scheduler.drive(create_token(scheduler.namespace, name="n", role=Role.WORKER, by="me", seconds=None))
    content = exported(scheduler)
    text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    assert digest_of(made.secret).encode() not in text and b"t1" in text
    target = scheduler_factory()
    kept = target.drive(create_token(target.namespace, name="n", role=Role.WORKER, by="me", seconds=None))
    target.drive(
        begin_session(
            target.namespace, proof=Proof("user", "a"), client=Client("", ""), idle_seconds=60, most_seconds=60
        )
    )
    imported(target, content)
    assert "t1" in target.task_statuses(task_ids=["t1"])
    assert [each["id"] for each in target.drive(list_tokens(target.namespace))] == [kept.id]
