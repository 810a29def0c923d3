"""The one who makes a request, as the rest of the server sees them."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from starlette.types import Scope

from broker_sched.contract.roles import Role
from broker_sched.contract.visibility import Sees

Kind: TypeAlias = Literal["anonymous", "user", "token", "session", "certificate"]

KEY = "caller"  # of scope["state"]


class Caller(NamedTuple):
    """Says who makes a request, and what they may do in this server's namespace.

    name: the user's, the token's or the certificate's; "" of an anonymous one. sees: how much of the replies they get.
    address: whence the request comes, for people; "" at a unix socket.
    """

    name: str
    kind: Kind
    role: Role
    sees: Sees
    address: str


def caller_of(scope: Scope) -> Caller:
    """Return who makes this request. Every request that has passed `App` has a caller."""
    caller: Caller = scope["state"][KEY]
    return caller


def address_of(scope: Scope) -> str:
    """Return the address that a request comes from; "" at a unix socket."""
    client = scope.get("client")
    return client[0] if client else ""
