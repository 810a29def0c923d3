"""Where Redis is: which URL holds, what it says, and how it is shown without its secrets.

| URL | what |
| --- | --- |
| redis://[user:password@]host[:port][/db], rediss://… | one server, with TLS for rediss |
| unix://[user:password@]/path/to.sock[?db=n] | one server on a unix socket |
| redis+sentinel://[user:password@]host:port[,host:port…]/service[/db] | the primary that Sentinel names; |
|   ?sentinel_username=…&sentinel_password=… | log in to the Sentinels too |
| redis+cluster://[user:password@]host:port[,host:port…] | a Cluster; a namespace lives in one slot of it |
| local:, local:///directory | a private server of this user, started when first used (embedded_server.py) |
| memory:, memory:NAME | inside this process, gone with it (memory_server.py) |

Any of them that leads to a server may have ?replicas_ack=N: a change counts only once N replicas have it.

A URL either fits one of the patterns below as a whole or is refused. So text that is not percent-encoded, such as a
password with `/`, `?` or `#` in it, is never taken for a host, and never shown.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from broker_sched.errors import ConfigurationError

FORMS = (
    "redis://, rediss://, unix://, redis+sentinel://host:port,…/service, redis+cluster://host:port,…, local:, memory:"
)
DEFAULT_PORT = 6379
REPLICAS_ACK = "replicas_ack"  # how many replicas are to confirm a change
_HOST = r"(?:[\w.\-]+|\[[\w:.%]+\])"
_ADDRESSES = rf"(?P<hosts>{_HOST}:\d{{1,5}}(?:,{_HOST}:\d{{1,5}})*)"
_SINGLE = rf"(?P<hosts>{_HOST}?(?::\d{{1,5}})?)(?:/(?P<db>\d{{0,9}}))?"
_PLACES = {
    "redis": _SINGLE,
    "rediss": _SINGLE,
    "unix": r"(?P<path>/[^?#@]+)",
    "redis+sentinel": rf"{_ADDRESSES}/(?P<service>[\w.\-]+)(?:/(?P<db>\d{{0,9}}))?/?",
    "redis+cluster": rf"{_ADDRESSES}(?:/0?)?",
}
_PATTERNS = {
    scheme: re.compile(
        rf"{re.escape(scheme)}://(?:(?P<login>[^/?#]*)@)?(?P<place>{place})(?:\?(?P<query>[^@#]*))?", re.A
    )
    for scheme, place in _PLACES.items()
}


class Endpoint(NamedTuple):
    """Where the primary is right now, and how to log in."""

    host: str
    port: int
    unix_path: str | None = None  # instead of host and port
    username: str | None = None
    password: str | None = None  # None: no login
    db: int = 0
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        """The address for logs and messages, without the login."""
        return f"Endpoint({self.unix_path or f'{self.host}:{self.port}'}, db={self.db})"


@dataclass(frozen=True)
class RedisURL:
    """A URL of one Redis, of Sentinels or of a Cluster, taken apart."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]  # one, unless Sentinels or a Cluster
    unix_path: str | None
    service: str  # what the Sentinels call the primary
    db: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)  # None: no login
    options: Mapping[str, Any] = field(repr=False)  # the rest of the query, as redis-py names it

    @property
    def login(self) -> dict[str, Any]:
        """username and password, as redis-py wants them; empty without a login."""
        login = {"username": self.username, "password": self.password}
        return {name: value for name, value in login.items() if value is not None}

    @property
    def sentinel_login(self) -> dict[str, Any]:
        """The login for the Sentinels themselves, which is another than that for the Redis they name."""
        return {
            name: self.options[f"sentinel_{name}"]
            for name in ("username", "password")
            if f"sentinel_{name}" in self.options
        }

    @property
    def connection_options(self) -> dict[str, Any]:
        """The options of the connection to Redis itself, as redis-py names them."""
        others = ("sentinel_", REPLICAS_ACK)
        return {name: value for name, value in self.options.items() if not name.startswith(others)}


def chosen(url: str | None) -> str:
    """The URL that holds: the one given, else that of the environment variable BSCHED_REDIS, else `local:`."""
    return url or os.environ.get("BSCHED_REDIS") or "local:"


