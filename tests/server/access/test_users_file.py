"""The users file: what a line may be, what a message says of one that may not, and how a change is seen."""

from __future__ import annotations

import logging
import os
import stat
import threading
from pathlib import Path

import pytest

from broker_sched.contract.roles import Role
from broker_sched.errors import ConfigurationError
from broker_sched.server.access.grants import parse_grants, role_in
from broker_sched.server.access.users_file import User, UsersFile, changing_users, check_mode, parse_users
from tests.conftest import FakeClock
from tests.server.access.asgi import CHEAP, user_line

HASH = CHEAP.hash("correct horse", salt=bytes(16))  # the same in each process of pytest, whose tests are named by it


def test_a_line_is_a_user_with_roles_by_namespace() -> None:
    users = parse_users(f"# people\n\nann:{HASH}:operator@etl viewer@*\nhost.example:certificate:worker@etl\n", "f")
    assert users["ann"] == User("ann", HASH, {"etl": Role.OPERATOR, "*": Role.VIEWER})
    assert users["host.example"].password_hash is None


def test_the_role_of_the_namespace_itself_counts_before_that_of_all() -> None:
    grants = parse_grants(["admin@*", "viewer@etl"])
    assert (role_in(grants, "etl"), role_in(grants, "other")) == (Role.VIEWER, Role.ADMIN)
    assert role_in(parse_grants(["worker@etl"]), "other") is None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ann", "a line is name:hash:roles"),
        (f"ann:{HASH}", "a line is name:hash:roles"),
        (f"ann:{HASH}:viewer@*:more", "a line is name:hash:roles"),
        (f" :{HASH}:viewer@*", "name: "),
        (f"{'a' * 101}:{HASH}:viewer@*", "name: "),
        ("ann:geheim:viewer@*", "hash: that of ann"),
        ("ann:$argon2id$v=19$m=8,t=1,p=1$c2FsdA:viewer@*", "hash: that of ann"),
        (f"ann:{HASH}:boss@*", "roles: a role is"),
        (f"ann:{HASH}:viewer", "roles: a role is"),
        (f"ann:{HASH}:viewer@a b", "roles: a role is"),
        (f"ann:{HASH}:viewer@a/b", "roles: Namespace"),
        (f"ann:{HASH}:viewer@a admin@a", "roles: 'admin@a' is a second role"),
        (f"bob:{HASH}:viewer@*", "name: 'bob' is there twice"),
    ],
)
def test_a_message_names_line_and_field_and_no_secret(line: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_users(f"# users\nbob:{HASH}:viewer@*\n{line}\n", "the/file")
    assert str(caught.value).startswith(f"the/file, line 3: {told}")
    assert "geheim" not in str(caught.value) and HASH not in str(caught.value)


def test_a_change_is_seen_within_half_a_second(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "users"
    path.write_text(user_line("ann", "1", "viewer@*"))
    file = UsersFile(str(path), clock)
    path.write_text(user_line("bob", "1", "viewer@*"))
    clock.advance(0.51)
    assert list(file.users()) == ["bob"]


def test_a_broken_file_keeps_the_last_good_users_and_is_told_once(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "users"
    path.write_text(user_line("ann", "1", "viewer@*"))
    file = UsersFile(str(path), clock)
    path.write_text("ann:broken\n")
    for _ in range(3):
        clock.advance(1)
        assert list(file.users()) == ["ann"]
    path.unlink()
    for _ in range(3):
        clock.advance(1)
        assert list(file.users()) == ["ann"]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2 and "line 1" in errors[0].message and "can't be read" in errors[1].message
    path.write_text(user_line("bob", "1", "viewer@*"))
    clock.advance(1)
    assert list(file.users()) == ["bob"]


@pytest.mark.skipif(os.name != "posix", reason="the system has no such modes")
def test_a_file_that_everybody_may_write_by_now_is_not_taken(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "users"
    path.write_text(user_line("ann", "1", "viewer@*"))
    file = UsersFile(str(path), clock)
    path.chmod(0o602)
    path.write_text(user_line("eve", "1", "admin@*"))
    clock.advance(1)
    assert list(file.users()) == ["ann"]
    assert "Everybody may write the users file" in caplog.text
    path.chmod(0o600)
    clock.advance(1)
    assert list(file.users()) == ["eve"]


def test_the_log_says_who_came_and_went_and_shows_no_hash(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "users"
    path.write_text(user_line("ann", "1", "viewer@*") + user_line("bob", "1", "viewer@*") + f"cem:{HASH}:viewer@*\n")
    file = UsersFile(str(path), clock)
    path.write_text(user_line("bob", "2", "viewer@*") + f"cem:{HASH}:admin@etl\n" + user_line("dan", "1", "worker@*"))
    clock.advance(1)
    assert list(file.users()) == ["bob", "cem", "dan"]
    assert "added dan (worker@*); removed ann; another password of bob; roles of cem: admin@etl." in caplog.text
    assert "argon2" not in caplog.text


def test_a_file_that_is_broken_at_first_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        UsersFile(str(tmp_path / "none"))
    (tmp_path / "users").write_bytes(b"\xff\n")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        UsersFile(str(tmp_path / "users"))


def test_a_file_that_others_may_write_is_refused_and_one_that_they_may_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "users"
    path.write_text("")
    for mode in (0o602, 0o620, 0o666):
        path.chmod(mode)
        with pytest.raises(ConfigurationError, match="chmod 600"):
            check_mode(str(path))
    path.chmod(0o604)
    check_mode(str(path))
    assert "chmod 600" in caplog.text


def test_a_change_keeps_comments_order_and_the_link_that_leads_to_the_file(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text(f"# people\nann:{HASH}:viewer@*\n\nbob:{HASH}:viewer@*\n")
    link.symlink_to(real)
    with changing_users(str(link)) as users:
        users["bob"] = users["bob"]._replace(grants={"*": Role.ADMIN})
        users["cy"] = User("cy", None, {"etl": Role.WORKER})
    assert link.is_symlink()
    assert real.read_text() == (f"# people\nann:{HASH}:viewer@*\n\nbob:{HASH}:admin@*\ncy:certificate:worker@etl\n")
    assert stat.S_IMODE(os.stat(real).st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "real"]


def test_what_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(f"ann:{HASH}:viewer@*\n")
    with pytest.raises(RuntimeError), changing_users(str(path)) as users:
        del users["ann"]
        raise RuntimeError
    assert path.read_text() == f"ann:{HASH}:viewer@*\n"


def test_of_changes_at_the_same_time_none_is_lost(tmp_path: Path) -> None:
    path = str(tmp_path / "users")

    def add(name: str) -> None:
        with changing_users(path) as users:
            users[name] = User(name, HASH, {"*": Role.VIEWER})

    threads = [threading.Thread(target=add, args=(f"user-{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with changing_users(path) as users:
        assert len(users) == 20
