"""Logging in at an OpenID Connect provider, and each lie by which somebody might get in without it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest

from broker_sched import Scheduler
from broker_sched.errors import ConfigurationError
from broker_sched.scheduler.operations.sessions import list_sessions
from broker_sched.server.access import oidc_provider
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.access.oidc_config import OidcConfig, read_oidc_config
from broker_sched.server.app import AppConfig
from tests.certificates import Authority
from tests.conftest import DEFAULT_KIND, running
from tests.harness import RedisProcess, Reply, ServerProcess
from tests.server.access.asgi import InProcess
from tests.server.access.provider import CLIENT, FOREIGN, KEYS, SECRET, Provider, encoded, signed

BROWSER = {"accept": "text/html", "user-agent": "Mozilla/5.0"}
CONFIG = """
issuer = "{issuer}"
client_id = "bsched"
client_secret_file = "{secret}"
redirect_uri = "https://scheduler.example/login/callback"
scopes = ["openid", "email"]
name_claim = "name"

[[roles]]
claim = "groups"
value = "sched-operators"
role = "operator@*"

[[roles]]
claim = "email"
value = "boss@corp.example"
role = "admin@*"

[[roles]]
claim = "hd"
value = "corp.example"
role = "viewer@*"
"""
OPERATOR = {"name": "ann", "groups": ["all", "sched-operators"]}


class Place(NamedTuple):
    server: InProcess
    provider: Provider
    scheduler: Scheduler

    def begin(self, path: str = "/login/oidc") -> tuple[str, str]:
        """Where the provider sends the browser back to, and the cookie that the browser has by then."""
        reply = self.server.request("GET", path, headers=BROWSER)
        assert reply.status == 303, reply
        return at_provider(reply.headers["location"]), reply.headers["set-cookie"].partition(";")[0]

    def come_back(self, path: str, cookie: str, **headers: str) -> Reply:
        return self.server.request("GET", path, headers={**BROWSER, "cookie": cookie, **headers})

    def log_in(self, **claims: Any) -> Reply:
        self.provider.claims = {**OPERATOR, **claims}
        return self.come_back(*self.begin())

    def sessions(self) -> list[str]:
        return [each["name"] for each in self.scheduler.drive(list_sessions(self.scheduler.namespace))]


class _Stay(HTTPRedirectHandler):
    def http_error_303(self, *arguments: Any) -> Any:
        return arguments[1]


def at_provider(url: str) -> str:
    """What the browser does there: it signs in, and is sent back."""
    with build_opener(_Stay).open(Request(url), timeout=20) as reply:
        parts = urlsplit(reply.headers["location"])
        assert (parts.netloc, parts.path) == ("scheduler.example", "/login/callback")
        return f"{parts.path}?{parts.query}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, provider = tmp_path_factory.mktemp("oidc"), Provider()
    (folder / "secret").write_text(f"{SECRET}\n")
    (folder / "oidc.toml").write_text(CONFIG.format(issuer=provider.issuer, secret=folder / "secret"))
    url, namespace = running(DEFAULT_KIND).url, f"oidc-{uuid.uuid4().hex[:8]}"
    config = AppConfig(url, namespace, access=AccessConfig(oidc_config=str(folder / "oidc.toml")))
    with InProcess(config) as server, closing(Scheduler(url, namespace)) as scheduler:
        yield Place(server, provider, scheduler)
        assert scheduler.verify() == []
    provider.close()


@pytest.fixture
def place(shared: Place) -> Place:
    """The one server and provider, which tells the truth again."""
    provider = shared.provider
    provider.claims, provider.header, provider.document = {}, {}, {}
    provider.algorithm, provider.key, provider.make = "RS256", None, None
    provider.published = ["RS256", "ES256"]
    return shared


def refused_because(reply: Reply, told: str) -> bool:
    assert "set-cookie" not in reply.headers
    return reply.status == 403 and told in reply.body.decode()


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_who_signs_in_there_has_a_session_here_with_the_role_of_the_claims(place: Place, algorithm: str) -> None:
    place.provider.algorithm = algorithm
    if algorithm == "PS256":
        place.provider.published = ["RS256"]
    reply = place.log_in()
    assert reply.status == 200 and b'content="0;url=../"' in reply.body, reply
    assert place.sessions()[-1] == "oidc:ann"


def test_the_session_is_one_like_any_other(place: Place) -> None:
    place.provider.claims = OPERATOR
    path, cookie = place.begin("/login/oidc?next=/metrics")
    reply = place.come_back(path, cookie)
    assert b'content="0;url=../metrics"' in reply.body
    session = session_of(reply)
    assert place.server.call("pause", {"cookie": session}).status == 200
    assert place.server.call("unpause", {"cookie": session}).status == 200
    assert place.server.call("update_options", {"cookie": session}).status == 403
    assert place.server.request("POST", "/logout", b"", {"cookie": session}).status == 204
    assert place.server.call("is_paused", {"cookie": session}).status == 401


def session_of(reply: Reply) -> str:
    found = re.search(r"bsched_session-[\w.-]+=[\w-]{43}", reply.headers["set-cookie"])
    assert found, reply
    return found[0]


def test_the_form_has_a_link_to_the_provider(place: Place) -> None:
    page = place.server.request("GET", "/login?next=/scale", headers=BROWSER)
    assert b'href="login/oidc?next=/scale"' in page.body


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"iss": "http://evil.example"}, "(iss)"),
        ({"iss": None}, "(iss)"),
        ({"sub": None}, "(sub)"),
        ({"sub": ["u1"]}, "(sub)"),
        ({"aud": "another"}, "(aud)"),
        ({"aud": None}, "(aud)"),
        ({"aud": [CLIENT, "another"]}, "(azp)"),
        ({"azp": "another"}, "(azp)"),
        ({"aud": f"{CLIENT}2"}, "(aud)"),
        ({"nonce": "another"}, "(nonce)"),
        ({"nonce": None}, "(nonce)"),
        ({"exp": 1}, "(exp)"),
        ({"exp": None}, "(exp)"),
        ({"exp": "never"}, "(exp)"),
        ({"exp": 1e400}, "(exp)"),
        ({"iat": 1}, "(iat)"),
        ({"iat": 4e9}, "(iat)"),
        ({"iat": None}, "(iat)"),
        ({"nbf": 4e9}, "future"),
        ({"at_hash": "another"}, "(at_hash)"),
        ({"name": None}, "no name"),
        ({"name": "a\u202eb"}, "no name"),
        ({"groups": []}, "no role"),
    ],
)
def test_an_id_token_that_says_something_wrong_lets_nobody_in(place: Place, claims: dict[str, Any], told: str) -> None:
    before = place.sessions()
    reply = place.log_in(**claims)
    assert refused_because(reply, told), reply.body
    assert place.sessions() == before


def test_the_right_at_hash_and_several_audiences_are_accepted(place: Place) -> None:
    half = encoded(hashlib.sha256(b"opaque").digest()[:16])
    assert place.log_in(at_hash=half, aud=[CLIENT, "another"], azp=CLIENT).status == 200


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"email": "boss@corp.example", "email_verified": True}, "admin"),
        ({"email": "boss@corp.example", "email_verified": False}, None),
        ({"email": "boss@corp.example", "email_verified": "true"}, None),
        ({"email": "boss@corp.example"}, None),
        ({"email": "boss@corp.example.evil.example", "email_verified": True}, None),
        ({"email": "Boss@corp.example", "email_verified": True}, None),
        ({"hd": "corp.example"}, "viewer"),
        ({"hd": "evil-corp.example"}, None),
        ({"hd": "corp.example.evil.example"}, None),
        ({"hd": "sub.corp.example"}, None),
        ({"groups": "sched-operators"}, "operator"),
        ({"groups": "xsched-operatorsx"}, None),
        ({"groups": [["sched-operators"]]}, None),
        ({"groups": {"sched-operators": True}}, None),
        ({"groups": ["sched-operators"], "hd": "corp.example"}, "operator"),
    ],
)
def test_a_role_comes_from_a_claim_that_is_exactly_so(place: Place, claims: dict[str, Any], role: str | None) -> None:
    reply = place.log_in(**{"groups": None, **claims})
    assert (reply.status == 200) == (role is not None), reply.body
    if role is not None:
        page = place.server.request("GET", "/login", headers={**BROWSER, "cookie": session_of(reply)})
        assert f"oidc:ann is {role} " in page.body.decode()


def none_of(claims: dict[str, Any]) -> str:
    return encoded(b'{"alg":"none"}') + "." + encoded(json.dumps(claims).encode()) + "."


def with_public_key_as_secret(claims: dict[str, Any]) -> str:
    """HS256 by what everybody knows: the text of the issuer's public key."""
    head = encoded(b'{"alg":"HS256","kid":"rsa"}') + "." + encoded(json.dumps(claims).encode())
    return f"{head}.{encoded(hmac.digest(KEYS['RS256'].as_pem(private=False), head.encode(), 'sha256'))}"


