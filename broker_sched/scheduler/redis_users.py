"""What users of Redis need: for each use of a namespace the commands, the keys, and the rule that grants them.

| use | who logs in so |
| --- | --- |
| server | `bsched server` |
| worker | `bsched worker`, `run` and `submit`, a program's own `Scheduler`, operators' commands, straight to Redis |
| read-only | whoever only looks, straight to Redis: `bsched status`, `top`, `task list`, `task why`, `events`, … |
| admin | besides that, what is done to a namespace as a whole: verify, migrate, export, import, delete |
| rq | stock rq workers, and a supervisor's connection to RQ's Redis (`bsched worker --executor rq --rq-redis …`) |

Redis checks each command of a script as if the user had sent it. So what a script calls is granted by name, too, and a
user who may only read can run any script, which then reads. The lists are held by tests/dialects/test_redis_users.py:
what scripts and operations send, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

from broker_sched.redis_backend.namespace import prefix_of
from broker_sched.scheduler.keys import KEYS

Use: TypeAlias = Literal["server", "worker", "read-only", "admin"]
USES: tuple[Use, ...] = get_args(Use)
RQ = "rq"  # no use of a namespace's keys, but of RQ's
PASSWORD = "PASSWORD"  # stands where a password is to be put

# Nothing of it changes what stands in Redis. A script must be loaded before it is run: Redis keeps it until it ends.
_LOOKING = """
    client|setinfo evalsha exists get hexists hget hgetall hkeys hlen hmget info llen lrange role scard
    script|load select sinter sismember smembers srandmember sscan time xlen xrange xrevrange zcard zcount zmscore
    zrange zrangebyscore zrank zrevrangebyscore zscan zscore
"""
_CHANGING = """
    del expire hdel hincrby hset hsetnx hvals incr lindex lpop lpush ltrim persist rename rpush sadd set
    smove spop srem sunionstore xadd xdel xtrim zadd zrem zremrangebyscore
"""
_OF_USE: dict[Use, str] = {
    "server": f"{_LOOKING} {_CHANGING} blpop client|setname decrby pexpire wait xread",
    "worker": f"{_LOOKING} {_CHANGING} blpop wait",
    "read-only": f"{_LOOKING} type",
    "admin": f"{_LOOKING} {_CHANGING} blpop hscan scan type unlink wait zincrby",
}
# What RQ 3 sends, its scripts included, and what a supervisor does (worker/executors/rq/engine.py).
_OF_RQ = """
    blmove blpop client|info client|setinfo client|setname del evalsha exec exists expire get hdel hexists hget hgetall
    hincrby hincrbyfloat hmget hset info llen lmove lpop lpos lpush lrange lrem ltrim multi persist psubscribe
    pubsub|numsub punsubscribe rpush sadd scard script|exists script|load select set smembers srem subscribe time
    unsubscribe unwatch watch xadd xread xrevrange zadd zcard zcount zrange zrangebyscore zrem zremrangebyscore zscore
"""
_COMMANDS = {use: tuple(sorted(names.split())) for use, names in _OF_USE.items()}
# Who lacks all of these may only look; who lacks some has been given too little.
_TELLING = frozenset({"DEL", "EXPIRE", "HDEL", "LPOP", "RENAME", "SREM", "ZREM"})
# In a Cluster redis-py asks which node has what.
OF_CLUSTER = ("asking", "cluster", "command", "readonly")


def commands_of(use: Use) -> tuple[str, ...]:
    """Return what this use sends, sorted, each as an ACL rule names it: `hget`, `script|load`."""
    return _COMMANDS[use]


def patterns_of(use: Use, namespace: str) -> list[str]:
    """Return the patterns of the keys that this use needs in a namespace.

    Whoever works for a server or as an admin needs all. Others must not reach the keys that say who may log in, or they
    could let in themselves: Redis knows no exceptions, so their patterns are of all other beginnings of names. Raises
    ConfigurationError for a name that no namespace can have.
    """
    prefix = prefix_of(namespace)
    guarded = {_first_word(key.pattern) for key in KEYS if key.is_for_servers}
    if use in ("server", "admin") or not guarded:
        return [f"{prefix}*"]
    others = {_first_word(key.pattern) for key in KEYS} - guarded
    return [f"{prefix}{rest}" for rest in _others_than(guarded, others)]


def user_name(use: Use, namespace: str) -> str:
    """Return what the user of Redis for this use of a namespace is called, where nobody calls it otherwise."""
    return f"bsched-{namespace}-{use}"


def rule(use: Use, namespace: str, *, password: str = PASSWORD, is_cluster: bool = False) -> str:
    """Return the command that makes the user of Redis for this use: `ACL SETUSER bsched-<namespace>-<use> …`.

    password: what the user logs in with. is_cluster: also grant what is needed to find a Cluster's nodes.
    """
    keys = " ".join(f"~{pattern}" for pattern in patterns_of(use, namespace))
    granted = " ".join(f"+{name}" for name in (*commands_of(use), *(OF_CLUSTER if is_cluster else ())))
    return f"ACL SETUSER {user_name(use, namespace)} reset on >{password} {keys} -@all {granted}"


def rq_commands() -> tuple[str, ...]:
    """Return what is sent to RQ's Redis, sorted."""
    return tuple(sorted(_OF_RQ.split()))


def rq_patterns(namespace: str) -> list[str]:
    """Return the patterns of the keys in RQ's Redis: RQ's own. Raises ConfigurationError for a name that no namespace
    can have.
    """
    prefix_of(namespace)
    return ["rq:*"]


def rq_rule(namespace: str, *, password: str = PASSWORD) -> str:
    """Return the command that makes the user for RQ's Redis: `ACL SETUSER bsched-<namespace>-rq …`."""
    keys = " ".join(f"~{pattern}" for pattern in rq_patterns(namespace))
    granted = " ".join(f"+{name}" for name in rq_commands())
    return (
        f"ACL SETUSER {rq_user_name(namespace)} reset on >{password} {keys} resetchannels &rq:pubsub:* -@all {granted}"
    )


def rq_user_name(namespace: str) -> str:
    """Return what the user for RQ's Redis is called, where nobody calls it otherwise."""
    return f"bsched-{namespace}-{RQ}"


def tried_of(use: Use) -> list[str]:
    """Return what this use sends in scripts, or as a script could, as check_permissions.lua names it."""
    return [name.upper() for name in commands_of(use)]


def may_only_look(missing: Iterable[str]) -> bool:
    """Whether a user of Redis who lacks just these commands, of a worker's, is one who may only look."""
    lacks = set(missing)
    return lacks >= _TELLING and not {name.upper() for name in commands_of("read-only")} & lacks


def _first_word(pattern: str) -> str:
    return pattern.partition(":")[0]


def _others_than(guarded: set[str], others: set[str]) -> list[str]:
    """Return glob patterns for every name but those that begin as a guarded word, cut where no other begins so."""
    stems = {_stem(word, others) for word in guarded}
    patterns = []
    for begin in sorted({stem[:length] for stem in stems for length in range(len(stem))}):
        next_letters = sorted({stem[len(begin)] for stem in stems if stem.startswith(begin) and stem != begin})
        patterns.append(f"{begin}[^{''.join(next_letters)}]*")
    return patterns


def _stem(word: str, others: set[str]) -> str:
    for length in range(1, len(word)):
        if not any(other.startswith(word[:length]) for other in others):
            return word[:length]
    return word
