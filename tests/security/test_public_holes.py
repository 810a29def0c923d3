"""Holes that other dashboards and schedulers have had: each is tried on ours. docs/security.md has the table."""

from __future__ import annotations

import ast
import json
import re
import resource
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from broker_sched.contract.roles import METHOD_RIGHTS, Role
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.access.grants import parse_grants, role_in
from broker_sched.server.app import AppConfig
from broker_sched.server.front_page import front_page
from tests.conftest import DEFAULT_KIND, running
from tests.harness import ROOT, ServerProcess
from tests.server.access.asgi import InProcess, basic, user_line
from tests.servers import until

PASSWORD = "correct horse"
MARKUP = "<img src=x onerror=alert(1)><script>alert(1)</script>"
HTML = re.compile(r"<(img|script>)", re.I)  # the page's own scripts have attributes


def config(users_text: str | None, tmp: Any) -> AppConfig:
    """Of a namespace of its own. users_text: of the users file; None: there are no users, and a login is wanted."""
    namespace = f"holes-{uuid.uuid4().hex[:8]}"
    if users_text is None:
        return AppConfig(running(DEFAULT_KIND).url, namespace, access=AccessConfig(wants_login=True))
    users = tmp / "users"
    users.write_text(users_text)
    users.chmod(0o600)
    return AppConfig(running(DEFAULT_KIND).url, namespace, access=AccessConfig(users_file=str(users)))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """A server with the admin ann, the viewer vic, and a machine that comes with a certificate."""
    text = user_line("ann", PASSWORD, "admin@*") + user_line("vic", PASSWORD, "viewer@*")
    text += "host.example:certificate:admin@*\n"
    with InProcess(config(text, tmp_path_factory.mktemp("users"))) as server:
        yield server


@pytest.fixture(scope="module")
def open_server() -> Iterator[InProcess]:
    """One without users, where everybody may do everything."""
    with InProcess(AppConfig(running(DEFAULT_KIND).url, f"holes-{uuid.uuid4().hex[:8]}")) as server:
        yield server


# Flower, CVE-2022-30034: the regular expression of allowed addresses was not anchored.


@pytest.mark.parametrize(
    "name",
    ["ann.evil.example", "evil.ann", "an", "ANN", "ann ", " ann", "ann\t", "ann\x00", ".*", "a.n", "vic|ann", ""],
)
def test_a_name_that_only_looks_like_a_users_is_nobodys(guarded: InProcess, name: str) -> None:
    client = f"198.51.100.{len(name)}{ord(name[:1] or '0') % 10}"  # who fails often must wait
    for each, expected in ((name, 401), ("ann", 200)):
        headers = basic(each, PASSWORD)
        assert guarded.request("GET", "/api/is_paused", headers=headers, client=client).status == expected


@pytest.mark.parametrize("name", ["host.example.evil.org", "evil.host.example", "host", "*.example", "HOST.EXAMPLE."])
def test_a_certificate_of_a_name_that_only_looks_like_a_users_is_nobodys(guarded: InProcess, name: str) -> None:
    def asked(*names: str) -> int:
        extensions = {"tls": {"client_cert_names": names}}
        return guarded.request("GET", "/api/is_paused", extensions=extensions).status

    assert asked(name) == 401
    assert asked("host.example") == asked(name, "host.example") == 200


@pytest.mark.parametrize("served", ["etl2", "et", "ETL", "my-etl", "etl.evil"])
def test_a_role_for_a_namespace_holds_in_none_that_only_looks_like_it(served: str) -> None:
    grants = parse_grants(["admin@etl"])
    assert role_in(grants, "etl") is Role.ADMIN
    assert role_in(grants, served) is None


# Airflow's default login and its default key of cookies, which scanners try everywhere.


@pytest.mark.parametrize(
    ("name", "password"),
    [(name, password) for name in ("admin", "airflow", "root", "luigi", "bsched", "guest") for password in (name, "")]
    + [("admin", "password"), ("admin", "admin123"), ("root", "toor"), ("token", "bst_"), ("", "")],
)
def test_there_is_no_default_login(tmp_path: Any, lonely: InProcess, name: str, password: str) -> None:
    assert lonely.call("is_paused", basic(name, password)).status == 401


@pytest.fixture(scope="module")
def lonely() -> Iterator[InProcess]:
    """A server that wants a login before anybody has one."""
    with InProcess(config(None, None)) as server:
        yield server


