"""What a server is told of the OpenID Connect provider at which people log in: a TOML or JSON file."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from broker_sched.contract.roles import Role
from broker_sched.errors import ConfigurationError
from broker_sched.server.access.grants import parse_grants
from broker_sched.server.hosts import is_loopback

EMAIL = "email"


class RoleRule(NamedTuple):
    """Gives a role in a namespace (or "*") to whose claim is this very value, or is a list that has it."""

    claim: str
    value: str | bool | int
    namespace: str
    role: Role


@dataclass(frozen=True)
class OidcConfig:
    """Says who the provider is, what this server is to it, and which claims give which roles."""

    issuer: str
    client_id: str
    redirect_uri: str  # this server's /login/callback, as the provider knows it
    rules: tuple[RoleRule, ...]
    client_secret: str | None = field(default=None, repr=False)  # None: the code challenge alone proves who asks
    scopes: tuple[str, ...] = ("openid",)
    name_claim: str = "sub"  # what people are called by
    ca_file: str | None = None  # certificates to trust of the provider, instead of the system's


def roles_by(rules: tuple[RoleRule, ...], claims: Mapping[str, Any]) -> dict[str, Role]:
    """Return the roles that these claims give, by namespace: of several for one namespace, that of the first rule."""
    grants: dict[str, Role] = {}
    for rule in rules:
        if _fits(rule, claims):
            grants.setdefault(rule.namespace, rule.role)
    return grants


def _fits(rule: RoleRule, claims: Mapping[str, Any]) -> bool:
    if rule.claim == EMAIL and claims.get("email_verified") is not True:  # else anybody may have claimed it
        return False
    found = claims.get(rule.claim)
    values = found if isinstance(found, list) else [found]
    return any(type(each) is type(rule.value) and each == rule.value for each in values)


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    claim: str
    value: str | bool | int
    role: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    issuer: str
    client_id: str
    redirect_uri: str
    roles: list[_Rule]
    client_secret_env: str | None = None
    client_secret_file: str | None = None
    scopes: list[str] = msgspec.field(default_factory=lambda: ["openid"])
    name_claim: str = "sub"
    ca_file: str | None = None


def read_oidc_config(path: str, environment: Mapping[str, str] = os.environ) -> OidcConfig:
    """Return what the file says, with the secret from where it says. Raises ConfigurationError, without the secret."""
    try:
        file = msgspec.convert(_parsed(path), _File)
        rules = tuple(_rule(each) for each in file.roles)
        if not rules:
            raise ConfigurationError("roles is empty, so nobody could do anything")
        if "openid" not in file.scopes:
            raise ConfigurationError("scopes must have openid")
        for name in ("issuer", "redirect_uri"):
            check_url(name, getattr(file, name))
        secret = _secret(file, environment)
    except (msgspec.ValidationError, ConfigurationError) as error:
        raise ConfigurationError(f"--oidc-config {path}: {str(error).removesuffix('.')}.") from None
    return OidcConfig(
        *(file.issuer, file.client_id, file.redirect_uri, rules, secret),
        *(tuple(file.scopes), file.name_claim, file.ca_file),
    )


def check_url(name: str, url: str) -> str:
    """Return the URL. Raises ConfigurationError for one that is neither https nor, at loopback, http."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise ConfigurationError(f"{name} must be a URL that begins with https://, not {url!a}")
    return url


def _parsed(path: str) -> Any:
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"it can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError("it is no text in UTF-8") from None
    try:
        if text.lstrip().startswith("{"):
            return json.loads(text)
        return _toml().loads(text)
    except ValueError as error:  # of both
        raise ConfigurationError(f"it is neither TOML nor JSON: {error}") from None


def _toml() -> Any:
    for name in ("tomllib", "tomli"):  # the first one is in Python from 3.11 on
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ConfigurationError("to read TOML, this Python needs: pip install 'broker-sched[oidc]'")


def _rule(rule: _Rule) -> RoleRule:
    ((namespace, role),) = parse_grants([rule.role]).items()
    return RoleRule(rule.claim, rule.value, namespace, role)


def _secret(file: _File, environment: Mapping[str, str]) -> str | None:
    if file.client_secret_env is not None and file.client_secret_file is not None:
        raise ConfigurationError("client_secret_env and client_secret_file are both given; leave one of them out")
    if file.client_secret_env is not None:
        if not environment.get(file.client_secret_env):
            raise ConfigurationError(f"client_secret_env names {file.client_secret_env}, which is not set")
        return environment[file.client_secret_env]
    if file.client_secret_file is None:
        return None
    try:
        return Path(file.client_secret_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"client_secret_file is {file.client_secret_file}, which can't be read") from None
