"""The users file: a line for each user, and how it is read, watched and changed.

    ann:$argon2id$v=19$m=65536,t=3,p=4$…:operator@etl viewer@*
    worker-1.example.com:certificate:worker@etl

A line that is empty or begins with # says nothing.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from broker_sched.errors import ConfigurationError
from broker_sched.plain_text import on_one_line
from broker_sched.server.access.grants import Grants, parse_grants, write_grants

log = logging.getLogger("bsched.server")

LOOK_SECONDS = 0.5  # between two looks whether the file has changed
CERTIFICATE = "certificate"  # stands in place of a hash
HASH = re.compile(r"\$argon2(id|i|d)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+\Z")
NAME = re.compile(r"[^\s:#][^:\x00-\x1f\x7f]{0,99}\Z")


class User(NamedTuple):
    """Somebody in the users file. password_hash: argon2's; None: they come with a client certificate of this name."""

    name: str
    password_hash: str | None
    grants: Grants


def parse_users(text: str, place: str) -> dict[str, User]:
    """Return the users in the text of a file, by name. place: the file's path, for messages.

    Raises ConfigurationError, which names line and field and shows no hash.
    """
    users: dict[str, User] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if _is_user(line):
            user = _parse_line(line, f"{place}, line {number}")
            if user.name in users:
                raise ConfigurationError(f"{place}, line {number}: name: {user.name!a} is there twice.")
            users[user.name] = user
    return users


def check_name(name: str) -> str:
    """Return the name. Raises ConfigurationError when no user may have it."""
    if not NAME.match(name) or name != name.strip():
        raise ConfigurationError(
            f"a user has a name of 1 to 100 characters, without ':', not beginning with '#'; {name!a} can't be one"
        )
    return name


def _is_user(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _parse_line(line: str, where: str) -> User:
    fields = line.strip().split(":")
    if len(fields) != 3:
        raise ConfigurationError(
            f"{where}: a line is name:hash:roles, or name:certificate:roles, with 2 colons; this one has "
            f"{len(fields) - 1}. `bsched user add` writes it."
        )
    name, secret, roles = fields
    with _at(where, "name"):
        check_name(name)
    if secret != CERTIFICATE and not HASH.match(secret):
        raise ConfigurationError(
            f"{where}: hash: that of {name} is neither one of argon2 nor the word {CERTIFICATE}. "
            "`bsched user passwd` writes it."
        )
    with _at(where, "roles"):
        grants = parse_grants(roles.split())
    return User(name, None if secret == CERTIFICATE else secret, grants)


@contextlib.contextmanager
def _at(where: str, field: str) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {field}: {str(error).removesuffix('.')}.") from None


def read_users(path: str) -> dict[str, User]:
    """Return the users in this file, by name. Raises ConfigurationError for one that can't be read or understood."""
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"The users file {path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The users file {path} is no text in UTF-8.") from None
    return parse_users(text, path)


def check_mode(path: str) -> None:
    """Log that others may read the file. Raises ConfigurationError when others than its owner may write it, and so be
    whom they like.

    A file that is not there is passed over, and so is a system without such modes.
    """
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & (stat.S_IWOTH | stat.S_IWGRP):
            who = "Everybody" if mode & stat.S_IWOTH else "Its whole group"
            raise ConfigurationError(f"{who} may write the users file {path}: chmod 600 {path}")
        if mode & stat.S_IROTH:
            log.warning("Everybody may read the users file %s: chmod 600 %s", path, path)


class UsersFile:
    """Knows the users in a file, and sees within half a second that it has changed.

    Once read, a file that is broken or gone later changes nothing: that is logged once, and the users stay.
    Raises ConfigurationError when it can't be read at first.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        check_mode(path)
        self._seen = self._signature()
        self._looked_at = clock()
        self._users: Mapping[str, User] = read_users(path)

    def users(self) -> Mapping[str, User]:
        """Return the users by name, as the file has them now or had them half a second ago."""
        now = self._clock()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._users

    def _look(self) -> None:
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        try:
            check_mode(self._path)
            before, self._users = self._users, read_users(self._path)
        except ConfigurationError as error:
            log.error("%s The users are those that it had before.", error)
        else:
            log.info("The users file %s has changed: %s.", self._path, _changes(before, self._users))

    def _signature(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev, found.st_mode


def _changes(before: Mapping[str, User], now: Mapping[str, User]) -> str:
    """Say who has come, gone, or is another: names and roles, and no hash."""
    told = [f"added {on_one_line(name)} ({write_grants(now[name].grants)})" for name in now if name not in before]
    told += [f"removed {on_one_line(name)}" for name in before if name not in now]
    for name in (each for each in now if each in before):
        if now[name].grants != before[name].grants:
            told.append(f"roles of {on_one_line(name)}: {write_grants(now[name].grants)}")
        if not hmac.compare_digest(now[name].password_hash or CERTIFICATE, before[name].password_hash or CERTIFICATE):
            told.append(f"another password of {on_one_line(name)}")
    return "; ".join(told) or "nobody is another"


@contextlib.contextmanager
def changing_users(path: str) -> Iterator[dict[str, User]]:
    """Give the users in the file to a block that changes them, and write them in place of the old ones at its end.

    The file is replaced at once, with the mode 600 and its owner; nobody else changes it meanwhile. Comments and the
    order stay. One that is not there is made. Raises ConfigurationError; then, and when the block fails, nothing is
    written.
    """
    real = Path(os.path.realpath(path))
    with _locked(real):
        text = real.read_text("utf-8") if real.exists() else ""
        before = parse_users(text, path)
        users = dict(before)
        yield users
        if users != before:
            _replace(real, _edited(text, path, users))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep others from changing the file while the block runs: its folder is locked, so that nothing is left over."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigurationError(f"The folder of the users file can't be used: {error}.") from None
    try:
        with contextlib.suppress(ImportError):  # Windows has no such locks
            import fcntl

            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _edited(text: str, place: str, users: Mapping[str, User]) -> str:
    left = dict(users)
    lines: list[str] = []
    for line in text.splitlines():
        if not _is_user(line):
            lines.append(line)
            continue
        user = left.pop(_parse_line(line, place).name, None)
        if user is not None:
            lines.append(_line_of(user))
    lines.extend(map(_line_of, left.values()))
    return "".join(f"{line}\n" for line in lines)


def _line_of(user: User) -> str:
    return f"{user.name}:{user.password_hash or CERTIFICATE}:{write_grants(user.grants)}"


def _replace(path: Path, text: str) -> None:
    try:
        owner = os.stat(path) if path.exists() else None
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with the mode 600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if owner is not None and hasattr(os, "chown") and owner.st_uid != os.stat(temporary).st_uid:
                os.chown(temporary, owner.st_uid, owner.st_gid)  # root changes it, the server's user reads it
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise ConfigurationError(f"The users file {path} can't be written: {error.strerror}.") from None
