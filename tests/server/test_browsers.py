"""What a browser is told about an answer, and what [cors] of luigi.cfg lets pages of other sites do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker_sched.errors import ConfigurationError
from broker_sched.luigi_config import read_file
from broker_sched.server.cors import parse_cors
from tests.harness import RedisProcess, Reply, ServerProcess
from tests.server.raw import CLOSE, HOST, conversation, get, post

Start = Callable[..., ServerProcess]
NOTHING = b"default-src 'none'; frame-ancestors 'none'"
LONG = b"A: " + b"x" * 1_000_000


# Every answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (get(b"/", CLOSE), 200),
        (get(b"/", CLOSE, b"HEAD"), 204),
        (get(b"/healthz", CLOSE), 200),
        (get(b"/readyz", CLOSE), 200),
        (get(b"/metrics", CLOSE), 200),
        (get(b"/scale", CLOSE), 200),
        (get(b"/nowhere", CLOSE), 404),
        (get(b"/healthz", CLOSE, b"PUT"), 405),
        (get(b"/api/is_paused", CLOSE), 200),
        (get(b"/api/is_paused", CLOSE, b"OPTIONS"), 204),
        (get(b"/api/is_paused", CLOSE, b"PUT"), 405),
        (get(b"/api/fly", CLOSE), 404),
        (get(b"/api/task_list", CLOSE), 200),
        (post(b"/api/ping", b"[]", CLOSE), 400),
        (post(b"/api/pause", b"{}", CLOSE + b"Origin: http://evil.example\r\n"), 403),
        (post(b"/api/ping", b"<x/>", CLOSE).replace(b"/json", b"/xml"), 415),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n" + CLOSE + b"\r\n", 403),
        (b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + LONG, 431),
        (b"no HTTP\r\n\r\n", 400),
    ],
)
def test_every_answer_has_the_security_headers(server: ServerProcess, sent: bytes, status: int) -> None:
    (said,) = conversation(server, sent, is_head=sent.startswith(b"HEAD"))
    headers = dict(line.split(b": ", 1) for line in said.head.split(b"\r\n")[1:])
    assert said.status == status
    policy = headers[b"content-security-policy"]
    is_page = headers.get(b"content-type", b"").startswith(b"text/html")
    assert b"frame-ancestors 'none'" in policy and policy.startswith(b"default-src 'none';")
    assert (policy == NOTHING) is not is_page
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert headers[b"cache-control"] == b"no-store"
    assert len(headers) == said.head.count(b"\r\n"), "none is given twice"


# [cors]

EVIL, PAGE, OTHER = "https://evil.example", "https://page.example", "http://other.example:8080"


@pytest.fixture(scope="module")
def with_cors(
    own_redis: RedisProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], ServerProcess]]:
    """A server with this section [cors]; one for each, as long as the module's tests run."""
    started: dict[str, ServerProcess] = {}

    def with_section(text: str) -> ServerProcess:
        if text not in started:
            path = tmp_path_factory.mktemp("cors") / "luigi.cfg"
            path.write_text(f"[cors]\nenabled = true\n{text}\n")
            where = ("--redis", own_redis.url, "--namespace", f"cors-{len(started)}")
            started[text] = ServerProcess(*where, environment={"LUIGI_CONFIG_PATH": str(path)}).await_ready()
        return started[text]

    yield with_section
    for each in started.values():
        assert each.stop() == 0


def granted(reply: Reply) -> dict[str, str]:
    short = "access-control-"
    return {name.removeprefix(short): value for name, value in reply.headers.items() if name.startswith(short)}


def asked(server: ServerProcess, verb: str, method: str, origin: str | None) -> Reply:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    return server.request(verb, f"/api/{method}", headers=headers if origin is None else {**headers, "Origin": origin})


LISTED = f'allowed_origins = ["{PAGE}", "{OTHER}"]\nallow_credentials = true\nexposed_headers = X-Bsched-Request-Id'
ALL = "allow_any_origin = true\nallow_null_origin = true\nmax-age = 60"


