"""Tokens by which programs log in at a server. No method of the contract does this: it is done straight in Redis."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypedDict

from broker_sched.contract.roles import Role
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.secrets import digest_of, id_of, new_secret

PREFIX = "bst_"  # so that people, and programs that look for leaked secrets, know a token when they see one


class Token(TypedDict):
    """A token as it is listed, times in seconds since the epoch. What logs in by it is not kept anywhere."""

    id: str
    name: str
    role: str
    created: float
    expires: float | None
    last_used: float | None  # to the minute; None: never
    by: str  # who made it


class Holder(NamedTuple):
    """Says who holds a token, and whether it is good any more."""

    name: str  # for people: the token's, and its id, since two may be called alike
    role: Role
    expired: float | None  # since when it is no good any more (s); None while it is good


class NewToken(NamedTuple):
    """A token that was made just now."""

    secret: str  # the token itself, which can't be had again
    id: str
    expires: float | None


def create_token(namespace: Namespace, *, name: str, role: Role, by: str, seconds: float | None) -> Commands[NewToken]:
    """Make a token of this name and role, which expires after so many seconds; None: never. One script."""
    secret = new_secret(PREFIX)
    digest = digest_of(secret)
    lifetime = "" if seconds is None else repr(seconds)
    expires = yield Call(
        "add_token", digest=digest, id=id_of(digest), name=name, role=role.value, by=by, seconds=lifetime
    )
    return NewToken(secret, id_of(digest), float(expires) if expires else None)


def find_token(namespace: Namespace, digest: str) -> Commands[Holder | None]:
    """Return who holds the token with this digest, and note once a minute that it was used; None when there is none.

    One script.
    """
    found = yield Call("find_token", digest=digest)
    if not found:
        return None
    name, role, expired = found
    token_id = f"token {id_of(digest)}"
    return Holder(f"{name} ({token_id})" if name else token_id, Role(role), float(expired) if expired else None)


def list_tokens(namespace: Namespace) -> Commands[list[Token]]:
    """Return all tokens, the oldest first, also those that expired within 30 days. One read."""
    (flat,) = yield Read([("HVALS", namespace.key("tokens"))])
    return sorted(map(_token, flat), key=lambda token: token["created"])


def revoke_token(namespace: Namespace, token_id: str) -> Commands[bool]:
    """Have all servers refuse the token of this id, at once or within half a second. False when there is none."""
    (digests,) = yield Read([("HKEYS", namespace.key("tokens"))])
    found = [digest for digest in digests if id_of(digest) == token_id]
    removed = False
    for digest in found:
        removed = bool((yield Call("remove_token", digest=digest))) or removed
    return removed


def _token(text: str) -> Token:
    kept: dict[str, Any] = json.loads(text)
    return {
        "id": kept["id"],
        "name": kept["name"],
        "role": kept["role"],
        "created": kept["created"],
        "expires": kept.get("expires"),
        "last_used": kept.get("used"),
        "by": kept["by"],
    }
