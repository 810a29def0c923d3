"""From a URL to a redis-py client, and to the address of the primary.

Nothing here retries: a call that redis-py repeats behind our back would run twice. Whoever calls repeats, with the
same request id. Nothing here shows a password: what is logged or raised goes through `urls.describe`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis
import redis.exceptions
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import UnixDomainSocketConnection
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from broker_sched.errors import ConfigurationError, RedisUnavailable
from broker_sched.redis_backend import embedded_server as embedded
from broker_sched.redis_backend.encoding import ERRORS
from broker_sched.redis_backend.urls import (
    Endpoint,
    RedisURL,
    chosen,
    describe,
    embedded_directory,
    is_in_process,
    parse,
    tls_context,
)

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 10.0  # as a server waits, see multiplexed_connection; a URL may say otherwise (socket_timeout)
SENTINEL_SECONDS = 1.0  # for a Sentinel to answer; then the next one is asked


def connect(url: str | redis.Redis | RedisCluster | None) -> Any:
    """A blocking client whose replies are text. Any: Redis and RedisCluster share no type.

    Raises ConfigurationError for a URL that can't be used or a `local:` without any server, RedisUnavailable when no
    node of a Cluster answers or the embedded server does not start. Whether any other Redis answers is found out at
    the first command.
    """
    if not isinstance(url, (str, type(None))):
        return _decoding(url)
    url = chosen(url)
    if is_in_process(url):
        from broker_sched.redis_backend.memory_server import client_of  # slow to import, and seldom wanted

        return client_of(url)
    if url.startswith("local:"):
        return _embedded(url)
    parts = parse(url)
    if parts.scheme == "redis+sentinel":
        settings = {"db": parts.db, **parts.login, **_settings(parts)}
        return _sentinel(parts).master_for(parts.service, **settings)
    if parts.scheme == "redis+cluster":
        try:
            return _cluster(parts)
        except (redis.exceptions.RedisError, redis.exceptions.RedisClusterException) as error:
            raise RedisUnavailable(f"No node of {describe(url)} can be used: {error}") from None
    settings = {"db": parts.db, **parts.login, **_settings(parts)}
    if parts.scheme == "unix":
        return redis.Redis(unix_socket_path=parts.unix_path, **settings)
    if parts.scheme == "rediss":
        tls_context(url, parts.options)  # now, so that a missing file is found out
        settings["ssl"] = True
    host, port = parts.hosts[0]
    return redis.Redis(host=host, port=port, **settings)


def resolve(url: str | None, prefix: str) -> Endpoint:
    """Where the primary for the keys of this prefix is now. Blocks while Sentinel or the Cluster is asked.

    Not for what is_in_process. Raises redis.RedisError when nobody answers, ConfigurationError for a bad URL.
    """
    url = chosen(url)
    if url.startswith("local:"):
        return Endpoint("localhost", 0, unix_path=_socket_path(embedded.start(embedded_directory(url))))
    parts = parse(url)
    host, port = parts.hosts[0]
    if parts.scheme == "redis+sentinel":
        host, port = _sentinel(parts).discover_master(parts.service)
    if parts.scheme == "redis+cluster":
        host, port = _node(parts, prefix)
    tls = tls_context(url, parts.options) if parts.scheme == "rediss" else None
    return Endpoint(host, port, parts.unix_path, parts.username, parts.password, parts.db, tls)


class EmbeddedConnection(UnixDomainSocketConnection):
    """A connection to the embedded server, which starts it again when it is gone."""

    def __init__(self, directory: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)  # type: ignore[no-untyped-call]  # redis-py again
        self._directory = directory

    def _connect(self) -> Any:
        try:
            return super()._connect()  # type: ignore[no-untyped-call]  # redis-py again
        except (FileNotFoundError, ConnectionRefusedError):
            self.path = _socket_path(embedded.start(self._directory))
            return super()._connect()  # type: ignore[no-untyped-call]  # redis-py again


def _embedded(url: str) -> redis.Redis:
    directory = embedded_directory(url)
    settings = {**_settings(None), "path": _socket_path(embedded.start(directory)), "directory": directory}
    return _owning(redis.ConnectionPool(connection_class=EmbeddedConnection, **settings))


def _settings(parts: RedisURL | None) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "decode_responses": True,
        "encoding_errors": ERRORS,
        "protocol": 2,  # the same replies as the server's pipelined connection gets
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": REPLY_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "health_check_interval": 0,
    }
    if parts is not None and parts.scheme != "unix":
        settings["socket_keepalive"] = True
    return settings if parts is None else {**settings, **parts.connection_options}


def _sentinel(parts: RedisURL) -> Any:
    """The Sentinels. Retries would multiply the wait for each that is down. Any: redis-py leaves them untyped."""
    asking = {
        "socket_timeout": SENTINEL_SECONDS,
        "socket_connect_timeout": SENTINEL_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        **parts.sentinel_login,
    }
    return Sentinel(list(parts.hosts), sentinel_kwargs=asking)


def _cluster(parts: RedisURL) -> RedisCluster:
    return RedisCluster(startup_nodes=_nodes(parts.hosts), **parts.login, **_settings(parts))


def _nodes(addresses: Iterable[tuple[str, int]]) -> list[ClusterNode]:
    return [ClusterNode(host, port) for host, port in addresses]


def _node(parts: RedisURL, prefix: str) -> tuple[str, int]:
    """The primary that has the prefix's slot, by what the first node that answers says."""
    try:
        cluster = _cluster(parts)
        try:
            node: Any = cluster.get_node_from_key(f"{prefix}config")
        finally:
            cluster.close()
    except redis.exceptions.RedisClusterException as error:  # which is no RedisError
        raise redis.exceptions.ConnectionError(str(error)) from None
    if node is None:
        raise redis.exceptions.ConnectionError("No node of the Cluster has the namespace's slot.")
    return str(node.host), int(node.port)


