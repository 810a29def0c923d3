"""Users who give a password: those of the users file, slowed down when they fail."""

from __future__ import annotations

import math
from collections.abc import Mapping

from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.failed_logins import note_failed_login, note_right_login, seconds_to_wait
from broker_sched.server.access.grants import Grants
from broker_sched.server.access.passwords import LONGEST, Passwords
from broker_sched.server.access.users_file import User, UsersFile
from broker_sched.server.hosts import network_of
from broker_sched.server.responses import RequestRefused


class Users:
    """Knows the users of a file, and whether their passwords are right. Failures are counted in Redis.

    Raises ConfigurationError when the file can't be used.
    """

    def __init__(self, path: str, scheduler: AsyncScheduler) -> None:
        self._file = UsersFile(path)
        self._scheduler = scheduler
        self._passwords = Passwords()

    async def grants_by_password(self, name: str, password: str, address: str) -> Grants | None:
        """Return what this user may do where; None when there is no such user, or the password is another.

        address: whence the request comes. Raises RequestRefused (429) for who has failed too often.
        """
        users = self._file.users()
        user = users.get(name)
        password_hash = user.password_hash if user else None
        if len(password) > LONGEST:
            return None
        namespace, counted = self._scheduler.namespace, network_of(address)

        async def begin() -> None:
            seconds = await self._scheduler.drive(seconds_to_wait(namespace, name, counted))
            if seconds > 0:
                raise _too_often(math.ceil(seconds))

        async def note(is_right: bool) -> None:
            noting = note_right_login if is_right else note_failed_login
            await self._scheduler.drive(noting(namespace, name, counted))

        like = (each.password_hash for each in users.values() if each.password_hash)
        is_right = await self._passwords.is_right(name, password, password_hash, begin, note, like)
        return user.grants if is_right and user is not None else None

    def all(self) -> Mapping[str, User]:
        """Return the users by name: another object once the file has changed."""
        return self._file.users()

    def named(self, name: str) -> User | None:
        """Return the user of this name who has a password, as the file has it; None when there is none."""
        user = self._file.users().get(name)
        return user if user is not None and user.password_hash is not None else None

    def by_certificate(self, name: str) -> User | None:
        """Return the user who comes with a client certificate of this name, if any."""
        user = self._file.users().get(name)
        return user if user is not None and user.password_hash is None else None

    def close(self) -> None:
        """End the threads in which passwords are tried."""
        self._passwords.close()


def _too_often(seconds: int) -> RequestRefused:
    message = f"Too many logins have failed from this address. Try again in {seconds} s."
    return RequestRefused(429, "TooManyLogins", message, [(b"retry-after", b"%d" % seconds)])