@pytest.mark.parametrize("name", ["session", "bsched_session-default", "bsched_session", "user", "remember_token"])
@pytest.mark.parametrize(
    "value", ["eyJfcGVybWFuZW50Ijp0cnVlLCJ1c2VyX2lkIjoiMSJ9.YRZQ.c2lnbmVk", "admin", "1", "", "null", "' OR 1=1 --"]
)
def test_a_cookie_that_no_server_has_given_is_nobodys(lonely: InProcess, name: str, value: str) -> None:
    assert lonely.request("GET", "/api/is_paused", headers={"cookie": f"{name}={value}"}).status == 401


# rq-dashboard, Sidekiq, resque-scheduler, Airflow: markup in what jobs say ran in the browser of whoever looked.


def test_markup_in_whatever_a_task_says_is_never_sent_as_html(open_server: InProcess) -> None:
    said: dict[str, Any] = {"worker": MARKUP, "task_id": MARKUP, "family": MARKUP, "module": MARKUP}
    more = {"params": {MARKUP: MARKUP}, "resources": {MARKUP: 1}, "tracking_url": MARKUP, "owners": [MARKUP]}
    assert open_server.call("add_task", **said, **more).status == 200
    assert open_server.call("get_work", worker=MARKUP, host=MARKUP).status == 200
    for method, arguments in {
        "set_task_status_message": {"task_id": MARKUP, "status_message": MARKUP},
        "set_task_log": {"task_id": MARKUP, "log": MARKUP, "size": 100},
        "add_worker": {"worker": MARKUP, "info": {MARKUP: MARKUP}},
        "add_task": {**said, "status": "FAILED", "expl": MARKUP},
    }.items():
        assert open_server.call(method, **arguments).status == 200
    shown = 0
    for name, method in METHODS.items():
        if method.reads_only or method.is_view:
            given = {
                each.name: MARKUP
                for each in method.parameters
                if each.default is each.empty and each.name != "task_ids"
            }
            reply = open_server.call(name, **given)
            shown += MARKUP.encode() in reply.body
            assert reply.headers["content-type"].startswith("application/json"), name
            assert reply.headers["x-content-type-options"] == "nosniff"
    assert shown > 10, "what was planted is there to be seen"
    assert not HTML.search(open_server.request("GET", "/").body.decode())


@pytest.mark.parametrize(
    "path", [f"/{MARKUP}", f"/api/{MARKUP}", f"/?q={MARKUP}", f"/api/tasks?data={MARKUP}", f"/scale?{MARKUP}=1"]
)
def test_markup_in_a_url_comes_back_in_no_html(open_server: InProcess, path: str) -> None:
    reply = open_server.request("GET", path)
    is_html = "html" in reply.headers.get("content-type", "")
    assert not is_html or not HTML.search(reply.body.decode())
    assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_markup_in_a_namespaces_name_is_text_on_the_page() -> None:
    assert not HTML.search(front_page(MARKUP).decode())


# Oban Web, before 2.12.5: read-only users could edit a job, and so run code.


@pytest.mark.parametrize(
    "name", sorted(name for name, right in METHOD_RIGHTS.items() if Role.VIEWER not in right.roles and name != "audit")
)
def test_a_viewer_changes_nothing_by_any_method_or_verb(guarded: InProcess, name: str) -> None:
    assert METHODS[name].reads_only is METHODS[name].is_view is False
    for reply in (
        guarded.call(name, basic("vic", PASSWORD)),
        guarded.request("GET", f"/api/{name}", headers=basic("vic", PASSWORD)),
        guarded.request("POST", f"/api/{name}?data=%7B%7D", headers=basic("vic", PASSWORD)),
    ):
        assert reply.status == 403


# Oban Web, before 2.12.5: a short text of a schedule took gigabytes.

GREEDY = [
    "[" * 50_000,
    "[" * 20_000 + "]" * 20_000,
    '{"a":' * 20_000 + "1" + "}" * 20_000,
    '{"worker": "w", "n": 1e999999999}',
    '{"worker": "w", "n": ' + "9" * 60_000 + "}",
    '{"worker": "w", "task_id": "t", "priority": 1e308}',
    '{"worker": "w", "seconds": 1e308}',
    '{"cursor": "' + "A" * 60_000 + '"}',
    '{"limit": 9007199254740992}',
    '{"limit": 1e300, "search": "(a+)+$"}',
    '{"search": "' + "a" * 30_000 + '!"}',
    '{"since": -1e300}',
    "%" * 60_000,
    "&".join(["data"] * 10_000),
]


