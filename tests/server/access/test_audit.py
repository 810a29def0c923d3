"""What is asked for over HTTP leaves one record, with the caller's name and address; what is refused, too."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from broker_sched import BrokerSchedError, RemoteScheduler, Scheduler
from broker_sched.contract.roles import Role
from broker_sched.scheduler.auditing import AUDITED
from broker_sched.scheduler.operations.tokens import create_token
from broker_sched.server import refusals
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.app import AppConfig
from tests.behaviour.test_audit import CALLS, prepare
from tests.conftest import DEFAULT_KIND, running
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.server.access.asgi import InProcess, basic, user_line
from tests.servers import until

PASSWORD = "correct horse"
ADDRESS = "192.0.2.1"  # from which InProcess asks


class Place(NamedTuple):
    server: InProcess
    scheduler: Scheduler

    def records(self, **filters: Any) -> list[dict[str, Any]]:
        return list(self.scheduler.audit(limit=1000, **filters)["records"])

    def refused(self, count: int, method: str = "") -> list[dict[str, Any]]:
        """So many records of refusals, once they are there."""

        def look() -> list[dict[str, Any]] | None:
            found = [each for each in self.records() if each["result"] == "refused" and method in ("", each["method"])]
            return found if len(found) >= count else None

        found: list[dict[str, Any]] = until(look, f"{count} refusals are in the audit")
        assert len(found) == count, found
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A server with the admin ann and the viewer vic."""
    users = tmp_path / "users"
    users.write_text(user_line("ann", PASSWORD, "admin@*") + user_line("vic", PASSWORD, "viewer@*"))
    users.chmod(0o600)
    url, namespace = running(DEFAULT_KIND).url, f"audit-{uuid.uuid4().hex[:8]}"
    config = AppConfig(url, namespace, access=AccessConfig(users_file=str(users)))
    with closing(Scheduler(url, namespace, prune_interval_seconds=None)) as scheduler:
        with InProcess(config) as server:
            yield Place(server, scheduler)
        assert scheduler.verify() == []


def test_every_audited_call_leaves_one_record_with_the_users_name_and_address(place: Place) -> None:
    prepare(place.scheduler)
    before = len(place.records())
    for method, (arguments, _) in CALLS.items():
        assert place.server.call(method, basic("ann", PASSWORD), **arguments).status == 200, method
    found = place.records()[before:]
    assert [(each["method"], each["tasks"]) for each in found] == [(name, tasks) for name, (_, tasks) in CALLS.items()]
    assert {(each["who"], each["kind"], each["address"], each["result"]) for each in found} == {
        ("ann", "user", ADDRESS, "done")
    }
    assert PASSWORD not in json.dumps(found)


def test_a_token_is_named_and_not_told(place: Place) -> None:
    made = place.scheduler.drive(
        create_token(place.scheduler.namespace, name="ci", role=Role.OPERATOR, by="test", seconds=None)
    )
    assert place.server.call("pause", {"authorization": f"Bearer {made.secret}"}).status == 200
    (record,) = place.records()
    assert record["kind"] == "token" and "ci" in record["who"]
    assert made.secret not in json.dumps(record)


def test_every_audited_call_that_a_role_forbids_leaves_one_record_of_the_refusal(place: Place) -> None:
    for method, (arguments, _) in CALLS.items():
        assert place.server.call(method, basic("vic", PASSWORD), **arguments).status == 403
    assert place.server.call("get_work", basic("vic", PASSWORD), worker="w").status == 403  # which is not audited
    found = place.refused(len(AUDITED))
    assert {each["method"] for each in found} == AUDITED
    assert {(each["who"], each["address"], each["tasks"]) for each in found} == {("vic", ADDRESS, 0)}
    assert "needs the role" in found[0]["why"]


def test_who_gives_no_login_leaves_a_record_where_a_change_was_asked_for(place: Place) -> None:
    assert place.server.call("pause").status == 401
    assert place.server.call("is_paused").status == 401
    (record,) = place.refused(1)
    assert (record["method"], record["kind"], record["who"]) == ("pause", "anonymous", "")


