"""HTTP Basic: who gives a right password is a user; whoever does not learns nothing, and must wait."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from argon2 import PasswordHasher, extract_parameters

from broker_sched.errors import SchemaMismatch
from broker_sched.redis_backend.clients import connect
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.server.access import passwords
from broker_sched.server.access.access import AccessConfig, login_in
from broker_sched.server.access.users import Users
from broker_sched.server.app import AppConfig
from tests.conftest import DEFAULT_KIND, running
from tests.server.access.asgi import CHEAP, InProcess, basic, user_line
from tests.servers import until

PASSWORD = "correct horse"


class Place(NamedTuple):
    server: InProcess
    users: Path
    config: AppConfig


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A server with the operator ann, the worker wil, and eve, who has a role elsewhere."""
    users = tmp_path / "users"
    users.write_text(
        user_line("ann", PASSWORD, "operator@*")
        + user_line("wil", PASSWORD, "worker@*")
        + user_line("eve", PASSWORD, "admin@other")
        + "host.example:certificate:admin@*\n"
    )
    users.chmod(0o600)
    config = AppConfig(
        running(DEFAULT_KIND).url, f"basic-{uuid.uuid4().hex[:8]}", access=AccessConfig(users_file=str(users))
    )
    with InProcess(config) as server:
        yield Place(server, users, config)


