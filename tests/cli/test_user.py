"""`bsched user`: a password is asked for on a terminal, or read, and is never seen again."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pexpect
import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result

from broker_sched.server.access import passwords
from broker_sched.server.access.users_file import read_users
from bsched.main import cli
from tests.programs import environment_with
from tests.server.access.asgi import CHEAP

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "hash_password", CHEAP.hash)


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BSCHED_USERS_FILE", str(tmp_path / "users"))
    return tmp_path / "users"


def user(*words: str, typed: str = f"{PASSWORD}\n") -> Result:
    return CliRunner().invoke(cli, ["user", *words], input=typed)


def test_users_are_added_listed_changed_and_removed(users: Path) -> None:
    assert user("add", "ann", "--role", "operator@etl", "--role", "viewer@*").exit_code == 0
    assert stat.S_IMODE(users.stat().st_mode) == 0o600
    assert user("add", "host.example", "--certificate", "--role", "worker@*").exit_code == 0
    listed = user("list").stdout
    assert [line.split() for line in listed.splitlines()] == [
        ["USER", "LOGIN", "ROLES"],
        ["ann", "password", "operator@etl", "viewer@*"],
        ["host.example", "certificate", "worker@*"],
    ]
    assert user("list", "--json").stdout.startswith('{"name": "ann", "login": "password", "roles": ["operator@etl"')
    assert user("passwd", "ann", typed="another horse\n").exit_code == 0
    found = read_users(str(users))["ann"]
    assert CHEAP.verify(found.password_hash or "", "another horse") and len(found.grants) == 2
    assert user("remove", "ann").exit_code == 0
    assert list(read_users(str(users))) == ["host.example"]


@pytest.mark.parametrize(
    ("words", "typed", "code", "told"),
    [
        (("add", "ann", "--role", "viewer@*"), "short\n", 1, "8 to 1000 characters"),
        (("add", "ann", "--role", "viewer@*"), "", 1, "8 to 1000 characters"),
        (("add", "ann", "--role", "viewer@*"), "bst_looks-like-a-token\n", 1, "begin as a token"),
        (("add", "ann", "--role", "boss@*"), "", 2, "viewer, worker, operator, admin"),
        (("add", "ann"), "", 2, "--role"),
        (("add", "a:b", "--role", "viewer@*"), "", 2, "without ':'"),
        (("add", "bob", "--role", "viewer@*"), "", 1, "already"),
        (("add", "c", "--certificate", "--password-file", "x", "--role", "viewer@*"), "", 2, "no password"),
        (("add", "c", "--password-file", "/nowhere", "--role", "viewer@*"), "", 2, "/nowhere"),
        (("passwd", "nobody"), "", 1, "no user nobody"),
        (("passwd", "host"), "", 1, "certificate"),
        (("remove", "nobody"), "", 1, "no user nobody"),
    ],
)
def test_what_can_not_be_done_is_said_and_changes_nothing(
    users: Path, words: tuple[str, ...], typed: str, code: int, told: str
) -> None:
    users.write_text(f"bob:{CHEAP.hash('1')}:viewer@*\nhost:certificate:viewer@*\n")
    before = users.read_text()
    result = user(*words, typed=typed)
    assert result.exit_code == code and told in result.stderr.replace("\n", " ")
    assert users.read_text() == before


def test_without_a_file_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BSCHED_USERS_FILE", raising=False)
    result = user("list")
    assert result.exit_code == 2 and "--users-file" in result.stderr


def test_a_password_file_may_end_with_a_line_break_and_be_standard_input(users: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{PASSWORD}\r\n")
    assert user("add", "ann", "--role", "viewer@*", "--password-file", str(tmp_path / "secret")).exit_code == 0
    assert user("add", "bob", "--role", "viewer@*", "--password-file", "-").exit_code == 0
    for found in read_users(str(users)).values():
        assert CHEAP.verify(found.password_hash or "", PASSWORD)


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "users"
    words = ["-m", "bsched.main", "user", "add", "ann", "--role", "viewer@*", "--users-file", str(path)]
    child = pexpect.spawn(sys.executable, words, env=environment_with(), encoding="utf-8", timeout=20)
    for asked in ("Password for ann: ", "Repeat for confirmation: "):
        child.expect_exact(asked)
        child.waitnoecho()
        child.sendline(PASSWORD)
    child.expect(pexpect.EOF)
    assert PASSWORD not in (child.before or "")
    child.close()
    assert child.exitstatus == 0
    found = read_users(str(path))["ann"].password_hash or ""
    assert PasswordHasher().verify(found, PASSWORD) and not PasswordHasher().check_needs_rehash(found)