def user_of(url: str | None) -> str:
    """Return the user as whom the URL that holds logs in to Redis; '' where it names none, or can't be read."""
    try:
        return parse(chosen(url)).username or ""
    except ConfigurationError:
        return ""


def replicas_ack_of(url: Any) -> int:
    """Return how many replicas are to confirm a change, as the URL that holds says. 0: none, as for a client that was
    given.
    """
    if not isinstance(url, (str, type(None))) or chosen(url).startswith(("local:", "memory:")):
        return 0
    return int(parse(chosen(url)).options.get(REPLICAS_ACK, 0))


def is_in_process(url: str | None) -> bool:
    """Whether the URL that holds is `memory:`, which no other process sees."""
    return chosen(url).startswith("memory:")


def is_single(url: Any) -> bool:
    """Whether this URL leads to one server with as many connections as we like; a client of the caller's does not."""
    if not isinstance(url, (str, type(None))) or is_in_process(url):
        return False
    scheme, _, rest = chosen(url).partition(":")
    return scheme in ("local", "unix", "redis", "rediss") and "max_connections=" not in rest


def embedded_directory(url: str) -> str | None:
    """The directory that a `local:` URL names: `local:///srv/state` → /srv/state; `local:` → None."""
    rest = url.partition(":")[2]
    if not rest:
        return None
    if not rest.startswith("///"):
        raise ConfigurationError("The embedded Redis is `local:` or `local:///absolute/directory`.")
    return unquote(rest[2:])


def parse(url: str) -> RedisURL:
    """Take a URL apart. Raises ConfigurationError, which shows none of its secrets."""
    found = _match(url)
    if found is None:
        raise unusable(url)
    parts = found.groupdict()
    options = _options(url, parts["query"] or "")
    login, _, password = (parts["login"] or "").partition(":")
    username = unquote(login) or options.pop("username", None)
    secret = unquote(password) or options.pop("password", None)
    if secret is None and username is not None:
        secret = ""  # a user without a password logs in all the same
    db = options.pop("db", None)
    return RedisURL(
        scheme=url.partition(":")[0],
        hosts=tuple(_address(url, each) for each in parts.get("hosts", "").split(",")),
        unix_path=unquote(parts["path"]) if "path" in parts else None,
        service=parts.get("service", ""),
        db=int(parts.get("db") or 0) if db is None else db,
        username=username,
        password=secret,
        options=options,
    )


def describe(url: str | None) -> str:
    """The URL that holds, for logs and messages: login and query left out, and all that can't be told from them."""
    url = chosen(url)
    scheme = url.partition(":")[0]
    if scheme in ("local", "memory"):
        return url if re.fullmatch(r"[\w:./\-]*", url) else f"{scheme}:***"
    if scheme not in _PATTERNS:
        return "(a URL that can't be used)"
    found = _match(url)
    if found is None:
        return f"{scheme}://***"
    return f"{scheme}://{'' if found['login'] is None else '***@'}{found['place']}"


def without_login(url: str | None) -> str:
    """The URL that holds, as it may be told to other machines: without login, and of its query the database and how
    many replicas are to confirm a change.

    Raises ConfigurationError, which shows no secret.
    """
    url = chosen(url)
    if url.startswith(("local:", "memory:")):
        return url
    found = _match(url)
    if found is None:
        raise unusable(url)
    plain, db, count = f"{url.partition(':')[0]}://{found['place']}", parse(url).db, replicas_ack_of(url)
    query = [f"db={db}"] if parse(plain).db != db else []
    query += [f"{REPLICAS_ACK}={count}"] if count else []
    return f"{plain}?{'&'.join(query)}" if query else plain


def unusable(url: str, why: str = "") -> ConfigurationError:
    """The error for a URL that can't be used: it says what to write instead, and shows no secret."""
    hint = (
        why
        or _scheme_hint(url)
        or f"Known forms: {FORMS}; in a user or password, write / ? # @ : and % as %2F %3F %23 %40 %3A %25"
    )
    return ConfigurationError(f"The Redis URL {describe(url)} can't be used. {hint}.")


