"""Who asked for which change: how a call becomes a record in the stream `audit`.

What is asked for is noted before the first script of the call, and becomes a record after the last one, each by a
script of its own: see lua/lib/audit/records.lua and docs/decisions/0021-audit.md.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple, TypeVar

from broker_sched.contract.registry import Method
from broker_sched.contract.roles import METHOD_RIGHTS
from broker_sched.contract.validation import to_json
from broker_sched.errors import BrokerSchedError
from broker_sched.redis_backend.commands import Call, Command, Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.this_user import user_at_host

T = TypeVar("T")
AUDITED = frozenset(name for name, right in METHOD_RIGHTS.items() if right.is_audited)
MAX_TEXT = 200  # characters of a text among the arguments
MAX_ITEMS = 20  # of a list or an object
MAX_ARGUMENTS = 4000  # characters of all arguments as JSON
MAX_DEPTH = 6
HIDDEN = "***"
# Of these the content is nobody's business but the task's.
PRIVATE = {"send_scheduler_message": ("content",)}
_SECRET_NAME = re.compile(r"passw|secret|token|credential|authorization|api_?key|private|cookie", re.IGNORECASE)
_SECRETS = (
    re.compile(r"(?<=://)[^/\s@]*@"),  # a login in a URL
    re.compile(r"\bbst_[\w\-]+"),  # a token of ours
    re.compile(r"(?i)(?<=\bbearer )\S+|(?<=\bbasic )[\w+/=]{8,}"),
    re.compile(r"(?i)(?<=password=)[^\s&,;]+|(?<=secret=)[^\s&,;]+|(?<=token=)[^\s&,;]+"),
)


class Asker(NamedTuple):
    """Who asks for a change. kind: redis for who reaches Redis straight, else a caller's, such as user or token.

    name: a user's or a token's, or user@host. address: whence the request comes; '' where that says nothing.
    """

    name: str
    kind: str
    address: str = ""


# How many tasks a call has changed, by its reply. Of a method that is not here, that is told by its scripts, or 0.
_BY_REPLY: Mapping[str, Callable[[Any], int | None]] = {
    "add_submission": lambda reply: None,
    "cancel_submission": lambda reply: None,
    "prune": lambda reply: None,
    "change_tasks": lambda reply: len(reply["changed"]),
    "forget_worker": lambda reply: int(reply["tasks"]),
    "pause_family": lambda reply: int(reply["tasks"]) if reply["changed"] else 0,
    "stop_task": lambda reply: int(reply["worker"] is not None),
    "unpause_family": lambda reply: int(reply["tasks"]) if reply["changed"] else 0,
}
# Likewise by the reply of a script.
_BY_SCRIPT: Mapping[str, Callable[[Any], int]] = {"change_status": lambda reply: int(reply[3])}


def is_audited(method: Method, arguments: Mapping[str, Any]) -> bool:
    """Return whether a call leaves a record: it is a person's, and changes something."""
    return method.name in AUDITED and not arguments.get("dry_run")


def audited(
    namespace: Namespace, asker: Asker, method: str, arguments: Mapping[str, Any], commands: Commands[T]
) -> Commands[T]:
    """Carry out these commands between the two scripts that make a record of them, and return their result.

    method, arguments: what was asked for, as the record shows it. Raises what the commands raise; of an error that
    was found before anything was changed, the record says that it was refused.
    """
    call_id = yield from begin(asker, method, arguments)
    counted: list[int] = []
    try:
        result = yield from _counting(commands, counted)
    except BrokerSchedError as error:
        yield from end_refused(call_id, error)
        raise
    by_reply = _BY_REPLY.get(method)
    yield from end(call_id, sum(counted) if by_reply is None else by_reply(result))
    return result


def begin(asker: Asker, method: str, arguments: Mapping[str, Any]) -> Commands[str]:
    """Note what is asked for, before anything is changed. Returns by what `end` and `end_refused` find the note."""
    note = to_json("note", note_of(asker, method, arguments))
    noted = yield Call("begin_audit", once=True, id=uuid.uuid4().hex, note=note)
    return str(noted)  # that of the first attempt, when this is another one


def end(call_id: str, tasks: int | None) -> Commands[None]:
    """Make the record of a call that was noted. tasks: how many it has changed; None where nobody knows."""
    yield Call("end_audit", once=True, id=call_id, tasks="" if tasks is None else str(tasks), result="done", why="")


def end_refused(call_id: str, error: BaseException) -> Commands[None]:
    """Make the record of a call that was noted, and has changed nothing, since this error was found before."""
    why = redacted(str(error))[:MAX_TEXT]
    yield Call("end_audit", once=True, id=call_id, tasks="0", result="refused", why=why)


def note_of(asker: Asker, method: str, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a record that are known before the end of a call."""
    return {
        "who": asker.name[:MAX_TEXT],
        "kind": asker.kind,
        "address": asker.address[:MAX_TEXT],
        "method": method,
        "arguments": shown(method, arguments),
    }


def asker_here() -> Asker:
    """Return who asks for what this process does straight in Redis: its user."""
    return Asker(user_at_host(), "redis")


def audited_here(namespace: Namespace, name: str, arguments: Mapping[str, Any], commands: Commands[T]) -> Commands[T]:
    """Carry out, likewise, what this process's user does straight in Redis, and return its result.

    name: what the record has for a method, which it need not be. Raises what the commands raise.
    """
    return (yield from audited(namespace, asker_here(), name, arguments, commands))


def nothing() -> Commands[None]:
    """The commands of what is done already, and is to be recorded."""
    yield from ()


def shown(method: str, arguments: Mapping[str, Any]) -> str:
    """Return the arguments of a call as JSON, as a record has them: without secrets, and cut where they are long."""
    private = PRIVATE.get(method, ())
    cut = {
        name: HIDDEN if name in private else _cut(name, value, 0)
        for name, value in arguments.items()
        if value is not None
    }
    text = to_json("arguments", cut)
    if len(text) <= MAX_ARGUMENTS:
        return text
    return to_json(
        "arguments", {name: "…" if isinstance(value, (list, dict)) else value for name, value in cut.items()}
    )


def _cut(name: str, value: Any, depth: int) -> Any:
    if _SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, str):
        text = redacted(value)
        return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"
    if depth == MAX_DEPTH and isinstance(value, (Mapping, list, tuple)):
        return "…"
    if isinstance(value, Mapping):
        some = {redacted(str(each))[:MAX_TEXT]: inner for each, inner in list(value.items())[:MAX_ITEMS]}
        found: dict[str, Any] = {each: _cut(each, inner, depth + 1) for each, inner in some.items()}
        return found if len(value) <= MAX_ITEMS else {**found, "…": f"{len(value)} in all"}
    if isinstance(value, (list, tuple)):
        items = [_cut("", each, depth + 1) for each in value[:MAX_ITEMS]]
        return items if len(value) <= MAX_ITEMS else [*items, f"… ({len(value)} in all)"]
    return value


def redacted(text: str) -> str:
    """Return the text with HIDDEN in place of what looks like a secret."""
    for secret in _SECRETS:
        text = secret.sub(HIDDEN, text)
    return text


def _counting(commands: Commands[T], counted: list[int]) -> Generator[Command, Any, T]:
    """Carry out the commands, and note how many tasks their scripts say they have changed."""
    reply: Any = None
    while True:
        try:
            command = commands.send(reply)
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]  # StopIteration carries Any
        reply = yield command
        if isinstance(command, Call) and command.script in _BY_SCRIPT:
            counted.append(_BY_SCRIPT[command.script](reply))
