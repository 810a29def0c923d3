"""Which role somebody has in which namespace, as it is written: `viewer@* worker@etl`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from broker_sched.contract.roles import Role
from broker_sched.errors import ConfigurationError
from broker_sched.redis_backend.namespace import Namespace

EVERY_NAMESPACE = "*"
Grants: TypeAlias = Mapping[str, Role]  # namespace, or "*" → role


def parse_grants(words: Iterable[str]) -> dict[str, Role]:
    """Return what words such as `worker@etl` and `viewer@*` grant.

    Raises ConfigurationError for a word that grants nothing, and for a namespace that is named twice.
    """
    grants: dict[str, Role] = {}
    for word in words:
        role, sign, namespace = word.partition("@")
        if not sign or role not in (each.value for each in Role):
            known = ", ".join(each.value for each in Role)
            raise ConfigurationError(f"a role is <role>@<namespace> or <role>@*, with {known}; {word!a} is none")
        if namespace != EVERY_NAMESPACE:
            Namespace.named(namespace)
        if namespace in grants:
            raise ConfigurationError(f"{word!a} is a second role for the namespace {namespace}")
        grants[namespace] = Role(role)
    return grants


def write_grants(grants: Grants) -> str:
    """Write grants as parse_grants reads them, apart by blanks."""
    return " ".join(f"{role.value}@{namespace}" for namespace, role in grants.items())


def role_in(grants: Grants, namespace: str) -> Role | None:
    """Return the role for this namespace: the one that names it, else the one for all; None: no role."""
    return grants.get(namespace) or grants.get(EVERY_NAMESPACE)
