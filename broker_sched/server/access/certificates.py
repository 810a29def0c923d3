"""Who comes with a client certificate: the users whose line in the users file says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.types import Scope

from broker_sched.server.access.grants import Grants

if TYPE_CHECKING:
    from broker_sched.server.access.users import Users


def names_shown(scope: Scope) -> tuple[str, ...]:
    """Return the names in the certificate that the client has shown, and that was verified; none without one.

    They are known where this package's own server speaks TLS, see server/peer_certificate.py.
    """
    names: tuple[str, ...] = scope.get("extensions", {}).get("tls", {}).get("client_cert_names", ())
    return names


def grants_by_certificate(users: Users, scope: Scope) -> tuple[str, Grants] | None:
    """Return the name and the grants of whom the certificate is for; of several such users the first it names."""
    for name in names_shown(scope):
        user = users.by_certificate(name)
        if user is not None:
            return name, user.grants
    return None