def _scheme_hint(url: str) -> str:
    """What is wrong with the beginning, where that is wrong. Shows only what can hold no secret."""
    if re.match(r"(http|https|http\+unix)://", url):
        return "It leads to a server, not to Redis: give it with --scheduler-url or --url, or to RemoteScheduler(…)"
    if "://" not in url and not url.startswith(("local:", "memory:")):
        plain = re.fullmatch(rf"{_HOST}(?::\d{{1,5}})?(?:/\d*)?", url, re.A)
        return f"It has no scheme; write {f'redis://{url}' if plain else 'redis://HOST:PORT'}. Known forms: {FORMS}"
    return ""


def tls_context(url: str, options: Mapping[str, Any]) -> ssl.SSLContext:
    """What the ssl_… options ask for. Raises ConfigurationError for files that can't be used."""
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path"))
        context.check_hostname = options.get("ssl_check_hostname", True)
        context.verify_mode = VERIFY_MODES[options.get("ssl_cert_reqs", "required")]
        if "ssl_certfile" in options:
            context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password"))
        if "ssl_ciphers" in options:
            context.set_ciphers(options["ssl_ciphers"])
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise unusable(
            url, f"Its ssl_… options don't work: {error}; BSCHED_REDIS_CA, _CERT and _KEY are such, too"
        ) from None
    return context


def _match(url: str) -> re.Match[str] | None:
    pattern = _PATTERNS.get(url.partition(":")[0])
    return pattern.fullmatch(url) if pattern else None


def _address(url: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if re.search(r":\d+$", text) and not text.endswith("]") else (text, "", "")
    number = int(port or DEFAULT_PORT)
    if not 0 < number < 65536:
        raise unusable(url, "A port is a number from 1 to 65535")
    return host.strip("[]") or "localhost", number


def _truth(text: str) -> bool:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]


def _verify_mode(text: str) -> str:
    if text not in VERIFY_MODES:
        raise ValueError
    return text


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise ValueError
    return value


def _count(text: str) -> int:
    if not 0 < int(text) < 100:
        raise ValueError
    return int(text)


VERIFY_MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
OPTIONS: dict[str, Callable[[str], Any]] = {
    "username": str,
    "password": str,
    "sentinel_username": str,
    "sentinel_password": str,
    "db": int,
    "client_name": str,
    "max_connections": int,
    REPLICAS_ACK: _count,
    "socket_timeout": _positive,  # seconds
    "socket_connect_timeout": _positive,  # seconds
    "ssl_ca_certs": str,
    "ssl_ca_path": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_password": str,
    "ssl_ciphers": str,
    "ssl_cert_reqs": _verify_mode,
    "ssl_check_hostname": _truth,
}


def _options(url: str, query: str) -> dict[str, Any]:
    """The query's options with their types. A message names only options that we know: others may be secrets."""
    scheme = url.partition(":")[0]
    foreign = [name for name in OPTIONS if _belongs_elsewhere(name, scheme)]
    found: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in OPTIONS or name in foreign:
            raise unusable(
                url, f"It may have these options: {', '.join(each for each in OPTIONS if each not in foreign)}"
            )
        try:
            found[name] = OPTIONS[name](text)
        except (ValueError, KeyError):
            raise unusable(url, f"Its option {name} has a value that can't be read") from None
    if scheme == "rediss":
        found = {**_from_environment(found), **found}
    if found.get("ssl_cert_reqs") == "none":
        found["ssl_check_hostname"] = False  # there is no name to check
    return found


def _from_environment(given: Mapping[str, Any]) -> dict[str, str]:
    """The files for TLS that the environment names, where the URL does not."""
    names = {}
    if not given.keys() & {"ssl_ca_certs", "ssl_ca_path"}:
        names["ssl_ca_certs"] = "BSCHED_REDIS_CA"
    if "ssl_certfile" not in given:
        names.update(ssl_certfile="BSCHED_REDIS_CERT", ssl_keyfile="BSCHED_REDIS_KEY")
    found = {option: os.environ[name] for option, name in names.items() if os.environ.get(name)}
    if "ssl_keyfile" in found and "ssl_certfile" not in found:
        raise ConfigurationError("BSCHED_REDIS_KEY is set, and BSCHED_REDIS_CERT, the certificate to it, is not.")
    return found


def _belongs_elsewhere(name: str, scheme: str) -> bool:
    if name.startswith("sentinel_"):
        return scheme != "redis+sentinel"
    return (name.startswith("ssl_") and scheme != "rediss") or (name == "db" and scheme == "redis+cluster")
