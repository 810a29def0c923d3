"""From a URL to a client: one Redis, Sentinel, Cluster, the embedded server, or memory.

| URL | what |
| --- | --- |
| redis://[user:password@]host[:port][/db], rediss://… | one server, with TLS for rediss |
| unix://[user:password@]/path/to.sock[?db=n] | one server on a unix socket |
| redis+sentinel://[user:password@]host:port[,host:port…]/service[/db] | the primary that Sentinel names; |
|   ?sentinel_username=…&sentinel_password=… | log in to the Sentinels too |
| redis+cluster://[user:password@]host:port[,host:port…] | a Cluster; a namespace lives in one slot of it |
| local:, local:///directory | a private server of this user, started when first used (embedded.py) |
| memory:, memory:NAME | inside this process, gone with it |

Nothing here retries: a call that redis-py repeats behind our back would run twice. Whoever calls repeats, with the
same request id. Nothing here shows a password: what is logged or raised goes through `describe`.
"""

from __future__ import annotations

import os
import ssl
import threading
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import fakeredis
import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from broker_sched.errors import ConfigurationError
from broker_sched.scheduler import embedded

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 30.0
FORMS = (
    "redis://, rediss://, unix://, redis+sentinel://host:port,…/service, redis+cluster://host:port,…, local:, memory:"
)
_memories: dict[str, fakeredis.FakeServer] = {}
_memories_lock = threading.Lock()


class Endpoint(NamedTuple):
    """Where the primary is right now, and how to log in."""

    host: str
    port: int
    unix_path: str | None = None  # instead of host and port
    username: str | None = None
    password: str | None = None
    db: int = 0
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        """Without the login."""
        return f"Endpoint({self.unix_path or f'{self.host}:{self.port}'}, db={self.db})"


class _Several(NamedTuple):
    """A URL with several hosts, taken apart."""

    hosts: list[tuple[str, int]]
    login: dict[str, str]
    path: list[str]
    query: dict[str, str]


def chosen(url: str | None) -> str:
    """The URL given, else BSCHED_REDIS, else `local:`."""
    return url or os.environ.get("BSCHED_REDIS") or "local:"


def is_in_process(url: str | None) -> bool:
    """Whether this is memory:, or local: on a machine without any Redis server."""
    url = chosen(url)
    return url.startswith("memory:") or (url.startswith("local:") and embedded.find_server() is None)


def connect(url: str | redis.Redis | RedisCluster | None) -> Any:
    """A blocking client whose replies are text. Any: Redis and RedisCluster share no type.

    Raises ConfigurationError for a URL that can't be used. Whether Redis answers is found out at the first command.
    """
    if not isinstance(url, (str, type(None))):
        return _decoding(url)
    url = chosen(url)
    if is_in_process(url):
        return _memory(url)
    scheme = url.partition(":")[0]
    if scheme == "local":
        url = embedded.start(_directory(url))
        scheme = "unix"
    if scheme in ("redis", "rediss", "unix"):
        _check_single(url)
        return redis.Redis.from_url(url, **_settings(scheme))
    if scheme == "redis+sentinel":
        sentinel, service, settings = _sentinel(url)
        return sentinel.master_for(service, **settings)
    if scheme == "redis+cluster":
        several = _take_apart(url)
        nodes = [ClusterNode(host, port) for host, port in several.hosts]
        settings = {**_settings(scheme), **several.login}
        return RedisCluster(startup_nodes=nodes, **settings)
    raise _unusable(url)


def resolve(url: str | None, prefix: str) -> Endpoint:
    """Where the primary for the keys of this prefix is now. Blocks while Sentinel or the Cluster is asked.

    Not for what is_in_process. Raises redis.RedisError when nobody answers, ConfigurationError for a bad URL.
    """
    url = chosen(url)
    scheme = url.partition(":")[0]
    if scheme == "local":
        url = embedded.start(_directory(url))
        scheme = "unix"
    if scheme in ("redis", "rediss", "unix"):
        return _single(url)
    if scheme == "redis+sentinel":
        sentinel, service, settings = _sentinel(url)
        host, port = sentinel.discover_master(service)
        return Endpoint(host, port, None, settings.get("username"), settings.get("password"), settings["db"])
    if scheme == "redis+cluster":
        login = _take_apart(url).login
        cluster = connect(url)
        try:
            node = cluster.get_node_from_key(f"{prefix}config")
        finally:
            cluster.close()
        return Endpoint(node.host, node.port, None, login.get("username"), login.get("password"))
    raise _unusable(url)


