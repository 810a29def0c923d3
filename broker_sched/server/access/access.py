"""Tells from whom a request comes. Where nobody is known, all are anonymous and may do everything."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

from broker_sched.contract.roles import METHOD_RIGHTS, PUBLIC_PATHS, Role
from broker_sched.errors import UnknownMethod
from broker_sched.server.access.caller import KEY, Caller, Sees, address_of
from broker_sched.server.responses import RequestRefused


@dataclass(frozen=True)
class AccessConfig:
    """Says who is known to a server, and how much a viewer sees."""

    viewer_sees: Sees = "all"


class Access:
    """Tells from whom each request comes. namespace: whose roles count."""

    def __init__(self, config: AccessConfig, namespace: str) -> None:
        self._config = config
        self._namespace = namespace
        self._is_open = True  # nobody is known: as before there were users

    async def admit(self, scope: Scope, path: str) -> None:
        """Put the caller into scope["state"], where `caller_of` finds it.

        Raises RequestRefused: 401 for who is nobody or gives a wrong proof, 403 for who has no role here, 429 for who
        has failed too often. A path that needs no login is anonymous's, and so is OPTIONS, which browsers send bare.
        """
        if self._is_open:
            caller = Caller("", "anonymous", Role.ADMIN, "all", address_of(scope))
        elif path in PUBLIC_PATHS or scope["method"] == "OPTIONS":
            caller = Caller("", "anonymous", Role.VIEWER, "counts", address_of(scope))
        else:
            caller = await self._identify(scope)
        scope.setdefault("state", {})[KEY] = caller

    async def _identify(self, scope: Scope) -> Caller:
        raise unauthorized(self._namespace)


def check_role(caller: Caller, name: str) -> None:
    """Raise RequestRefused (403) when this caller may not call the method of this name, UnknownMethod when none is."""
    if caller.role is Role.ADMIN:
        return
    right = METHOD_RIGHTS.get(name)
    if right is None:
        raise UnknownMethod(name)
    if caller.role not in right.roles:
        allowed = ", ".join(role.value for role in Role if role in right.roles)
        who = f"{caller.name} is" if caller.name else "This caller is"
        raise RequestRefused(403, "Forbidden", f"{who} {caller.role.value} here; {name} needs the role {allowed}.")


def unauthorized(
    namespace: str, message: str = "This server wants to know who asks: give a user or a token."
) -> RequestRefused:
    """Make the refusal of a request that does not say who asks, or not rightly."""
    challenges = (f'Basic realm="bsched {namespace}", charset="UTF-8"', "Bearer")
    return RequestRefused(
        401, "Unauthorized", message, [(b"www-authenticate", challenge.encode()) for challenge in challenges]
    )