def with_own_key_in_header(claims: dict[str, Any]) -> str:
    return signed({"alg": "RS256", "kid": "rsa", "jwk": FOREIGN.as_dict(private=False)}, claims, FOREIGN)


def with_own_keys_elsewhere(claims: dict[str, Any]) -> str:
    return signed({"alg": "RS256", "kid": "rsa", "jku": "http://evil.example/keys"}, claims, FOREIGN)


def of_unknown_key(claims: dict[str, Any]) -> str:
    return signed({"alg": "RS256", "kid": "another"}, claims, FOREIGN)


def changed_afterwards(claims: dict[str, Any]) -> str:
    head, _, signature = signed({"alg": "RS256", "kid": "rsa"}, {**claims, "groups": []}, KEYS["RS256"]).split(".")
    return f"{head}.{encoded(json.dumps(claims).encode())}.{signature}"


def of_another_kind(claims: dict[str, Any]) -> str:
    return signed({"alg": "RS256", "kid": "ec"}, claims, KEYS["RS256"])


@pytest.mark.parametrize(
    "make",
    [
        none_of,
        with_public_key_as_secret,
        with_own_key_in_header,
        with_own_keys_elsewhere,
        of_unknown_key,
        changed_afterwards,
        of_another_kind,
        lambda claims: "",
        lambda claims: "a.b.c",
        lambda claims: ".." + 100_000 * "x",
        lambda claims: encoded(b"[]") + ".e30.",
        lambda claims: encoded(b'{"alg":{}}') + ".e30.",
    ],
)
def test_an_id_token_that_the_issuer_has_not_signed_lets_nobody_in(
    place: Place, make: Callable[[dict[str, Any]], str]
) -> None:
    place.provider.make = make
    before = place.sessions()
    assert refused_because(place.log_in(), "ID token"), "somebody got in"
    assert place.sessions() == before


