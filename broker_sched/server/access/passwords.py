"""Passwords: their hashes by argon2, and who has given a right one before.

argon2 is slow on purpose: about 50 ms and 64 MB for each password. It runs in threads, few at once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from broker_sched.server.responses import RequestRefused

AT_ONCE = 2  # passwords that are tried by one process
WAITING_AT_MOST = 200  # for their turn
REMEMBERED_AT_MOST = 10_000
LONGEST = 1_000  # characters of a password
PARAMETERS = "$argon2id$v=19$m=65536,t=3,p=4$$"  # where the users file has no hash whose parameters may be taken


def hash_password(password: str) -> str:
    """Return argon2's hash of a password, as the users file has it."""
    return PasswordHasher().hash(password)


class Passwords:
    """Says whether passwords are right, and remembers it under a keyed hash, as long as the user's own stays the same.

    What was wrong is remembered, too: a program that repeats its wrong password costs next to nothing, and nobody
    learns anything by it.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right = _Remembered()
        self._wrong = _Remembered()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")  # which begin when they are needed
        self._nobodys = f"{_in_base64(16)}${_in_base64(32)}"  # salt and hash

    async def is_right(
        self,
        name: str,
        password: str,
        password_hash: str | None,
        begin: Callable[[], Awaitable[None]],
        note: Callable[[bool], Awaitable[None]],
        like: Iterable[str] = (),
    ) -> bool:
        """Tell whether this is the user's password. It takes as long when there is no such user.

        password_hash: the user's; None: there is no such user. like: other users' hashes; for nobody the first one's
            parameters are taken. begin: called before a password is tried that is not remembered; it may raise.
            note: told whether it was right, once it was tried.
        Raises RequestRefused (429) when too many wait to be tried, and what the two raise.
        """
        expected = self._hash_of_nobody(like) if password_hash is None else password_hash
        digest = self._digest(name, password, expected)
        known = self._known(digest)
        if known is not None:
            return known
        if self._waiting >= WAITING_AT_MOST:
            raise RequestRefused(429, "Busy", "Too many want to log in. Try again.", [(b"retry-after", b"1")])
        self._waiting += 1
        try:
            async with self._slots:
                known = self._known(digest)  # by one who was before us
                if known is not None:
                    return known
                await begin()
                loop = asyncio.get_running_loop()
                is_right = await loop.run_in_executor(self._threads, _verify, expected, password)
                is_right = is_right and password_hash is not None
                (self._right if is_right else self._wrong).add(digest)
                await note(is_right)
                return is_right
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads in which passwords are tried; one that is being tried is finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _known(self, digest: bytes) -> bool | None:
        if digest in self._right:
            return True
        return False if digest in self._wrong else None

    def _digest(self, *texts: str) -> bytes:
        joined = "\0".join(texts).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(joined, key=self._key, digest_size=32).digest()

    def _hash_of_nobody(self, like: Iterable[str]) -> str:
        """Return a hash that no password has, and that takes as long to try as those of users."""
        parameters = next(iter(like), PARAMETERS).rsplit("$", 2)[0]
        return f"{parameters}${self._nobodys}"


class _Remembered:
    """Holds some digests; the one that was not asked for longest goes first."""

    def __init__(self) -> None:
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        if digest not in self._digests:
            return False
        self._digests.move_to_end(digest)
        return True

    def add(self, digest: bytes) -> None:
        self._digests[digest] = None
        if len(self._digests) > REMEMBERED_AT_MOST:
            self._digests.popitem(last=False)


def _in_base64(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")


def _verify(expected: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(expected, password.encode("utf-8", "surrogatepass"))  # JSON may hold such texts
    except (VerificationError, InvalidHashError):
        return False
