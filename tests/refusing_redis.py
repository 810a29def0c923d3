"""Ways to make a running Redis refuse, by the word with which it then answers. Each returns how to end that."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import redis

from tests.servers import until


def readonly(client: Any) -> Callable[[], Any]:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    return lambda: client.execute_command("REPLICAOF", "NO", "ONE")


def oom(client: Any) -> Callable[[], Any]:
    client.config_set("maxmemory", 1)
    return lambda: client.config_set("maxmemory", 0)


def noreplicas(client: Any) -> Callable[[], Any]:
    client.config_set("min-replicas-to-write", 1)
    return lambda: client.config_set("min-replicas-to-write", 0)


def misconf(client: Any) -> Callable[[], Any]:
    """Saving is on and has failed: the file's name is that of a directory."""
    os.mkdir(os.path.join(client.config_get("dir")["dir"], "dump.rdb"))
    client.config_set("save", "3600 1000000")
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "saving has failed")
    return lambda: client.config_set("stop-writes-on-bgsave-error", "no")


def noperm(client: Any) -> Callable[[], Any]:
    """Of every user: a server of the tests may log in as its own."""

    def each_user(*rules: str) -> None:
        for name in client.acl_users():
            client.execute_command("ACL", "SETUSER", name, *rules)

    each_user("-evalsha", "-set", "-blpop", "-hgetall")
    return lambda: each_user("+evalsha", "+set", "+blpop", "+hgetall")


def busy(client: Any) -> Callable[[], Any]:
    """A script that does not end."""
    client.config_set("lua-time-limit", 1)
    connection = client.connection_pool.get_connection()
    connection.send_command("EVAL", "while true do end", 0)

    def is_busy() -> bool:
        try:
            client.ping()
        except redis.ResponseError as error:
            return "BUSY" in str(error)
        return False

    until(is_busy, "the script runs")
    return lambda: (client.script_kill(), connection.disconnect())


REFUSING = {
    "READONLY": readonly,
    "OOM": oom,
    "NOREPLICAS": noreplicas,
    "MISCONF": misconf,
    "NOPERM": noperm,
    "BUSY": busy,
}
