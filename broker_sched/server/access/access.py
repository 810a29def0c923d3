"""Tells from whom a request comes. Where nobody is known, all are anonymous and may do everything."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast, get_args
from urllib.parse import quote

from starlette.types import Scope

from broker_sched.contract.roles import METHOD_RIGHTS, PUBLIC_PATHS, Role
from broker_sched.contract.visibility import Sees
from broker_sched.errors import ConfigurationError, UnknownMethod
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.operations.secrets import digest_of
from broker_sched.scheduler.operations.sessions import Proof
from broker_sched.server.access.caller import KEY, Caller, Kind, address_of
from broker_sched.server.access.certificates import grants_by_certificate, names_shown
from broker_sched.server.access.grants import Grants, role_in
from broker_sched.server.access.sessions import SessionConfig, Sessions, stamp_of
from broker_sched.server.access.tokens import Tokens, is_token
from broker_sched.server.access.viewers import check_method
from broker_sched.server.hosts import is_loopback
from broker_sched.server.requests import path_of
from broker_sched.server.responses import RequestRefused
from broker_sched.truth_words import truth_of

if TYPE_CHECKING:
    from broker_sched.server.access.oidc import Oidc
    from broker_sched.server.access.users import Users

LOGIN_WANTED = "This server wants to know who asks: give a user and a password, or a token."
WRONG_LOGIN = "User or password is wrong."


@dataclass(frozen=True)
class AccessConfig:
    """Says who is known to a server, and how much a viewer sees."""

    users_file: str | None = None
    wants_login: bool = False  # nobody gets in without a login; with users this is so anyway
    oidc_config: str | None = None  # the file that says at which OpenID Connect provider people log in
    session: SessionConfig = field(default_factory=SessionConfig)
    is_open_to_all: bool = False  # without users, also those may do everything who ask at no loopback address
    viewer_sees: Sees = "all"

    @staticmethod
    def from_environment(environment: Mapping[str, str]) -> AccessConfig:
        """What BSCHED_USERS_FILE, _REQUIRE_LOGIN, _OIDC_CONFIG, _VIEWER_SEES and _INSECURE say.

        Raises ConfigurationError.
        """
        sees = environment.get("BSCHED_VIEWER_SEES", "all")
        if sees not in get_args(Sees):
            raise ConfigurationError(f"BSCHED_VIEWER_SEES is counts, names or all, not {sees!a}.")
        return AccessConfig(
            users_file=environment.get("BSCHED_USERS_FILE"),
            wants_login=_truth_in(environment, "BSCHED_REQUIRE_LOGIN"),
            oidc_config=environment.get("BSCHED_OIDC_CONFIG"),
            is_open_to_all=_truth_in(environment, "BSCHED_INSECURE"),
            viewer_sees=cast("Sees", sees),
        )

    @property
    def knows_somebody(self) -> bool:
        """Whether anybody can say who they are; else everybody is anonymous, and an admin."""
        return self.users_file is not None or self.wants_login or self.oidc_config is not None


class Access:
    """Tells from whom each request comes. scheduler: whose namespace is served, and where it is kept who is known.

    Raises ConfigurationError when the users file, or what is said of OpenID Connect, can't be used.
    """

    def __init__(self, config: AccessConfig, scheduler: AsyncScheduler) -> None:
        self._config = config
        self.namespace = scheduler.namespace.name
        self.is_open = not config.knows_somebody  # nobody has to log in
        self.oidc: Oidc | None = None  # logs people in elsewhere
        self._anonymous = Caller("", "anonymous", Role.ADMIN, "all", "")  # who asked last where all may
        self._tokens = Tokens(scheduler)
        self._users: Users | None = None
        if config.users_file is not None:
            from broker_sched.server.access.users import Users  # here, since a server without users needs no argon2

            self._users = Users(config.users_file, scheduler)
        if config.oidc_config is not None:
            self.oidc = _oidc(config.oidc_config, scheduler)
        self.sessions = Sessions(scheduler, config.session, self._tokens, self._users)
        self._seen_users = None if self._users is None else self._users.all()

    async def admit(self, scope: Scope, path: str) -> None:
        """Put the caller into scope["state"], where `caller_of` finds it.

        Raises RequestRefused: 401 for who is nobody or gives a wrong proof, 403 for who has no role here, 429 for who
        has failed too often. A path that needs no login is anonymous's, and so is OPTIONS, which browsers send bare.
        """
        if self.is_open:
            if not self._config.is_open_to_all:
                self._refuse_strangers(scope)
            caller = self._anonymous  # made once: on loopback all come from one address
            if caller.address != (address := address_of(scope)):
                caller = self._anonymous = caller._replace(address=address)
        elif path in PUBLIC_PATHS or scope["method"] == "OPTIONS":
            caller = Caller("", "anonymous", Role.VIEWER, "counts", address_of(scope))
        else:
            caller = await self._identify(scope)
        scope.setdefault("state", {})[KEY] = caller

    def _refuse_strangers(self, scope: Scope) -> None:
        """Raise RequestRefused (403) for who asks an ASGI server that was not told whether it may be open."""
        server = scope.get("server")
        if server is not None and server[1] is not None and not is_loopback(server[0]):
            raise RequestRefused(
                403,
                "Insecure",
                "This server knows no users, and so answers at loopback addresses and unix sockets only. Give it "
                "BSCHED_USERS_FILE, or BSCHED_INSECURE=1 when all who reach it may do everything.",
            )

    def has_changed(self) -> bool:
        """Tell whether the users file has changed since this was asked last."""
        former, self._seen_users = self._seen_users, None if self._users is None else self._users.all()
        return former is not self._seen_users

    def forget_all(self) -> None:
        """Look in Redis for each login, also for those that were found there half a second ago."""
        self._tokens.forget_all()
        self.sessions.forget_all()

    def close(self) -> None:
        """End what was started for logins."""
        if self.oidc is not None:
            self.oidc.close()
        if self._users is not None:
            self._users.close()

    async def _identify(self, scope: Scope) -> Caller:
        """Return the caller by the first of its proofs: the header, a session's cookie, a client certificate."""
        header = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if header is not None:
            return await self._by_header(header, scope)
        if (caller := await self.by_session(scope)) is not None:
            return caller
        if self._users is not None and (names := names_shown(scope)):
            found = grants_by_certificate(self._users, scope)
            if found is None:
                shown = " or ".join(names)
                raise unauthorized(self.namespace, f"Nobody here comes with a certificate of {shown!a}.")
            return self.caller(found[0], "certificate", found[1], scope)
        raise login_wanted(self.namespace, scope)

    async def _by_header(self, header: bytes, scope: Scope) -> Caller:
        scheme, _, proof = header.partition(b" ")
        if scheme.lower() == b"bearer":
            return (await self._by_token(proof.strip().decode("latin-1"), scope))[0]
        if scheme.lower() == b"basic":
            login = login_in(proof)
            if login is None:
                raise unauthorized(self.namespace, WRONG_LOGIN)
            return (await self.prove(*login, scope))[0]
        raise unauthorized(self.namespace)

    async def prove(self, name: str, password: str, scope: Scope) -> tuple[Caller, Proof]:
        """Return who gives this password, and what a session of theirs goes back to. Any user may have a token as it.

        Raises RequestRefused: 401 for a wrong one, 403 for who has no role here, 429 for who has failed too often.
        """
        if is_token(password):
            return await self._by_token(password, scope)
        if self._users is not None:
            user = self._users.named(name)  # as it is before the password is tried: it may be another one then
            grants = await self._users.grants_by_password(name, password, address_of(scope))
            if grants is not None and user is not None:
                return self.caller(name, "user", grants, scope), Proof("user", name, stamp_of(user.password_hash))
        raise unauthorized(self.namespace, WRONG_LOGIN)

    async def _by_token(self, token: str, scope: Scope) -> tuple[Caller, Proof]:
        digest = digest_of(token)
        holder = await self._tokens.holder_by_digest(digest)
        if isinstance(holder, str):
            raise unauthorized(self.namespace, holder)
        caller = self.caller(holder.name, "token", {self.namespace: holder.role}, scope)
        return caller, Proof("token", holder.name, digest)

    async def by_session(self, scope: Scope) -> Caller | None:
        """Return who has logged in with this browser; None when nobody has. Raises RequestRefused (403)."""
        found = await self.sessions.find(scope)
        return None if found is None else self.caller(found[0], "session", found[1], scope)

    def caller(self, name: str, kind: Kind, grants: Grants, scope: Scope) -> Caller:
        """Return somebody who is known. Raises RequestRefused (403) when they have no role in this namespace."""
        role = role_in(grants, self.namespace)
        if role is None:
            raise RequestRefused(403, "Forbidden", f"{name} has no role in the namespace {self.namespace}.")
        return Caller(name, kind, role, self._config.viewer_sees if role is Role.VIEWER else "all", address_of(scope))


