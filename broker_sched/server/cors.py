"""What pages of other sites may do through their visitors' browsers, as luigi.cfg's [cors] says.

Source: luigi.server.cors and RPCHandler, 3.8.1. Two things are stricter here. A page of any origin, or of none, only
reads; what changes state, and POST, is for the origins that are listed. And what browsers refuse is refused at the
start, instead of having no effect.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields

from starlette.types import Message, Scope, Send

from broker_sched.errors import ConfigurationError
from broker_sched.luigi_config import LuigiConfig
from broker_sched.server.responses import Header
from broker_sched.truth_words import truth_of

SECTION = "cors"
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d+)?\Z")
HEADER_VALUE = re.compile(r"[\x20-\x7e]*\Z")
VARY: Header = (b"vary", b"Origin")


@dataclass(frozen=True)
class CorsConfig:
    """Luigi's options of the section [cors], with its names and defaults."""

    enabled: bool = False
    allowed_origins: tuple[str, ...] = ()
    allow_any_origin: bool = False
    allow_null_origin: bool = False
    max_age: int = 86400  # seconds that a browser remembers what it was allowed
    allowed_methods: str = "GET, OPTIONS"
    allowed_headers: str = "Accept, Content-Type, Origin"
    exposed_headers: str = ""
    allow_credentials: bool = False


def parse_cors(config: LuigiConfig) -> CorsConfig | None:
    """Read [cors] from luigi's configuration; None when it is not enabled.

    Raises ConfigurationError, which names the option and what is allowed.
    """
    section = config.section(SECTION)
    values: dict[str, object] = {}
    for option in fields(CorsConfig):
        text = section.get(option.name)
        if text is None:
            continue
        try:
            values[option.name] = _value(option.name, option.default, text)
        except ValueError as error:
            raise _wrong(option.name, str(error)) from None
    found = CorsConfig(**values)  # type: ignore[arg-type]  # each has its option's type
    if not found.enabled:
        return None
    if found.allow_any_origin and found.allow_credentials:
        raise _wrong("allow_credentials", "can't be true with allow_any_origin: name the origins in allowed_origins")
    return found


class Cors:
    """Adds to the answers of `/api` what lets a page of another site read them."""

    def __init__(self, config: CorsConfig) -> None:
        self._config = config
        self.trusted = frozenset(origin.encode() for origin in config.allowed_origins)
        always: list[Header] = []
        if config.allow_credentials:
            always.append((b"access-control-allow-credentials", b"true"))
        if config.exposed_headers:
            always.append((b"access-control-expose-headers", config.exposed_headers.encode()))
        self._always = tuple(always)
        self._preflight: tuple[Header, ...] = (
            (b"access-control-max-age", b"%d" % config.max_age),
            (b"access-control-allow-methods", config.allowed_methods.encode()),
            (b"access-control-allow-headers", config.allowed_headers.encode()),
        )

    def granting(self, scope: Scope, send: Send) -> Send:
        """Return what sends an answer to this request with the headers that grant its origin what it may."""
        added = self._granted(dict(scope["headers"]).get(b"origin"), scope["method"])

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        return sending

    def _granted(self, origin: bytes | None, verb: str) -> list[Header]:
        found: list[Header] = [] if self._config.allow_any_origin else [VARY]
        allowed = None if origin is None else self._allowed(origin)
        if allowed is not None:
            found += [(b"access-control-allow-origin", allowed), *self._always]
            if verb == "OPTIONS":
                found += self._preflight
        return found

    def _allowed(self, origin: bytes) -> bytes | None:
        if origin == b"null":
            return origin if self._config.allow_null_origin else None
        if self._config.allow_any_origin:
            return b"*"
        return origin if origin in self.trusted else None


def _value(name: str, default: object, text: str) -> object:
    """Raises ValueError with what is allowed."""
    if isinstance(default, bool):
        return truth_of(text)
    if isinstance(default, int):
        if not text.strip().isdigit():
            raise ValueError(f"is a whole number of seconds, not {text!r}")
        return int(text)
    if isinstance(default, str):
        if not HEADER_VALUE.match(text):
            raise ValueError("is the value of a header, a line of ASCII")
        return text
    return _origins(text)


def _origins(text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError(f'is a list of origins such as ["https://page.example"], not {text!r}')
    for each in found:
        if each in ("*", "null"):
            raise ValueError(f"has {each!r}; write allow_{'any' if each == '*' else 'null'}_origin = true instead")
        if not ORIGIN.match(each):
            raise ValueError(f"has {each!r}, as which no browser names an origin: https://page.example, in lower case")
    return tuple(found)


def _wrong(option: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"luigi's configuration, [{SECTION}] {option} {why}.")