def test_a_header_that_names_other_keys_does_no_harm_to_a_right_token(place: Place) -> None:
    place.provider.header = {"jku": "http://evil.example/keys", "x5t": "x"}
    assert place.log_in().status == 200


def test_what_comes_back_is_taken_once(place: Place) -> None:
    place.provider.claims = OPERATOR
    path, cookie = place.begin()
    assert place.come_back(path, cookie).status == 200
    asked = place.provider.asked.count("token")
    assert refused_because(place.come_back(path, cookie), "used already")
    assert place.provider.asked.count("token") == asked, "the code went nowhere"


def test_a_code_of_another_login_is_no_good(place: Place) -> None:
    place.provider.claims = OPERATOR
    (first, _), (second, cookie) = place.begin(), place.begin()
    code = parse_qs(urlsplit(first).query)["code"][0]
    state = parse_qs(urlsplit(second).query)["state"][0]
    assert refused_because(place.come_back(f"/login/callback?code={code}&state={state}", cookie), "code")


@pytest.mark.parametrize("cookie", ["", "bsched_login=another"])
def test_a_login_that_another_browser_began_logs_nobody_in(place: Place, cookie: str) -> None:
    """Else somebody could have a visitor's browser logged in as themselves."""
    place.provider.claims = OPERATOR
    path, _ = place.begin()
    assert refused_because(place.come_back(path, cookie), "another browser")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "is over"),
        ("?state=made-up&code=x", "is over"),
        ("?state={state}&error=access_denied", "the provider says access_denied"),
        ("?state={state}&error=%3Cscript%3E", "the provider says no"),
        ("?state={state}&code=x&iss=http://evil.example", "(iss)"),
        ("?state={state}&code=made-up", "does not accept the code"),
    ],
)
def test_an_answer_that_is_none_is_told_so(place: Place, query: str, told: str) -> None:
    path, cookie = place.begin()
    state = parse_qs(urlsplit(path).query)["state"][0]
    reply = place.come_back(f"/login/callback{query.format(state=state)}", cookie)
    assert refused_because(reply, told), reply.body
    assert b"<script" not in reply.body


