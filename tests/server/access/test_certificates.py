"""Client certificates as logins: a real handshake, and the line of the users file that it is for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.harness import RedisProcess, ServerProcess
from tests.server.access.asgi import basic, user_line
from tests.servers import until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(
        "worker-1.example:certificate:worker@*\nboss:certificate:admin@*\nelsewhere:certificate:admin@other\n"
        + user_line("ann", "geheim", "operator@*")
    )
    path.chmod(0o600)
    return path


@pytest.fixture
def server(own_redis: RedisProcess, authority: Authority, users: Path) -> Iterator[ServerProcess]:
    files = authority.issue("127.0.0.1")
    process = ServerProcess(
        *("--redis", own_redis.url, "--namespace", "certificates", "--users-file", str(users)),
        *("--tls-cert", files.certificate, "--tls-key", files.key, "--tls-client-ca", authority.path),
    ).await_ready()
    yield process
    assert process.stop() == 0


def test_a_certificate_is_a_login_with_the_role_of_its_line(
    server: ServerProcess, authority: Authority, users: Path
) -> None:
    def status(*names: str, common_name: str | None = None, method: str = "pause", **headers: str) -> int:
        shown = authority.issue(*names, common_name=common_name) if names else None
        server.trusting = authority.context(shown)
        return server.request("POST", f"/api/{method}", headers=headers).status

    assert status("worker-1.example", method="count_pending") == 400, "which may be asked, with its arguments"
    assert status("worker-1.example") == 403, "a worker pauses nothing"
    assert status("some.example", "worker-1.example", method="is_paused") == 200, "any of its DNS names"
    assert status("some.example", common_name="boss") == 200, "or its common name"
    assert status("ann") == 401, "a user with a password is not one with a certificate"
    assert status("stranger.example") == 401
    assert status("elsewhere") == 403
    assert status() == 401
    assert status(**basic("ann", "geheim")) == 200, "a login needs no certificate"
    assert status("boss", **basic("ann", "wrong")) == 401, "a wrong login is not mended by one"
    users.write_text(users.read_text().replace("boss:certificate:admin@*\n", ""))
    until(lambda: status("boss") == 401, "who is taken out of the file is refused")
