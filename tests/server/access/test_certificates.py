"""Client certificates as logins: a real handshake, and the line of the users file that it is for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.certificates import Authority, Files
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


class Issuer(NamedTuple):
    """An authority, or who acts like one."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issued(
    name: str,
    by: Issuer | None,
    *,
    is_authority: bool = False,
    use: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
    days: tuple[int, int] = (-1, 10),
) -> Issuer:
    """A certificate for this common name. by: None for one that signs itself. days: from when until when it holds."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject if by is None else by.certificate.subject, subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + timedelta(days[0])).not_valid_after(now + timedelta(days[1]))
    builder = builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    if use is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    return Issuer(builder.sign(key if by is None else by.key, hashes.SHA256()), key)


def written(path: Path, shown: Issuer, *above: Issuer) -> Files:
    """The files of a certificate, and of those above it, with its key."""
    chain = [each.certificate.public_bytes(Encoding.PEM) for each in (shown, *above)]
    path.write_bytes(b"".join(chain))
    key = path.with_suffix(".key")
    key.write_bytes(shown.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Files(str(path), str(key))


def test_only_what_the_authority_has_issued_to_a_client_for_now_is_a_login(
    own_redis: RedisProcess, authority: Authority, users: Path, tmp_path: Path
) -> None:
    root = issued("root", None, is_authority=True, use=None)
    namesake = issued("root", None, is_authority=True, use=None)
    worker, middle = issued("worker-1.example", root), issued("middle", root, is_authority=True, use=None)
    clients = written(tmp_path / "root.pem", root).certificate
    files = authority.issue("127.0.0.1")
    server = ServerProcess(
        *("--redis", own_redis.url, "--namespace", "issued", "--users-file", str(users)),
        *("--tls-cert", files.certificate, "--tls-key", files.key, "--tls-client-ca", clients),
    ).await_ready()

    def status(shown: Issuer, *above: Issuer) -> int | None:
        server.trusting = authority.context(written(tmp_path / "shown.pem", shown, *above))
        try:
            return server.request("POST", "/api/pause").status
        except (OSError, HTTPException):  # there is no handshake
            return None

    try:
        assert status(issued("boss", root)) == status(issued("boss", root, use=None)) == 200
        assert status(issued("boss", middle), middle) == 200
        assert status(issued("boss", root, use=ExtendedKeyUsageOID.SERVER_AUTH)) is None, "of a server"
        assert (
            status(issued("boss", root, days=(-10, -1))) is None and status(issued("boss", root, days=(1, 9))) is None
        )
        assert status(issued("boss", None)) is None and status(issued("boss", namesake)) is None
        assert status(issued("boss", worker), worker) is None, "issued by a client"
        for name in ("Boss", "boss ", "boss\0.example", "boss\n", "boss:certificate", "b\u043ess", "*", "ann"):
            assert status(issued(name, root)) == 401, name
    finally:
        assert server.stop() == 0


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