def _oidc(path: str, scheduler: AsyncScheduler) -> Oidc:
    from broker_sched.server.access.oidc_config import read_oidc_config  # here, since few servers need it

    config = read_oidc_config(path)
    try:
        from broker_sched.server.access.oidc import Oidc
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"--oidc-config needs {error.name}: pip install 'broker-sched[oidc]'.") from None
    return Oidc(config, scheduler)


def _truth_in(environment: Mapping[str, str], name: str) -> bool:
    try:
        return truth_of(environment.get(name, "false"))
    except ValueError:
        raise ConfigurationError(f"{name} is true or false, not {environment[name]!a}.") from None


def check_role(caller: Caller, name: str) -> None:
    """Raise RequestRefused (403) when this caller may not call the method of this name, UnknownMethod when none is.

    A viewer may not either when the method has nothing that this server shows viewers.
    """
    if caller.role is Role.ADMIN:
        return
    right = METHOD_RIGHTS.get(name)
    if right is None:
        raise UnknownMethod(name)
    if caller.role not in right.roles:
        allowed = " or ".join(role.value for role in Role if role in right.roles)
        who = f"{caller.name} is" if caller.name else "This caller is"
        raise RequestRefused(403, "Forbidden", f"{who} {caller.role.value} here; {name} needs the role {allowed}.")
    check_method(caller.sees, name)


