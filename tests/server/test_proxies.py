"""`--proxy-headers`: what named proxies say about their clients is believed, and what anybody else says is not."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from broker_sched.errors import ConfigurationError
from broker_sched.server.hosts import HostRule, rule_for
from broker_sched.server.proxies import BehindProxies, Proxies
from tests.harness import RedisProcess, ServerProcess
from tests.server.access.asgi import basic, user_line
from tests.server.raw import answers, get, until_closed


def seen(
    headers: list[tuple[str, str]],
    peer: str | None = "10.0.0.1",
    proxies: tuple[str, ...] = ("10.0.0.0/8", "192.168.1.1"),
    hosts: HostRule | None = None,
) -> Any:
    """Client, scheme and host as the application sees them; the status of who is refused."""
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append((scope["client"][0], scope["scheme"], dict(scope["headers"])[b"host"].decode()))

    async def send(message: Any) -> None:
        found.append(message.get("status"))

    scope: Any = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "scheme": "http",
        "client": peer and (peer, 4711),
        "server": ("10.0.0.9", 8082),
        "headers": [(b"host", b"inner"), *((name.lower().encode(), value.encode()) for name, value in headers)],
    }
    front = BehindProxies(app, Proxies(proxies), hosts or rule_for("10.0.0.9", []))
    asyncio.run(front(scope, None, send))  # type: ignore[arg-type]  # nothing is received
    return found[0]


FOR, PROTO, HOST = "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"
PEER = ("10.0.0.1", "http", "inner")


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),  # what stands to the left may be the client's invention
        ("198.51.100.1, 203.0.113.7, 192.168.1.1, 10.1.1.1", "203.0.113.7"),
        ("203.0.113.7:5000", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:80", "2001:db8::7"),
        ("127.0.0.1", "127.0.0.1"),
        ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
        ("unknown", "10.0.0.1"),
        ("203.0.113.7, \x1b[31mevil", "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_proxys(value: str, client: str) -> None:
    assert seen([(FOR, value)]) == (client, "http", "inner")


def test_several_headers_are_one_list() -> None:
    assert seen([(FOR, "198.51.100.1"), (FOR, "203.0.113.7")])[0] == "203.0.113.7"


def test_the_scheme_and_the_name_are_the_clients_too() -> None:
    assert seen([(FOR, "203.0.113.7"), (PROTO, "https"), (HOST, "a.example, scheduler.example")]) == (
        "203.0.113.7",
        "https",
        "scheduler.example",
    )
    assert seen([(PROTO, "gopher")]) == PEER


@pytest.mark.parametrize("peer", ["11.0.0.1", "127.0.0.1", "192.168.1.2", "::1"])
def test_nobody_else_is_believed(peer: str) -> None:
    headers = [(FOR, "203.0.113.7"), (PROTO, "https"), (HOST, "scheduler.example"), ("Forwarded", "for=203.0.113.7")]
    assert seen(headers, peer) == (peer, "http", "inner")


def test_a_proxy_is_known_through_an_ipv6_socket_and_through_a_unix_socket() -> None:
    assert seen([(FOR, "203.0.113.7")], "::ffff:10.0.0.1")[0] == "203.0.113.7"
    assert seen([(FOR, "203.0.113.7")], None, ("unix",))[0] == "203.0.113.7"
    assert seen([(FOR, "203.0.113.7")], None)[0] == "unix"


def test_both_names_must_be_allowed_since_a_proxy_may_pass_on_what_a_client_wrote() -> None:
    rule = rule_for("10.0.0.9", ["inner", "scheduler.example"])
    assert seen([(HOST, "scheduler.example")], hosts=rule)[2] == "scheduler.example"
    strict = rule_for("10.0.0.9", ["scheduler.example"])
    assert seen([(HOST, "scheduler.example")], hosts=strict) == 403


@pytest.mark.parametrize("proxy", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", ""])
def test_a_proxy_is_an_address_or_a_network(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="--proxy-headers takes an address, a network"):
        Proxies([proxy])


def test_failed_logins_count_for_the_client_behind_the_proxy(own_redis: RedisProcess, tmp_path: Path) -> None:
    """And the cross-site check, and the rule for names, go by what it asked for."""
    users, path = tmp_path / "users", tmp_path / "s"
    users.write_text(user_line("ann", "right", "operator@*"))
    users.chmod(0o600)
    server = ServerProcess(
        *("--redis", own_redis.url, "--namespace", "proxied", "--users-file", str(users), "--unix-socket", str(path)),
        *("--allow-host", "scheduler.example", "--allow-host", "localhost", "--proxy-headers", "unix"),
    ).await_ready()

    def status(client: str, password: str, **headers: str) -> int:
        named = {FOR: client, HOST: "scheduler.example", **headers, **basic("ann", password)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items()).encode()
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(path))
            link.sendall(get(b"/api/unpause", lines + b"Connection: close\r\nContent-Length: 0\r\n", b"POST"))
            return answers(until_closed(link))[0].status

    for number in range(10):
        assert status("203.0.113.7", f"wrong {number}") == 401
    assert status("203.0.113.7", "wrong again") == 429
    assert status("203.0.113.8", "right") == 200
    assert status("203.0.113.8", "right", Origin="http://scheduler.example") == 200
    assert status("203.0.113.8", "right", Origin="http://localhost") == 403
    assert status("203.0.113.8", "right", **{HOST: "evil.example"}) == 403
    assert server.stop() == 0