def test_the_cookie_of_a_login_is_short_and_no_script_has_it(place: Place) -> None:
    reply = place.server.request("GET", "/login/oidc", headers=BROWSER)
    assert reply.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=300")
    assert SECRET not in str(reply)


def started(tmp_path: Path, issuer: str) -> InProcess:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "oidc.toml").write_text(CONFIG.format(issuer=issuer, secret=tmp_path / "secret"))
    access = AccessConfig(oidc_config=str(tmp_path / "oidc.toml"))
    return InProcess(AppConfig(running(DEFAULT_KIND).url, f"oidc-{uuid.uuid4().hex[:8]}", access=access))


def test_without_the_provider_there_is_a_503_and_all_else_goes_on(tmp_path: Path) -> None:
    with started(tmp_path, "http://127.0.0.1:1") as server:
        reply = server.request("GET", "/login/oidc", headers=BROWSER)
        assert reply.status == 503 and reply.headers["retry-after"] == "1"
        assert b"asked now" in reply.body and SECRET.encode() not in reply.body
        assert server.request("GET", "/login", headers=BROWSER).status == 200
        assert server.call("is_paused").status == 401


def test_a_provider_that_does_not_answer_holds_up_nobody_else(place: Place, tmp_path: Path) -> None:
    place.provider.gate.clear()
    answers: list[Reply] = []
    with started(tmp_path, place.provider.issuer) as server:
        thread = threading.Thread(
            target=lambda: answers.append(server.request("GET", "/login/oidc", headers=BROWSER)), daemon=True
        )
        thread.start()
        began = time.monotonic()
        for _ in range(20):
            assert server.request("GET", "/healthz").status == 200
        assert time.monotonic() - began < 3 and not answers
        place.provider.gate.set()
        thread.join(20)
    assert answers[0].status == 303


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "http://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_a_document_that_leads_elsewhere_in_the_clear_is_not_followed(
    place: Place, tmp_path: Path, document: dict[str, Any]
) -> None:
    place.provider.document = document
    with started(tmp_path, place.provider.issuer) as server:
        assert server.request("GET", "/login/oidc", headers=BROWSER).status == 503


@pytest.mark.parametrize("methods", [7, True, {}, "client_secret_basic", [], None, ["client_secret_basic", 7]])
def test_a_document_that_says_nonsense_of_how_to_log_in_there_is_read_as_one_that_says_nothing(
    place: Place, tmp_path: Path, methods: object
) -> None:
    place.provider.document = {"token_endpoint_auth_methods_supported": methods}
    with started(tmp_path, place.provider.issuer) as server:
        begun = server.request("GET", "/login/oidc", headers=BROWSER)
        path, cookie = at_provider(begun.headers["location"]), begun.headers["set-cookie"].partition(";")[0]
        place.provider.claims = OPERATOR
        assert server.request("GET", path, headers={**BROWSER, "cookie": cookie}).status == 200


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            'issuer = "http://127.0.0.1:1"',
            'issuer = "http://corp.example"',
            "issuer must be a URL that begins with https",
        ),
        ('scopes = ["openid", "email"]', 'scopes = ["email"]', "openid"),
        ('role = "operator@*"', 'role = "king@*"', "king"),
        ('claim = "groups"', 'claims = "groups"', "claims"),
        ('client_id = "bsched"', "", "client_id"),
        ("[[roles]]", "[[", "neither TOML nor JSON"),
        ("client_secret_file", "client_secret_env", "is not set"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_with_the_place(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    (tmp_path / "s3cret").write_text(SECRET)
    text = CONFIG.format(issuer="http://127.0.0.1:1", secret=tmp_path / "s3cret")
    path = tmp_path / "oidc.toml"
    path.write_text(text)
    assert SECRET not in repr(read_oidc_config(str(path)))
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(ConfigurationError, match=re.escape(told)) as raised:
        read_oidc_config(str(path))
    assert str(path) in str(raised.value) and SECRET not in str(raised.value)


@contextlib.contextmanager
def dripping(begin: bytes, authority: Authority | None) -> Iterator[str]:
    """The URL of a provider that begins its answers so, and then sends a byte now and then."""
    is_over = threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if authority is not None:
        context.load_cert_chain(*authority.issue("127.0.0.1"))

    def drip() -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError):
                accepted, _ = listener.accept()
                with context.wrap_socket(accepted, server_side=True) if authority else accepted as connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\n" + begin)
                    while not is_over.wait(0.05):
                        connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http{'s' if authority else ''}://127.0.0.1:{listener.getsockname()[1]}"
        is_over.set()
        thread.join()


@pytest.mark.parametrize("begin", [b"X-Endless: ", b"Content-Length: 100000\r\n\r\n", b"\r\n"])
@pytest.mark.parametrize("speaks_tls", [False, True])
def test_a_provider_that_sends_a_byte_now_and_then_holds_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, begin: bytes, speaks_tls: bool
) -> None:
    monkeypatch.setattr(oidc_provider, "ANSWER_SECONDS", 0.3)
    authority = Authority(tmp_path) if speaks_tls else None
    with dripping(begin, authority) as issuer:
        ca_file = authority.path if authority else None
        asked = oidc_provider.Provider(OidcConfig(issuer, "bsched", "https://s/login/callback", (), ca_file=ca_file))
        began = time.monotonic()
        with pytest.raises(oidc_provider.ProviderAway, match="answer"):
            asked.metadata()
        asked.close()
    assert time.monotonic() - began < 15