@pytest.mark.parametrize("number", range(len(GREEDY)))
def test_a_short_text_takes_little_memory_and_time(open_server: InProcess, number: int) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for name in METHODS:
        if name != "await_work":
            for kind in ("application/json", "application/x-www-form-urlencoded"):
                body = GREEDY[number].encode() if "json" in kind else b"data=" + GREEDY[number].encode()
                reply = open_server.request("POST", f"/api/{name}", body, {"content-type": kind})
                assert reply.status in (200, 400), reply
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"
    assert time.process_time() - began < 10


# starlette, CVE-2025-62727 and CVE-2025-54121: a Range header took quadratic time, a multipart form the event loop.


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/api/is_paused", "/metrics"])
def test_a_range_is_not_looked_at(open_server: InProcess, path: str) -> None:
    ranges = "bytes=" + ",".join(f"{number}-" for number in range(8000))
    plain, began = open_server.request("GET", path), time.process_time()
    ranged = open_server.request("GET", path, headers={"range": ranges})
    assert (ranged.status, "content-range" in ranged.headers) == (200, False)
    assert len(ranged.body) >= len(plain.body) - 100
    assert time.process_time() - began < 1


def test_a_multipart_form_is_refused_unread(open_server: InProcess) -> None:
    part = b'--x\r\ncontent-disposition: form-data; name="data"; filename="f"\r\n\r\n{}\r\n'
    began = time.process_time()
    for path in ("/api/ping", "/api/add_task", "/"):
        kind = {"content-type": "multipart/form-data; boundary=x"}
        assert open_server.request("POST", path, part * 1000 + b"--x--\r\n", kind).status in (405, 415)
    assert time.process_time() - began < 1
    parsers = [
        path for path in (ROOT / "broker_sched").rglob("*.py") if re.search(r"\.form\(|multipart", path.read_text())
    ]
    assert parsers == []


# dask, CVE-2021-42343: a helper listened on all addresses.


def test_a_server_and_its_helpers_listen_on_loopback_only(server: ServerProcess) -> None:
    body = b'{"worker":"w"}' + b" " * 600_000
    assert server.request("POST", "/api/ping", body, {"Content-Type": "application/json"}).status == 200
    own = psutil.Process(server.process.pid)
    helpers = until(own.children, "the process for large calls is there")
    found = [
        each
        for process in (own, *helpers)
        for each in process.net_connections("all")
        if each.status == psutil.CONN_LISTEN
    ]
    assert found and {each.laddr.ip for each in found} == {"127.0.0.1"}


# rq-dashboard: the password was compared with `!=`, which takes longer the more of it is right.

SECRETS = re.compile(r"password|secret|token|digest|hash\b|cookie|nonce|verifier", re.I)


def test_no_secret_is_compared_in_a_time_that_tells_of_it() -> None:
    """Secrets are looked up by their hash, or compared by argon2 or hmac.compare_digest."""
    found = []
    for path in sorted((ROOT / "broker_sched/server/access").glob("*.py")):
        for part in ast.walk(ast.parse(path.read_text())):
            if isinstance(part, ast.Compare) and any(isinstance(each, (ast.Eq, ast.NotEq)) for each in part.ops):
                sides = [part.left, *part.comparators]
                is_constant = any(isinstance(each, ast.Constant) or ast.unparse(each).isupper() for each in sides)
                if not is_constant and SECRETS.search(ast.unparse(part)):
                    found.append(f"{path.name}:{part.lineno}: {ast.unparse(part)}")
    assert found == []


# authlib, klangk, datahub: a login led on to another site.


@pytest.mark.parametrize(
    "path",
    [
        *("//evil.example", "//evil.example/", "/%2f%2fevil.example", "/\\evil.example", "/healthz/", "/api/", "/api"),
        *("/login?next=https://evil.example", "/login?next=//evil.example", "/?next=//evil.example", "/login/"),
    ],
)
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_no_answer_leads_to_another_site(guarded: InProcess, path: str, verb: str) -> None:
    for headers in ({}, basic("vic", PASSWORD), {"host": "evil.example"}, {"x-forwarded-host": "evil.example"}):
        reply = guarded.request(verb, path, headers=headers)
        where = reply.headers.get("location", "/")
        assert where.startswith("/") and not where.startswith(("//", "/\\")), reply
        assert "evil" not in json.dumps(dict(reply.headers))