def _decoding(client: Any) -> Any:
    """The client itself when its replies are any text (lone surrogates, too), else one like it whose replies are."""
    if not isinstance(client, (redis.Redis, RedisCluster)):
        raise ConfigurationError(f"Redis is a URL or a redis-py client, not {type(client).__name__}.")
    encoder = client.get_encoder()
    if encoder.decode_responses and encoder.encoding_errors != "strict":
        return client
    return _decoding_cluster(client) if isinstance(client, RedisCluster) else _decoding_single(client)


def _decoding_cluster(client: Any) -> RedisCluster:
    settings = {**client.nodes_manager.connection_kwargs, "decode_responses": True, "encoding_errors": ERRORS}
    settings.pop("redis_connect_func", None)  # the old client's: the new one makes its own
    return RedisCluster(
        startup_nodes=_nodes((node.host, node.port) for node in client.get_nodes()), retry=client.retry, **settings
    )


def _decoding_single(client: redis.Redis) -> Any:
    pool: Any = client.connection_pool  # Any: its kinds differ in what redis-py leaves untyped
    settings = {
        **pool.connection_kwargs,
        "decode_responses": True,
        "encoding_errors": ERRORS,
        "connection_class": pool.connection_class,
        "max_connections": pool.max_connections,
    }
    if isinstance(pool, SentinelConnectionPool):
        settings.pop("connection_pool")  # the old pool: the new one puts itself here
        return pool.sentinel_manager.master_for(pool.service_name, **settings)
    if isinstance(pool, redis.BlockingConnectionPool):
        settings["timeout"] = pool.timeout
    kind = redis.BlockingConnectionPool if isinstance(pool, redis.BlockingConnectionPool) else redis.ConnectionPool
    return _owning(kind(**settings))


def _owning(pool: redis.ConnectionPool) -> redis.Redis:
    """A client of this pool, which closes the pool when it is closed itself."""
    client = redis.Redis(connection_pool=pool)
    client.auto_close_connection_pool = True
    return client


def _socket_path(url: str) -> str:
    return url.removeprefix("unix://")
