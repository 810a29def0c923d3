"""Sessions of browsers that have logged in at a server, and logins under way at another place (OpenID Connect)."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypedDict

from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.secrets import digest_of, id_of, new_secret

AT_ONCE = 500  # sessions read or ended together
LOGIN_SECONDS = 300  # within which a browser has to come back from the other place


class Proof(NamedTuple):
    """What a session goes back to.

    kind: "user" of the users file, "token", or "oidc". stamp: of a user, what changes with the password; of a token,
    its digest. role: of an OpenID Connect login, since what it said is known only then; "" of the others.
    """

    kind: str
    name: str
    stamp: str = ""
    role: str = ""


class Client(NamedTuple):
    """The browser that logs in: its address and how it calls itself, for the people who look at the list."""

    address: str
    browser: str


class Session(TypedDict):
    """A session as it is listed, times in seconds since the epoch."""

    id: str
    name: str
    kind: str
    started: float
    last_used: float  # to the minute
    ends: float  # at the latest
    address: str
    browser: str


def begin_session(
    namespace: Namespace, *, proof: Proof, client: Client, idle_seconds: float, most_seconds: float
) -> Commands[str]:
    """Begin a session, and return what its cookie holds. One script."""
    secret = new_secret()
    told = {**proof._asdict(), **client._asdict()}
    yield Call(
        "add_session",
        digest=digest_of(secret),
        session=json.dumps(told),
        idle_seconds=repr(idle_seconds),
        most_seconds=repr(most_seconds),
    )
    return secret


def find_session(namespace: Namespace, digest: str) -> Commands[Proof | None]:
    """Return what a session goes back to, by the digest of its cookie; None when it is over, or there was none.

    One script.
    """
    text = yield Call("find_session", digest=digest)
    if not text:
        return None
    kept = json.loads(text)
    return Proof(kept["kind"], kept["name"], kept["stamp"], kept["role"])


def end_session(namespace: Namespace, secret: str) -> Commands[None]:
    """End the session of this cookie, if there is one. One script."""
    yield Call("end_sessions", digests=[digest_of(secret)])


def list_sessions(namespace: Namespace) -> Commands[list[Session]]:
    """Return all sessions that are not over, the oldest first."""
    found = yield from _read_sessions(namespace)
    return sorted((session for _, session in found), key=lambda session: session["started"])


def revoke_sessions(namespace: Namespace, *, session_id: str | None = None, name: str | None = None) -> Commands[int]:
    """End the session of this id, or all of this user or token, or (None, None) all that there are. Returns how many.

    All servers refuse them at once, or within half a second.
    """
    digests = [
        digest
        for digest, session in (yield from _read_sessions(namespace))
        if session_id in (None, session["id"]) and name in (None, session["name"])
    ]
    count = 0
    for start in range(0, len(digests), AT_ONCE):
        count += yield Call("end_sessions", digests=digests[start : start + AT_ONCE])
    return count


def begin_login(namespace: Namespace, state: str, login: dict[str, str], address: str) -> Commands[bool]:
    """Remember for 5 minutes what a login with this state began with. One script.

    address: by which the client is counted, '' for one that is not. False when too many are under way, or were begun
    from there.
    """
    seconds = str(LOGIN_SECONDS)
    text = json.dumps(login)
    return bool((yield Call("begin_login", digest=digest_of(state), login=text, seconds=seconds, address=address)))


def take_login(namespace: Namespace, state: str) -> Commands[dict[str, str] | None]:
    """Return what the login with this state began with, once; None the second time, and later. One script."""
    text = yield Call("take_login", digest=digest_of(state))
    found: dict[str, str] | None = json.loads(text) if text else None
    return found


def _read_sessions(namespace: Namespace) -> Commands[list[tuple[str, Session]]]:
    (digests,) = yield Read([("ZRANGE", namespace.key("sessions"), "0", "-1")])
    found = []
    for start in range(0, len(digests), AT_ONCE):
        some = digests[start : start + AT_ONCE]
        texts = yield Read([("GET", namespace.key("session", digest)) for digest in some])
        found += [(digest, _session(digest, json.loads(text))) for digest, text in zip(some, texts) if text]
    return found


def _session(digest: str, kept: dict[str, Any]) -> Session:
    return {
        "id": id_of(digest),
        "name": kept["name"],
        "kind": kept["kind"],
        "started": kept["started"],
        "last_used": kept["seen"],
        "ends": kept["ends"],
        "address": kept["address"],
        "browser": kept["browser"],
    }
