"""Sessions of browsers: the cookie that each has, and what a session goes back to."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.types import Scope

from broker_sched.contract.roles import Role
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.operations.secrets import digest_of
from broker_sched.scheduler.operations.sessions import Client, Proof, begin_session, end_session, find_session
from broker_sched.server.access.caller import address_of
from broker_sched.server.access.grants import EVERY_NAMESPACE, Grants
from broker_sched.server.access.remembered import Remembered
from broker_sched.server.access.tokens import Tokens

if TYPE_CHECKING:
    from broker_sched.server.access.users import Users

SECURE = "__Host-"  # a browser takes what is called so over TLS and from this host only
PORT = re.compile(r"[0-9]{1,5}")
MAX_COOKIE = 200  # characters; ours has 43
MAX_BROWSER = 200  # characters kept of how a browser calls itself


@dataclass(frozen=True)
class SessionConfig:
    """Says how long a browser's login holds, in seconds: without use, and in any case."""

    idle_seconds: float = 12 * 3600.0
    most_seconds: float = 7 * 86400.0


class Sessions:
    """Begins, finds and ends sessions. They are in Redis, so all servers know them; what ends there counts within half
    a second.

    users: of the users file, None without one. A session of theirs ends with the user, and with the password.
    """

    def __init__(self, scheduler: AsyncScheduler, config: SessionConfig, tokens: Tokens, users: Users | None) -> None:
        self._scheduler = scheduler
        self._namespace = scheduler.namespace
        self._config = config
        self._tokens = tokens
        self._users = users
        self._proofs = Remembered(self._look)

    async def begin(self, proof: Proof, scope: Scope) -> str:
        """Begin a session, and return the Set-Cookie header for it. The one that the browser had ends."""
        await self.end(scope)
        headers = dict(scope["headers"])
        browser = headers.get(b"user-agent", b"").decode("latin-1")[:MAX_BROWSER]
        secret = await self._scheduler.drive(
            begin_session(
                self._namespace,
                proof=proof,
                client=Client(address_of(scope), browser),
                idle_seconds=self._config.idle_seconds,
                most_seconds=self._config.most_seconds,
            )
        )
        return self.set_cookie(scope, secret)

    async def find(self, scope: Scope) -> tuple[str, Grants] | None:
        """Return who has logged in with this browser, and their roles; None when nobody has, or that is over."""
        secret = cookie_in(scope, self._name(scope))
        if secret is None:
            return None
        proof = await self._proofs.find(digest_of(secret))
        grants = None if proof is None else await self._grants_of(proof)
        return None if proof is None or grants is None else (proof.name, grants)

    async def end(self, scope: Scope) -> None:
        """End this browser's session, if it has one."""
        secret = cookie_in(scope, self._name(scope))
        if secret is not None:
            await self._scheduler.drive(end_session(self._namespace, secret))
            self._proofs.forget(digest_of(secret))

    def forget_all(self) -> None:
        """Look in Redis again, whoever comes next."""
        self._proofs.forget_all()

    def set_cookie(self, scope: Scope, secret: str) -> str:
        """Return the Set-Cookie header of a session; an empty secret takes the cookie away."""
        return cookie_header(scope, self._name(scope), secret, "Strict", None if secret else 0)

    def _name(self, scope: Scope) -> str:
        return cookie_name(scope, "session", self._namespace.name)

    async def _grants_of(self, proof: Proof) -> Grants | None:
        """Return the roles as they are by now; None when what the session goes back to is gone, or is another."""
        if proof.kind == "user":
            user = self._users.named(proof.name) if self._users is not None else None
            is_same = user is not None and hmac.compare_digest(stamp_of(user.password_hash), proof.stamp)
            return user.grants if user is not None and is_same else None
        if proof.kind == "token":
            holder = await self._tokens.holder_by_digest(proof.stamp)
            return None if isinstance(holder, str) else {EVERY_NAMESPACE: holder.role}
        return {EVERY_NAMESPACE: Role(proof.role)}  # what the provider said is known at the login only

    async def _look(self, digest: str) -> Proof | None:
        return await self._scheduler.drive(find_session(self._namespace, digest))


def stamp_of(password_hash: str | None) -> str:
    """Return what is another when a user's password is."""
    return hashlib.sha256((password_hash or "").encode()).hexdigest()


def cookie_name(scope: Scope, what: str, namespace: str) -> str:
    """Return the name of a cookie of ours: session or login.

    A browser sends all cookies of a host to each of its ports, and to all that is behind one proxy there. So the name
    has the namespace, and the port that the browser asks for: of two servers, each has its own.
    """
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    port = host.rpartition(b":")[2].decode("latin-1")
    begin = f"{SECURE if scope.get('scheme') == 'https' else ''}bsched_{what}-{namespace}"
    return f"{begin}-{port}" if PORT.fullmatch(port) else begin


def cookie_in(scope: Scope, name: str) -> str | None:
    """Return what the cookie of this name holds; None when the browser has none."""
    wanted = f"{name}="
    for header, value in scope["headers"]:
        if header == b"cookie":
            for part in value.decode("latin-1").split(";"):
                found = part.strip()
                if found.startswith(wanted):
                    return found[len(wanted) :][:MAX_COOKIE] or None
    return None


def cookie_header(scope: Scope, name: str, value: str, same_site: str, max_age: int | None) -> str:
    """Return a Set-Cookie header: no script reads the cookie, and over TLS it never goes without."""
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    age = "" if max_age is None else f"; Max-Age={max_age}"
    return f"{name}={value}; Path=/; HttpOnly; SameSite={same_site}{age}{secure}"