def login_in(proof: bytes) -> tuple[str, str] | None:
    """Return user and password in the header of HTTP Basic; None when it holds none."""
    try:
        text = base64.b64decode(proof.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    name, sign, password = text.partition(b":")
    if not sign:
        return None
    try:
        return name.decode(), password.decode()
    except UnicodeDecodeError:  # so does requests, which Luigi's client uses
        return name.decode("latin-1"), password.decode("latin-1")


def login_wanted(namespace: str, scope: Scope) -> RequestRefused:
    """Make the refusal of a request without a proof. A person's browser that opens a page is led to the login."""
    headers = dict(scope["headers"])
    if scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b""):
        path = path_of(scope)
        query = scope["query_string"].decode("latin-1")
        target = quote(f"{path}?{query}" if query else path, safe="")
        up = "../" * max(0, path.count("/") - 1)  # relative, so that it holds behind a proxy that adds a path
        return RequestRefused(303, "LoginWanted", LOGIN_WANTED, [(b"location", f"{up}login?next={target}".encode())])
    refusal = unauthorized(namespace)
    if b"sec-fetch-mode" in headers:  # of a page of ours: for Basic, the browser would open a window of its own
        refusal.headers = [(b"www-authenticate", b"Bearer")]
    return refusal


def unauthorized(namespace: str, message: str = LOGIN_WANTED) -> RequestRefused:
    """Make the refusal of a request that does not say who asks, or not rightly."""
    challenges = (f'Basic realm="bsched {namespace}", charset="UTF-8"', "Bearer")
    return RequestRefused(
        401, "Unauthorized", message, [(b"www-authenticate", challenge.encode()) for challenge in challenges]
    )