def describe(url: str | None) -> str:
    """The URL for logs and messages: login and query left out."""
    url = chosen(url)
    scheme, _, rest = url.partition("://")
    if not rest:
        return url if url.partition(":")[0] in ("local", "memory") else "(a URL that can't be used)"
    rest = rest.partition("?")[0]
    return f"{scheme}://***@{rest.rpartition('@')[2]}" if "@" in rest else f"{scheme}://{rest}"


def _settings(scheme: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "decode_responses": True,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": REPLY_SECONDS,
        "health_check_interval": 0,
    }
    if scheme != "unix":
        settings["socket_connect_timeout"] = CONNECT_SECONDS
        settings["socket_keepalive"] = True
    return settings


def _decoding(client: Any) -> Any:
    """The client itself when its replies are text, else one like it whose replies are."""
    if isinstance(client, RedisCluster):
        if not client.get_encoder().decode_responses:
            raise ConfigurationError("Make the RedisCluster with decode_responses=True, or give its URL.")
        return client
    if not isinstance(client, redis.Redis):
        raise ConfigurationError(f"Redis is a URL or a redis-py client, not {type(client).__name__}.")
    if client.get_encoder().decode_responses:
        return client
    pool = client.connection_pool
    settings = {**pool.connection_kwargs, "decode_responses": True}
    return redis.Redis(connection_pool=redis.ConnectionPool(connection_class=pool.connection_class, **settings))


def _memory(url: str) -> Any:
    if url.startswith("local:"):
        embedded.warn_that_nothing_is_kept()
    name = url.partition(":")[2]
    with _memories_lock:
        server = _memories.setdefault(name, fakeredis.FakeServer())
    return fakeredis.FakeRedis(server=server, decode_responses=True)


def _directory(url: str) -> str | None:
    """`local:///srv/state` → /srv/state; `local:` → None."""
    rest = url.partition(":")[2]
    if not rest:
        return None
    if not rest.startswith("///"):
        raise ConfigurationError("The embedded Redis is `local:` or `local:///absolute/directory`.")
    return unquote(rest[2:])


def _unusable(url: str) -> ConfigurationError:
    return ConfigurationError(f"The Redis URL {describe(url)} can't be used. Known forms: {FORMS}.")


def _check_single(url: str) -> dict[str, Any]:
    try:
        return dict(parse_url(url))
    except ValueError:  # its text may hold parts of the URL, so of the password
        raise _unusable(url) from None


def _single(url: str) -> Endpoint:
    parts = _check_single(url)
    tls = None
    if url.startswith("rediss:"):
        tls = ssl.create_default_context(cafile=parts.get("ssl_ca_certs"))
        if parts.get("ssl_cert_reqs") in ("none", ssl.CERT_NONE):
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        if parts.get("ssl_check_hostname") in ("false", "False", False):
            tls.check_hostname = False
        if parts.get("ssl_certfile"):
            tls.load_cert_chain(parts["ssl_certfile"], parts.get("ssl_keyfile"))
    return Endpoint(
        parts.get("host", "localhost"),
        parts.get("port", 6379),
        parts.get("path"),
        parts.get("username"),
        parts.get("password"),
        parts.get("db", 0),
        tls,
    )


def _sentinel(url: str) -> tuple[Sentinel, str, dict[str, Any]]:
    """The Sentinels, the service's name, and the settings for its primary."""
    several = _take_apart(url)
    if len(several.path) not in (1, 2) or (len(several.path) == 2 and not several.path[1].isdigit()):
        raise _unusable(url)
    settings = _settings("redis")
    settings.update(several.login, db=int(several.path[1]) if len(several.path) == 2 else 0)
    names = {"sentinel_username": "username", "sentinel_password": "password"}
    login = {names[name]: value for name, value in several.query.items() if name in names}
    asking = {"socket_timeout": CONNECT_SECONDS, "socket_connect_timeout": CONNECT_SECONDS, **login}
    sentinel = Sentinel(several.hosts, sentinel_kwargs=asking)
    return sentinel, several.path[0], settings


def _take_apart(url: str) -> _Several:
    try:
        parts = urlsplit(url)
        user, _, hosts = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        addresses = []
        for each in hosts.split(","):
            host, _, port = each.rpartition(":")
            addresses.append((host.strip("[]"), int(port)))
    except ValueError:
        raise _unusable(url) from None
    if not all(host for host, _ in addresses):
        raise _unusable(url)
    login = {"username": unquote(name), "password": unquote(password)}
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return _Several(
        addresses,
        {key: value for key, value in login.items() if value},
        [unquote(each) for each in parts.path.split("/") if each],
        query,
    )