def test_a_listed_origin_is_granted_what_luigid_grants(with_cors: Callable[[str], ServerProcess]) -> None:
    server = with_cors(LISTED)
    always = {"allow-credentials": "true", "expose-headers": "X-Bsched-Request-Id"}
    for origin in (PAGE, OTHER):
        assert granted(asked(server, "OPTIONS", "pause", origin)) == {
            **always,
            "allow-origin": origin,
            "max-age": "86400",
            "allow-methods": "GET, OPTIONS",
            "allow-headers": "Accept, Content-Type, Origin",
        }
        for verb, method in (("GET", "is_paused"), ("POST", "unpause"), ("GET", "fly")):
            assert granted(asked(server, verb, method, origin)) == {**always, "allow-origin": origin}
    for origin in (EVIL, "null", PAGE.upper(), f"{PAGE}:443", f"{PAGE}.evil.example", None):
        for verb in ("OPTIONS", "GET"):
            reply = asked(server, verb, "is_paused", origin)
            assert granted(reply) == {} and reply.headers["vary"] == "Origin"


def test_a_listed_origins_page_may_post_and_no_others_may(with_cors: Callable[[str], ServerProcess]) -> None:
    for text in (LISTED, ALL):
        server = with_cors(text)
        for origin in (PAGE, EVIL, "null", None):
            may = text == LISTED and origin == PAGE
            reply = asked(server, "POST", "pause", origin)
            assert reply.status == (200 if may else 403), (text, origin)
            assert server.call("is_paused") == {"paused": may}
            assert asked(server, "GET", "pause", origin).status == (405 if may else 403)
            server.call("unpause")


def test_a_large_call_of_a_listed_origin_is_carried_out(with_cors: Callable[[str], ServerProcess]) -> None:
    """In the process beside the server, too."""
    body = b'{"worker":"w","tasks":[{"task_id":"t","params":{"p":"%s"}}]}' % (b"x" * 600_000)
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}
    for origin, status in ((PAGE, 200), (EVIL, 403)):
        reply = with_cors(LISTED).request("POST", "/api/add_tasks", body, {**headers, "Origin": origin})
        assert reply.status == status, reply


def test_any_origin_may_read_and_has_no_credentials(with_cors: Callable[[str], ServerProcess]) -> None:
    server = with_cors(ALL)
    assert granted(asked(server, "GET", "is_paused", EVIL)) == {"allow-origin": "*"}
    assert granted(asked(server, "GET", "is_paused", "null")) == {"allow-origin": "null"}
    assert granted(asked(server, "OPTIONS", "is_paused", EVIL))["max-age"] == "60"
    assert granted(server.request("GET", "/healthz", headers={"Origin": EVIL})) == {}, "only of /api, as luigid"


def section(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "luigi.cfg"
    path.write_text(f"[cors]\n{text}\n")
    return path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("allow_any_origin = true\nallow_credentials = true", "name the origins in allowed_origins"),
        ('allowed_origins = ["*"]', "write allow_any_origin = true instead"),
        ('allowed_origins = ["null"]', "write allow_null_origin = true instead"),
        ('allowed_origins = ["https://page.example/"]', "as which no browser names an origin"),
        ('allowed_origins = ["https://Page.example"]', "in lower case"),
        ("allowed_origins = https://page.example", 'is a list of origins such as ["https://page.example"]'),
        ("max_age = soon", "max_age is a whole number of seconds, not 'soon'"),
        ("allow_null_origin = perhaps", "allow_null_origin"),
        ("allowed_headers = é", "is the value of a header"),
    ],
)
def test_what_would_have_no_effect_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        parse_cors(read_file(str(section(tmp_path, f"enabled = true\n{text}"))))


def test_a_section_that_is_not_enabled_grants_nothing(tmp_path: Path) -> None:
    assert parse_cors(read_file(str(section(tmp_path, f'allowed_origins = ["{PAGE}"]')))) is None


def test_the_defaults_are_luigis(tmp_path: Path) -> None:
    from luigi.server import cors

    ours = parse_cors(read_file(str(section(tmp_path, "enabled = true"))))
    theirs = {name: parameter._default for name, parameter in cors.get_params()}
    assert ours is not None
    assert {**theirs, "enabled": True} == vars(ours)
