"""A namespace of an earlier schema as a text file, and back into a Redis of any kind.

A line for each key, sorted: [its name without the namespace's prefix, its type, its content, seconds it has to live].
Content is a list for a set or a list, an object for a hash or a sorted set, a text, or [[id, {field: value}], …] for a
stream. The files in schema-<n>/ were written by the code of that schema (make.py), and are never written anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from broker_sched.redis_backend.encoding import to_bytes

DUMPS = Path(__file__).parent
NOW = 1_800_000_000.0  # about what the clock of the dumped schedulers showed: see make.py


def dumps_of(schema: str) -> list[Path]:
    """The files of that schema."""
    return sorted((DUMPS / f"schema-{schema}").glob("*.jsonl"))


def lines_of(client: Any, prefix: str) -> Iterator[str]:
    """What the client's Redis holds of a namespace, a line for each key."""
    for name in sorted(client.scan_iter(match=f"{prefix}*", count=1000)):
        key = to_bytes(name)
        kind = client.type(key)
        seconds = client.ttl(key)
        yield json.dumps(
            [name.removeprefix(prefix), kind, content_of(client, key, kind), seconds if seconds >= 0 else None],
            ensure_ascii=True,
            separators=(",", ":"),
        )


def content_of(client: Any, key: bytes, kind: str) -> Any:
    """The key's content, as it stands in a line."""
    if kind == "hash":
        return dict(sorted(client.hgetall(key).items()))
    if kind == "set":
        return sorted(client.smembers(key))
    if kind == "zset":
        return dict(client.zrange(key, 0, -1, withscores=True))
    if kind == "list":
        return client.lrange(key, 0, -1)
    return client.xrange(key) if kind == "stream" else client.get(key)


def load(client: Any, prefix: str, dump: Path) -> None:
    """Write the dump into a namespace where nothing is."""
    for line in dump.read_text().splitlines():
        name, kind, content, seconds = json.loads(line)
        key = to_bytes(prefix + name)
        for command in commands_for(key, kind, content):
            client.execute_command(*(to_bytes(each) if isinstance(each, str) else each for each in command))
        if seconds is not None:
            client.expire(key, max(1, seconds))


def commands_for(key: bytes, kind: str, content: Any) -> Iterator[tuple[Any, ...]]:
    """The commands that make a key with this content."""
    if kind == "hash":
        yield "HSET", key, *(each for pair in content.items() for each in pair)
    elif kind == "set":
        yield "SADD", key, *content
    elif kind == "zset":
        yield "ZADD", key, *(each for member, score in content.items() for each in (repr(score), member))
    elif kind == "list":
        yield "RPUSH", key, *content
    elif kind == "stream":
        yield from (
            ("XADD", key, entry, *(each for pair in fields.items() for each in pair)) for entry, fields in content
        )
    else:
        yield "SET", key, content