def test_a_failed_login_is_a_record_without_the_password(place: Place) -> None:
    assert place.server.call("is_paused", basic("ann", "geheim")).status == 401
    body = json.dumps({"user": "vic", "password": "geheim"}).encode()
    assert place.server.request("POST", "/login", body, {"content-type": "application/json"}).status in (401, 429)
    found = place.refused(2, "login")
    assert [each["who"] for each in found] == ["ann", "vic"]
    assert "geheim" not in json.dumps(found)


def test_of_two_logins_in_a_request_the_record_names_the_one_that_was_tried(place: Place) -> None:
    both = {
        "authorization": basic("mallory", "no")["authorization"],
        "Authorization": basic("ann", "x")["authorization"],
    }
    assert place.server.call("pause", both).status == 401
    (record,) = place.refused(1)
    assert record["who"] == "mallory"


def test_who_is_refused_again_and_again_adds_a_count_and_few_records(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(50):
        place.server.call("pause", basic("vic", PASSWORD))
    (first,) = place.refused(1)
    for _ in range(50):
        place.server.call("pause", basic("vic", PASSWORD))
    monkeypatch.setattr(refusals, "WINDOW_SECONDS", 0.0)  # as if it were over
    found = place.refused(2)
    assert first["times"] + found[1]["times"] == 100
    monkeypatch.undo()
    for number in range(3 * refusals.MAX_KINDS):
        place.server.call("pause", client_name(number))
    monkeypatch.setattr(refusals, "WINDOW_SECONDS", 0.0)
    until(lambda: sum(each["times"] for each in place.records()) == 100 + 3 * refusals.MAX_KINDS, "all are counted")
    assert len(place.records()) <= 2 + 2 * (refusals.MAX_KINDS + 1)
    assert any(each["address"] == "many" for each in place.records())


def client_name(number: int) -> dict[str, str]:
    """A token that is none, under another name each time."""
    return basic(f"name{number}", f"bst_{number}")


def test_a_large_call_has_its_caller_in_the_record(own_redis: RedisProcess) -> None:
    namespace = f"large-{uuid.uuid4().hex[:8]}"
    server = ServerProcess("--redis", own_redis.url, "--namespace", namespace).await_ready()
    try:
        options = {"retry_delay": 5, "x" * 600_000: 1}
        assert server.post("update_options", json.dumps({"options": options})).status == 400
        task_ids = [f"{number}-{'x' * 700}" for number in range(1000)]
        server.call("change_tasks", task_ids=task_ids, action="retry")
        record = server.call("audit")["records"][-1]
    finally:
        server.stop()
    assert (record["kind"], record["address"], record["tasks"]) == ("anonymous", "127.0.0.1", 0)
    assert record["arguments"]["task_ids"] == "…" or len(record["arguments"]["task_ids"]) == 21


def test_a_server_that_is_killed_at_any_moment_leaves_no_change_without_a_record(own_redis: RedisProcess) -> None:
    namespace, number = f"killed-{uuid.uuid4().hex[:8]}", 0
    with closing(Scheduler(own_redis.url, namespace, prune_interval_seconds=None)) as scheduler:
        for _ in range(by_night(25, 3)):
            server = ServerProcess("--redis", own_redis.url, "--namespace", namespace).await_ready()
            killer = threading.Timer(random.uniform(0.05, 0.4), server.process.kill)
            with closing(RemoteScheduler(server.url, attempts=1)) as remote:
                killer.start()
                deadline = time.monotonic() + 20
                while time.monotonic() < deadline:
                    number += 1
                    try:
                        remote.update_resource(resource="db", amount=number)
                    except BrokerSchedError:
                        break
            killer.join()
            server.process.kill()
            server.wait()
            found = scheduler.audit(limit=1000, method="update_resource")
            known = {each["arguments"]["amount"] for each in (*found["records"], *found["unfinished"])}
            (limit,) = [each["num_total"] for each in scheduler.resource_list() if each["name"] == "db"] or [0]
            assert limit == 0 or limit in known
            assert len(known) == len(found["records"]) + len(found["unfinished"])