def test_it_may_be_json_and_the_secret_from_the_environment(tmp_path: Path) -> None:
    role = {"claim": "admin", "value": True, "role": "admin@etl"}
    told = {"issuer": "https://i", "client_id": "c", "redirect_uri": "https://s/login/callback", "roles": [role]}
    (tmp_path / "oidc.json").write_text(json.dumps({**told, "client_secret_env": "OIDC_SECRET"}))
    found = read_oidc_config(str(tmp_path / "oidc.json"), {"OIDC_SECRET": "x"})
    assert found.client_secret == "x" and found.rules[0].value is True and found.rules[0].namespace == "etl"


def test_a_server_that_knows_nobody_loads_none_of_what_logins_need() -> None:
    code = "import sys, broker_sched.server.serve; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"argon2", "joserfc"} & set(done.stdout.split())


def test_a_real_server_that_speaks_tls_gives_cookies_that_only_it_can_set(
    place: Place, own_redis: RedisProcess, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "tls")
    files = authority.issue("127.0.0.1")
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "oidc.toml").write_text(CONFIG.format(issuer=place.provider.issuer, secret=tmp_path / "secret"))
    server = ServerProcess(
        *("--redis", own_redis.url, "--oidc-config", str(tmp_path / "oidc.toml")),
        *("--tls-cert", files.certificate, "--tls-key", files.key),
    ).await_ready()
    try:
        server.trusting = authority.context()
        place.provider.claims = OPERATOR
        begun = server.request("GET", "/login/oidc")
        binding = begun.headers["set-cookie"]
        assert re.match(r"__Host-bsched_login-[\w-]+-\d+=[\w-]+;", binding) and binding.endswith(
            "; Max-Age=300; Secure"
        )
        path = at_provider(begun.headers["location"])
        connection = server._connection()
        with closing(connection):
            connection.request("GET", path, headers={"Cookie": binding.partition(";")[0]})
            cookies = connection.getresponse().headers.get_all("set-cookie") or []
        assert re.match(r"__Host-bsched_login-[\w-]+-\d+=; ", cookies[0]) and "Max-Age=0" in cookies[0]
        assert re.fullmatch(
            r"__Host-bsched_session-[\w-]+-\d+=[\w-]{43}; Path=/; HttpOnly; SameSite=Strict; Secure", cookies[1]
        )
        session = {"Cookie": cookies[1].partition(";")[0]}
        assert server.request("GET", "/api/is_paused", headers=session).status == 200
        assert b'href="login"' in server.request("GET", "/", headers=session).body
    finally:
        assert server.stop() == 0
    assert not any(text in line for line in server.said for text in (SECRET, *cookies))