def test_what_was_started_for_logins_ends_with_a_server_that_does_not_start(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    monkeypatch.setattr(Users, "close", lambda users: closed.append(users))
    key = place.server.app.scheduler.namespace.key("config")
    with closing(connect(place.config.redis_url)) as client:
        client.hset(key, "schema", "1000")
        try:
            with pytest.raises(SchemaMismatch), InProcess(place.config):
                pass
        finally:
            client.hset(key, "schema", SCHEMA_VERSION)
    assert len(closed) == 1


def test_a_user_may_do_what_the_role_says(place: Place) -> None:
    assert place.server.call("pause", basic("ann", PASSWORD)).status == 200
    refused = place.server.call("pause", basic("wil", PASSWORD))
    assert refused.status == 403
    assert refused.json()["error"]["message"] == "wil is worker here; pause needs the role operator or admin."


def test_who_has_no_role_in_the_namespace_may_not_even_look(place: Place) -> None:
    refused = place.server.call("is_paused", basic("eve", PASSWORD))
    assert refused.status == 403 and place.config.namespace in refused.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/api/is_paused", "/api/fly", "/", "/metrics", "/nowhere", "//healthz", "/healthz/"])
def test_who_says_nothing_is_asked_for_a_login(place: Place, path: str) -> None:
    refused = place.server.request("GET", path)
    assert refused.status == 401
    assert refused.headers["www-authenticate"] in (
        "Bearer",
        f'Basic realm="bsched {place.config.namespace}", charset="UTF-8"',
    )


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_everybodys(place: Place, path: str) -> None:
    assert place.server.request("GET", path).status == 200


@pytest.mark.parametrize(
    "header",
    [
        *(
            "Basic",
            "Basic ",
            "Basic !",
            "Basic YW5u",
            "basic YW5uOmdlaGVpbQ==",
            "Bearer x",
            "Digest x",
            "",
            "Basic Og==",
        ),
        *(basic(*each)["authorization"] for each in [("ann", ""), ("", PASSWORD), ("ann\0", PASSWORD)]),
        basic("host.example", "certificate")["authorization"],
        basic("ann", PASSWORD + "\0")["authorization"],
        basic("ann", "x" * 2000)["authorization"],
    ],
)
def test_anything_but_a_right_login_is_refused(place: Place, header: str) -> None:
    refused = place.server.call("is_paused", {"authorization": header})
    assert refused.status == 401
    assert refused.json()["error"]["type"] == "Unauthorized"


def test_a_wrong_password_a_stranger_and_a_certificates_name_get_the_same_answer(place: Place) -> None:
    answers = [place.server.call("is_paused", basic(name, "wrong")) for name in ("ann", "nobody", "host.example")]
    said = [(each.status, {**each.headers, "x-request-id": ""}, each.body) for each in answers]
    assert said[0] == said[1] == said[2]


def test_for_a_stranger_as_much_is_calculated_as_for_a_user(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda *given: tried.append(given[0]) or verify(*given))
    for name in ("ann", "nobody", "host.example"):
        assert place.server.call("is_paused", basic(name, "wrong")).status == 401
    assert len(tried) == 3
    assert len({str(extract_parameters(each)) for each in tried}) == 1
    assert extract_parameters(f"{passwords.PARAMETERS[:-2]}${'A' * 22}${'A' * 43}") == PasswordHasher()._parameters


def test_after_ten_failures_an_address_waits_at_every_server_and_others_do_not(place: Place) -> None:
    for number in range(10):
        assert place.server.call("is_paused", basic("ann", f"wrong {number}")).status == 401
    with InProcess(place.config) as another:
        for server in (place.server, another):
            refused = server.call("is_paused", basic("ann", PASSWORD))
            assert refused.status == 429 and refused.headers["retry-after"] == "1"
            assert refused.json()["error"]["type"] == "TooManyLogins"
        elsewhere = another.request("GET", "/api/is_paused", headers=basic("ann", PASSWORD), client="192.0.2.2")
        assert elsewhere.status == 200


def test_who_was_let_in_before_stays_in_whatever_others_at_the_address_do(place: Place) -> None:
    assert place.server.call("is_paused", basic("wil", PASSWORD)).status == 200
    for number in range(11):
        place.server.call("is_paused", basic("ann", f"wrong {number}"))
    assert place.server.call("is_paused", basic("ann", PASSWORD)).status == 429
    assert place.server.call("is_paused", basic("wil", PASSWORD)).status == 200


def test_a_program_that_repeats_its_wrong_password_keeps_nobody_out(place: Place) -> None:
    for _ in range(50):
        assert place.server.call("is_paused", basic("wil", "forgotten")).status == 401
    assert place.server.call("is_paused", basic("ann", PASSWORD)).status == 200


def test_a_password_is_tried_once_and_then_remembered(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda *given: tried.append(given[1]) or verify(*given))
    for _ in range(3):
        assert place.server.call("is_paused", basic("ann", PASSWORD)).status == 200
    assert tried == [PASSWORD]


def test_passwords_are_tried_beside_the_event_loop_two_at_once_and_not_too_many_wait(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, tried = threading.Event(), list[str]()

    def verify(expected: str, password: str) -> bool:
        tried.append(password)
        return gate.wait(20) and False

    monkeypatch.setattr(passwords, "_verify", verify)
    monkeypatch.setattr(passwords, "WAITING_AT_MOST", 4)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(place.server.call, "is_paused", basic("ann", f"wrong {each}")) for each in range(4)]
        until(lambda: len(tried) == 2, "two are tried")
        assert place.server.app._access is not None and place.server.app._access._users is not None
        known = place.server.app._access._users._passwords
        until(lambda: known._waiting == 4, "two wait for their turn")
        assert place.server.request("GET", "/healthz").status == 200
        refused = place.server.call("is_paused", basic("ann", "one too many"))
        assert refused.status == 429 and refused.headers["retry-after"] == "1"
        assert len(tried) == 2
        gate.set()
        assert [each.result().status for each in asked] == [401] * 4
    assert len(tried) == 4


def test_a_changed_password_a_changed_role_and_a_removed_user_hold_within_half_a_second(place: Place) -> None:
    assert place.server.call("pause", basic("ann", PASSWORD)).status == 200
    text = place.users.read_text()

    def status(method: str, name: str, password: str) -> int:
        return place.server.call(method, basic(name, password)).status

    place.users.write_text(text.replace("operator@*", "viewer@*"))
    until(lambda: status("pause", "ann", PASSWORD) == 403, "the role has changed", seconds=2)
    place.users.write_text(user_line("ann", "another", "operator@*"))
    until(lambda: status("pause", "ann", PASSWORD) == 401, "the password has changed", seconds=2)
    assert status("pause", "ann", "another") == 200
    place.users.write_text("")
    until(lambda: status("pause", "ann", "another") == 401, "the user is gone", seconds=2)


def test_a_password_may_have_any_letters(place: Place) -> None:
    place.users.write_text(place.users.read_text() + user_line("jörg", "pässwörd: ✓", "viewer@*"))
    headers = basic("jörg", "pässwörd: ✓")
    until(lambda: place.server.call("is_paused", headers).status == 200, "he is known", seconds=2)


def test_letters_in_latin_1_are_understood_as_requests_sends_them() -> None:
    assert login_in(b"avZyZzpw5HNz") == ("jörg", "päss")


def test_an_open_app_is_no_strangers_unless_it_is_told_so() -> None:
    url = running(DEFAULT_KIND).url
    with InProcess(AppConfig(url, "open")) as server:
        assert server.request("GET", "/api/is_paused").status == 200
        refused = server.request("GET", "/api/is_paused", server="192.0.2.7")
        assert refused.status == 403 and b"BSCHED_USERS_FILE" in refused.body
    with InProcess(AppConfig(url, "open", access=AccessConfig(is_open_to_all=True))) as server:
        assert server.request("GET", "/api/is_paused", server="192.0.2.7").status == 200


def test_the_cheap_hash_of_these_tests_is_verified_by_its_own_parameters() -> None:
    assert passwords._verify(CHEAP.hash("x"), "x") and not passwords._verify(CHEAP.hash("x"), "y")


def test_a_new_server_lets_in_whom_an_old_one_has_though_another_failed_often_at_the_same_address(place: Place) -> None:
    assert place.server.call("ping", basic("wil", PASSWORD), worker="w").status == 200
    refused = [place.server.call("ping", basic("wes", f"wrong {number}"), worker="w").status for number in range(12)]
    assert refused[-1] == 429
    with InProcess(place.config) as other:  # which remembers no password
        assert other.call("ping", basic("wil", PASSWORD), worker="w").status == 200
        assert other.call("ping", basic("ann", PASSWORD), worker="w").status == 429


def test_a_password_that_is_no_text_is_a_wrong_one(place: Place) -> None:
    body = b'{"user":"ann","password":"\\ud800 no text"}'
    assert place.server.request("POST", "/login", body, {"content-type": "application/json"}).status == 401
