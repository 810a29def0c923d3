"""Everything a namespace holds, read into memory page by page: what the self-check works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

# A set, a sorted set (member → score), a hash or a list, as Python has them.
Content: TypeAlias = "set[str] | dict[str, float] | dict[str, str] | list[str] | str | None"
Reader: TypeAlias = Callable[[list[tuple[Any, ...]]], list[Any]]

PAGE = 1000  # keys read in one round trip
LARGE = 1000  # entries: a larger set, sorted set or hash is read by parts, so that nobody else waits for long
READS: dict[str, tuple[Any, ...]] = {
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    "hash": ("HGETALL",),
    "list": ("LRANGE", 0, -1),
    "string": ("GET",),
    "stream": ("XLEN",),
}
SIZES = {"set": "SCARD", "zset": "ZCARD", "hash": "HLEN"}
SCANS = {"set": "SSCAN", "zset": "ZSCAN", "hash": "HSCAN"}


@dataclass
class Snapshot:
    """The content of all keys of a namespace at about one moment, by name without the namespace's prefix."""

    content: dict[str, Any] = field(default_factory=dict)

    def named(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Yield (the rest of the name, content) of all keys `<kind>:<rest>`."""
        start = kind + ":"
        for name, content in self.content.items():
            if name.startswith(start):
                yield name[len(start) :], content

    def hash(self, name: str) -> dict[str, str]:
        """Return the content of a hash; {} when it is absent."""
        found = self.content.get(name)
        return found if isinstance(found, dict) else {}

    def members(self, name: str) -> set[str]:
        """Return the members of a set or sorted set; empty when it is absent."""
        return set(self.content.get(name) or ())


def take(prefix: str, names: Iterator[str], read: Reader) -> Snapshot:
    """Read all keys of the namespace.

    names: their full names, as SCAN gives them. read: carries out commands that only read.
    """
    snapshot = Snapshot()
    while page := list(dict.fromkeys(islice(names, PAGE))):
        types = read([("TYPE", name) for name in page])
        kinds = {name: str(kind) for name, kind in zip(page, types) if str(kind) in READS}
        for name, content in _read_all(kinds, read):
            snapshot.content[name.removeprefix(prefix)] = content
    return snapshot


def _read_all(kinds: dict[str, str], read: Reader) -> Iterator[tuple[str, Any]]:
    """Yield what these keys, by name and type, hold; those left out that have gone since their type was read."""
    sized = [name for name, kind in kinds.items() if kind in SIZES]
    sizes = dict(zip(sized, read([(SIZES[kinds[name]], name) for name in sized])))
    small = [name for name in kinds if sizes.get(name, 0) <= LARGE]
    replies = read([(READS[kinds[name]][0], name, *READS[kinds[name]][1:]) for name in small])
    for name, reply in zip(small, replies):
        if reply or (reply is not None and kinds[name] in ("string", "stream")):
            yield name, _decode(kinds[name], reply)
    for name in [name for name in sized if sizes[name] > LARGE]:
        if content := _scan(name, kinds[name], read):
            yield name, content


def _scan(name: str, kind: str, read: Reader) -> Any:
    """Read a large set, sorted set or hash part by part. What came or went meanwhile may be in it or not."""
    found: Any = set() if kind == "set" else {}
    cursor = "0"
    while True:
        [(cursor, part)] = read([(SCANS[kind], name, cursor, "COUNT", LARGE)])
        found.update(_decode(kind, part))
        if str(cursor) == "0":
            return found


def _decode(kind: str, reply: Any) -> Any:
    if kind == "set":
        return set(reply)
    if kind == "zset":
        if reply and isinstance(reply[0], (list, tuple)):
            return {member: float(score) for member, score in reply}
        return {member: float(score) for member, score in zip(reply[::2], reply[1::2])}
    if kind == "hash":
        return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))
    return reply
