"""A browser's session: how it begins, what it holds, and all that ends it."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from broker_sched import Scheduler
from broker_sched.contract.roles import Role
from broker_sched.scheduler.operations.sessions import list_sessions, revoke_sessions
from broker_sched.scheduler.operations.tokens import create_token, revoke_token
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.access.login import own_path
from broker_sched.server.access.sessions import SessionConfig, cookie_header, cookie_in, cookie_name
from broker_sched.server.app import AppConfig
from tests.conftest import DEFAULT_KIND, running
from tests.harness import FORM, RedisProcess, Reply, ServerProcess
from tests.server.access.asgi import InProcess, user_line
from tests.servers import until

PASSWORD = "correct horse"
BROWSER = {"accept": "text/html", "user-agent": "Mozilla/5.0"}


class Place(NamedTuple):
    server: InProcess
    scheduler: Scheduler
    users: Path

    def log_in(
        self, user: str = "ann", password: str = PASSWORD, headers: Mapping[str, str] = {}, **more: str
    ) -> Reply:
        body = urlencode({"user": user, "password": password, **more}).encode()
        return self.server.request("POST", "/login", body, {"content-type": FORM, **BROWSER, **headers})

    def status(self, cookie: str, method: str = "is_paused") -> int:
        return self.server.call(method, {"cookie": cookie}).status


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    users = tmp_path / "users"
    users.write_text(user_line("ann", PASSWORD, "operator@*") + user_line("eve", PASSWORD, "viewer@other"))
    users.chmod(0o600)
    url, namespace = running(DEFAULT_KIND).url, f"sessions-{uuid.uuid4().hex[:8]}"
    config = AppConfig(url, namespace, access=AccessConfig(users_file=str(users)))
    with InProcess(config) as server, closing(Scheduler(url, namespace)) as scheduler:
        yield Place(server, scheduler, users)
        assert scheduler.verify() == []


def cookie_of(reply: Reply) -> str:
    return reply.headers["set-cookie"].partition(";")[0]


def test_who_logs_in_gets_a_cookie_that_no_script_and_no_other_site_has(place: Place) -> None:
    reply = place.log_in()
    assert (reply.status, reply.headers["location"]) == (303, "./")
    name = f"bsched_session-{place.scheduler.namespace.name}"
    assert re.fullmatch(rf"{name}=[\w-]{{43}}; Path=/; HttpOnly; SameSite=Strict", reply.headers["set-cookie"])
    cookie = cookie_of(reply)
    assert [place.status(cookie), place.status(cookie, "pause"), place.status(cookie, "update_options")] == [
        200,
        200,
        403,
    ]
    (told,) = place.scheduler.drive(list_sessions(place.scheduler.namespace))
    assert (told["name"], told["kind"], told["address"], told["browser"]) == ("ann", "user", "192.0.2.1", "Mozilla/5.0")


def test_over_tls_the_cookie_is_this_hosts_alone_and_never_goes_without() -> None:
    scope = {"scheme": "https", "headers": [(b"host", b"s.example")]}
    name = cookie_name(scope, "session", "etl")
    assert cookie_header(scope, name, "x", "Strict", None) == (
        "__Host-bsched_session-etl=x; Path=/; HttpOnly; SameSite=Strict; Secure"
    )


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"s.example", "bsched_session-etl"),
        (b"s.example:8082", "bsched_session-etl-8082"),
        (b"[::1]:8083", "bsched_session-etl-8083"),
        (b"[2001:db8::1]", "bsched_session-etl"),
        (b"s.example:80; x=y", "bsched_session-etl"),
        (b"s.example:123456", "bsched_session-etl"),
    ],
)
def test_servers_on_one_host_have_cookies_of_their_own(host: bytes, name: str) -> None:
    scope = {"scheme": "http", "headers": [(b"host", host)]}
    assert cookie_name(scope, "session", "etl") == name
    assert cookie_name(scope, "login", "etl") == name.replace("session", "login")
    cookies = [(b"cookie", b"bsched_session-etl-9=other; %s=mine; bsched_session-ml=third" % name.encode())]
    assert cookie_in({**scope, "headers": cookies}, name) == "mine"


def test_who_is_logged_in_at_one_server_logs_in_at_another_of_the_host_and_is_in_at_both(place: Place) -> None:
    first, second = (cookie_of(place.log_in(headers={"host": f"localhost:{port}"})) for port in (8082, 8083))
    both = f"{first}; {second}"
    for port in (8082, 8083):
        headers = {"cookie": both, "host": f"localhost:{port}"}
        assert place.server.call("is_paused", headers).status == 200
    assert place.status(both) == 401, "another port, for which there is none"


def test_a_program_logs_in_with_json_and_is_told_its_role(place: Place) -> None:
    body = json.dumps({"user": "ann", "password": PASSWORD}).encode()
    reply = place.server.request("POST", "/login", body, {"content-type": "application/json"})
    assert reply.json() == {"name": "ann", "role": "operator", "namespace": place.scheduler.namespace.name}
    assert place.status(cookie_of(reply)) == 200
    wrong = json.dumps({"user": "ann", "password": "x"}).encode()
    refused = place.server.request("POST", "/login", wrong, {"content-type": "application/json"})
    assert refused.status == 401 and refused.json()["error"]["type"] == "Unauthorized"


@pytest.mark.parametrize(("user", "password", "status"), [("ann", "x", 401), ("bob", "x", 401), ("eve", PASSWORD, 403)])
def test_a_wrong_login_shows_the_form_again_and_sets_no_cookie(
    place: Place, user: str, password: str, status: int
) -> None:
    reply = place.log_in(user, password, next="/metrics")
    assert reply.status == status and "set-cookie" not in reply.headers and "www-authenticate" not in reply.headers
    assert b'role="alert"' in reply.body and b'value="/metrics"' in reply.body


def test_each_login_has_a_new_id_and_ends_the_one_before(place: Place) -> None:
    chosen = f"bsched_session-{place.scheduler.namespace.name}=" + 43 * "a"
    first = cookie_of(place.log_in(headers={"cookie": chosen}))
    assert first != chosen and place.status(chosen) == 401, "an attacker's choice is none"
    second = cookie_of(place.log_in(headers={"cookie": first}))
    assert second != first
    assert [place.status(first), place.status(second)] == [401, 200]


def test_logging_out_ends_the_session_and_takes_the_cookie(place: Place) -> None:
    cookie = cookie_of(place.log_in())
    assert place.status(cookie) == 200
    page = place.server.request("GET", "/login", headers={**BROWSER, "cookie": cookie})
    assert b"ann is operator" in page.body and b"Log out" in page.body
    reply = place.server.request("POST", "/logout", b"", {**BROWSER, "cookie": cookie})
    assert (reply.status, reply.headers["location"]) == (303, "login")
    taken = reply.headers["set-cookie"]
    assert taken.startswith(f"{cookie.partition('=')[0]}=; Path=/") and "Max-Age=0" in taken
    assert place.status(cookie) == 401
    assert place.server.request("GET", "/logout").status == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost"},
    ],
)
def test_no_other_site_logs_a_browser_in_or_out(place: Place, headers: dict[str, str]) -> None:
    """Else a page could log its visitor in as somebody who then sees what the visitor does."""
    refused = place.log_in(headers=headers)
    assert refused.status == 403 and "set-cookie" not in refused.headers
    cookie = cookie_of(place.log_in(headers={"origin": "http://localhost", "sec-fetch-site": "same-origin"}))
    assert place.server.request("POST", "/logout", b"", {**headers, "cookie": cookie}).status == 403
    assert place.status(cookie) == 200


@pytest.mark.parametrize(
    "wanted",
    [
        *(
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "\\\\evil.example",
            "/\tx",
            "/ x",
            "",
            "javascript:x",
        ),
        *("/%2f%2fevil.example/..", "///evil.example", "/a\r\nSet-Cookie: x=y", "/ü", "/" + 3000 * "a", "evil.example"),
    ],
)
@pytest.mark.parametrize("base", ["https://ours.example/login", "https://ours.example/below/login"])
def test_a_login_goes_on_to_pages_of_this_server_only(wanted: str, base: str) -> None:
    assert urlsplit(urljoin(base, f".{own_path(wanted)}")).netloc == "ours.example"
    assert re.fullmatch(r"/[!-\[\]-~]*", own_path(wanted)), "no line end, no backslash"
    assert own_path("/metrics?x=1&y=%20") == "/metrics?x=1&y=%20"


def test_a_person_who_opens_a_page_is_led_to_the_login_and_back(place: Place) -> None:
    reply = place.server.request("GET", "/scale?family=A%20b", headers=BROWSER)
    assert (reply.status, reply.headers["location"]) == (303, "login?next=%2Fscale%3Ffamily%3DA%2520b")
    form = place.server.request("GET", f"/{reply.headers['location']}", headers=BROWSER)
    assert b'value="/scale?family=A%20b"' in form.body
    back = place.log_in(next="/scale?family=A%20b")
    assert back.headers["location"] == "./scale?family=A%20b"
    assert place.server.request("GET", "/api/is_paused").status == 401


def test_the_login_page_has_no_script_and_a_policy_that_allows_none(place: Place) -> None:
    page = place.server.request("GET", "/login?next=/%22%3E%3Cscript%3E", headers=BROWSER)
    assert b"<script" not in page.body and page.status == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert page.headers["referrer-policy"] == "same-origin", "else a browser says Origin: null of the form"
    assert page.headers["cache-control"] == "no-store"


def test_a_call_of_a_page_without_a_login_opens_no_window_of_the_browser(place: Place) -> None:
    refused = place.server.call("is_paused", {"sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"})
    assert refused.status == 401 and refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("change", ["", user_line("ann", "another", "operator@*")], ids=["removed", "another password"])
def test_a_user_who_is_removed_or_gets_another_password_loses_the_session(place: Place, change: str) -> None:
    cookie = cookie_of(place.log_in())
    assert place.status(cookie) == 200
    place.users.write_text(user_line("other", "x", "viewer@*") + change)
    until(lambda: place.status(cookie) == 401, "the session is over")


def test_another_role_holds_for_a_session_that_is_there(place: Place) -> None:
    cookie = cookie_of(place.log_in())
    place.users.write_text(place.users.read_text().replace("operator@*", "viewer@*"))
    until(lambda: place.status(cookie, "pause") == 403, "ann is a viewer")
    assert place.status(cookie) == 200


def test_a_session_that_began_with_a_token_ends_with_it(place: Place) -> None:
    namespace = place.scheduler.namespace
    token = place.scheduler.drive(create_token(namespace, name="t", role=Role.VIEWER, by="", seconds=None))
    cookie = cookie_of(place.log_in("anybody", token.secret))
    assert [place.status(cookie), place.status(cookie, "pause")] == [200, 403]
    place.scheduler.drive(revoke_token(namespace, token.id))
    until(lambda: place.status(cookie) == 401, "the session is over")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"user=ann", "text/plain", 415),
        (b"{", "application/json", 400),
        (b'{"user": 1}', "application/json", 400),
        (b"[]", "application/json", 400),
        (b"x=" + 20_000 * b"y", FORM, 413),
        (b"&".join(b"a%d=b" % n for n in range(20)), FORM, 400),
        (b"\xff=\xff", FORM, 400),
    ],
)
def test_what_is_no_login_is_a_4xx(place: Place, body: bytes, kind: str, status: int) -> None:
    assert place.server.request("POST", "/login", body, {"content-type": kind}).status == status


@pytest.mark.parametrize("cookie", ["{}=", "{}=x", "{}", ";;=", "__Host-{}=x", "bsched_session=x"])
def test_a_cookie_that_is_none_of_ours_is_nobodys(place: Place, cookie: str) -> None:
    name = f"bsched_session-{place.scheduler.namespace.name}"
    assert place.status(cookie.format(name)) == 401


def test_a_session_ends_when_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(user_line("ann", PASSWORD, "viewer@*"))
    (tmp_path / "users").chmod(0o600)
    access = AccessConfig(users_file=str(tmp_path / "users"), session=SessionConfig(idle_seconds=0.8, most_seconds=60))
    url, namespace = running(DEFAULT_KIND).url, f"sessions-{uuid.uuid4().hex[:8]}"
    with InProcess(AppConfig(url, namespace, access=access)) as server, closing(Scheduler(url, namespace)) as scheduler:
        place = Place(server, scheduler, tmp_path)
        cookie, began = cookie_of(place.log_in()), time.monotonic()
        while time.monotonic() - began < 1.6:
            assert place.status(cookie) == 200, "it is used all the time"
        until(lambda: not scheduler.drive(list_sessions(scheduler.namespace)), "it is over")
        until(lambda: place.status(cookie) == 401, "the server knows")


def test_a_revoked_session_is_refused_by_all_servers_within_a_second(
    own_redis: RedisProcess, start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    (tmp_path / "users").write_text(user_line("ann", PASSWORD, "viewer@*"))
    (tmp_path / "users").chmod(0o600)
    where = ("--redis", own_redis.url, "--namespace", "sessions", "--users-file", str(tmp_path / "users"))
    servers = [start_server(*where).await_ready() for _ in range(2)]
    body = urlencode({"user": "ann", "password": PASSWORD}).encode()
    cookie = cookie_of(servers[0].request("POST", "/login", body, {"Content-Type": FORM}))

    def statuses() -> list[int]:
        ports = [urlsplit(each.url).port for each in servers]  # the name of the cookie has the one that is asked
        cookies = [cookie.replace(f"-{ports[0]}=", f"-{port}=") for port in ports]
        return [
            each.request("GET", "/api/is_paused", headers={"Cookie": shown}).status
            for each, shown in zip(servers, cookies)
        ]

    assert statuses() == [200, 200]
    with closing(Scheduler(own_redis.url, "sessions")) as scheduler:
        assert scheduler.drive(revoke_sessions(scheduler.namespace, name="ann")) == 1
    revoked = time.monotonic()
    until(lambda: statuses() == [401, 401], "both refuse it")
    assert time.monotonic() - revoked < 1.0


def test_a_server_without_a_login_has_no_page_for_it() -> None:
    with InProcess(AppConfig(running(DEFAULT_KIND).url, f"sessions-{uuid.uuid4().hex[:8]}")) as server:
        for verb, path in (("GET", "/login"), ("POST", "/login"), ("POST", "/logout")):
            assert server.request(verb, path).status == 404
