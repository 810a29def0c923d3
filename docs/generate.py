"""Writes docs/api.md, commands.md, keys.md and others from the code. `python docs/generate.py [--check]`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import commands_page
import metrics_page
import python_page
from msgspec import Meta

from broker_sched.contract import (
    audit_replies,
    graph_replies,
    resource_replies,
    submission_replies,
    timeline_replies,
    types,
    view_replies,
)
from broker_sched.contract.roles import METHOD_RIGHTS, OTHER_PATHS, PAGE_FILES, PUBLIC_PATHS, Role
from broker_sched.contract.scheduler_api import METHODS, Method
from broker_sched.contract.states import TRANSITIONS, UPSTREAM_OF_STATUS, UPSTREAM_SEVERITY
from broker_sched.contract.visibility import least_of
from broker_sched.contract.why_replies import WHY_CODES
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler.keys import KEYS

DOCS = Path(__file__).parent
REPLIES = (view_replies, resource_replies, submission_replies, graph_replies, timeline_replies, audit_replies)
SHAPES = {name: shape for module in REPLIES for name, shape in vars(module).items()}  # that are shown in full
NOTE = "<!-- Made by docs/generate.py from the code: change that. -->\n"


def api() -> str:
    """Make docs/api.md: every method with its arguments and its reply."""
    parts = [
        "# API\n",
        NOTE,
        "`POST /api/<method>` with the form field `data=<JSON object of arguments>`, or a JSON body, or",
        '`GET /api/<method>?data=<JSON>`. The answer is `200` and `{"response": <reply>}`. A wrong argument is `400`',
        'and `{"error": {"type", "message", "field"}}`, and nothing was changed; an unknown method `404`; Redis out of',
        "reach `503` with `Retry-After`. `broker_sched.Scheduler` has the same methods, with the same arguments.\n",
        "`GET /openapi.json` of a server is the same for programs, as OpenAPI 3.1: it makes clients in other languages, and",
        "tells the roles that may call a method (`x-roles`).\n",
        "The header `Bsched-Request-Id: <caller>:<number>` names a call: one that could do harm twice, and is sent again",
        "with the same id within 15 minutes, gets its first answer. A caller (letters, digits, `.`, `_`, `-`) has one call",
        "under way at a time, each with a higher number; after a lost reply it goes on under a new name. `!` behind the id",
        "says that this call was sent before. A lower number than one that was answered is `400`: it is a late copy, and",
        "nothing is changed; so is the same number without `!`, where the task that was handed out or moved does not run",
        "there any more. `RemoteScheduler` does all that; luigid ignores the header.\n",
    ]
    parts += ["## Types\n", _types()]
    parts += [_method(method) for method in METHODS.values()]
    parts += ["## Replies of methods that look\n", _shapes()]
    return "\n".join(parts)


def keys() -> str:
    """Make docs/keys.md: every key in Redis, from the table in scheduler/keys.py."""
    rows = [f"| `{key.pattern}` | {key.type} | {_cell(key.content)} | {key.lifetime} | {key.check} |" for key in KEYS]
    return "\n".join(
        [
            "# Keys in Redis\n",
            NOTE,
            f"Schema version {SCHEMA_VERSION}. Every key starts `bsched:{{<namespace>}}:`; the braces keep a namespace in",
            "one slot of a Redis Cluster. `<n>` is a task's number (`ids` tells whose), `<w>` a worker's (`worker_ids`),",
            "`<runner_set>` and `<stakeholder_set>` are numbers of interned sets of workers: those who can run a task, and those with a",
            "stake in it. `<needs>` is the JSON text of a task's resources, empty for none. A rank is the number under",
            "which a task was created, ten digits (`<number>:<n>` when its id was known before).\n",
            "Only the Lua scripts write them. Look at a task: `HGETALL 'bsched:{default}:task:<task_id>'`.\n",
            "`bsched verify` recomputes the keys that say so from the tasks, keeps the others as facts, and reports those of which",
            "there is none while all is well.\n",
            "| key | type | content | lifetime | verify |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def roles() -> str:
    """Make docs/roles.md: who may call which method, from the table in contract/roles.py."""
    head = [
        "| method | " + " | ".join(role.value for role in Role) + " | audited |",
        "| --- |" + " --- |" * (len(Role) + 1),
    ]
    rows = []
    for name in METHODS:
        right = METHOD_RIGHTS[name]
        marks = ["yes" if role in right.roles else "" for role in Role]
        least = least_of(name) if Role.VIEWER in right.roles else ""
        rows.append(f"| `{name}` | " + " | ".join([*marks, least, "yes" if right.is_audited else ""]) + " |")
    return "\n".join(
        [
            "# Who may call what\n",
            NOTE,
            "What a role is, and how somebody gets one: [security](security.md). Audited: a call leaves a record, and a refused one,",
            "too. A viewer needs: how much `--viewer-sees` must show for the method to serve one.\n",
            *head,
            *rows,
            "",
            f"Without a login: {', '.join(f'`{path}`' for path in sorted(PUBLIC_PATHS))}. Every other path that is no method's may be asked for",
            f"in any role: {', '.join(f'`{path}`' for path in OTHER_PATHS)}, and what is below `{PAGE_FILES}`.",
            "",
        ]
    )


def states() -> str:
    """Make docs/states.md: every change of status that can happen, and why; and the reasons that why() tells."""
    rows = [f"| {each.old.value} | {each.new.value} | {each.reason} |" for each in TRANSITIONS]
    upstream = [f"| {status.value} | {UPSTREAM_OF_STATUS[status]} |" for status in UPSTREAM_OF_STATUS]
    return "\n".join(
        [
            "# Statuses\n",
            NOTE,
            "| from | to | because |",
            "| --- | --- | --- |",
            *rows,
            "\nA task that the scheduler disabled refuses everything but DONE until `disable_persist` has passed or",
            "`re_enable_task` is called; one that people disabled does so until they lift it. While a task runs, only its runner changes its status, or a report with new deps.\n",
            "## Upstream status\n",
            "Of a PENDING task: the worst among its deps that are not DONE, through PENDING ones. Mildest first: "
            + ", ".join(f"`{name or '(none)'}`" for name in UPSTREAM_SEVERITY)
            + ".\n",
            "| a dep's status | makes it |",
            "| --- | --- |",
            *upstream,
            "\n## Why a task does not run\n",
            "The method `why` answers with one of these codes. There are no others.\n",
            "| code | of the task | ends when |",
            "| --- | --- | --- |",
            *(f"| `{code}` | {what} | {end} |" for code, (what, end) in WHY_CODES.items()),
            "",
        ]
    )


def _method(method: Method) -> str:
    rows = [f"| `{p.name}` | {_type(p.annotation)} | {_default(p)} |" for p in method.parameters]
    table = ["| argument | type | default |", "| --- | --- | --- |", *rows, ""] if rows else []
    extra = " Further arguments are accepted and ignored." if method.takes_any else ""
    if not method.in_luigi:
        extra = " Not in Luigi."
    if method.collects:
        extra = f" Takes an {_type(method.collects.annotation)}."
    return "\n".join([f"## {method.name}\n", method.doc, "", *table, f"Reply: {_type(method.returns)}.{extra}\n"])


def _default(parameter: inspect.Parameter) -> str:
    return "required" if parameter.default is parameter.empty else f"`{parameter.default!r}`"


def _types() -> str:
    """What the types are that have a name of their own."""
    named = [each for each in vars(types).values() if hasattr(each, "__metadata__") and _title(each)]
    rows = [f"| {_title(each)} | {_type(each, by_name=False)} |" for each in named]
    return "\n".join(["| type | what it is |", "| --- | --- |", *rows, ""])


def _shapes() -> str:
    """What the replies are that have a name of their own, and what each of their entries is."""
    shapes = [each for each in SHAPES.values() if is_typeddict(each)]
    return "\n".join(f"### {each.__name__}\n\n{inspect.getdoc(each)}\n\n{_entries(each)}\n" for each in shapes)


def _entries(shape: Any) -> str:
    hints = get_type_hints(shape, include_extras=True)
    return "\n".join(f"- `{name}`: {_type(annotation)}" for name, annotation in hints.items())


def _title(annotation: Any) -> str:
    return next((mark.title for mark in annotation.__metadata__ if mark.title), "")


def _type(annotation: Any, by_name: bool = True) -> str:
    """A type in words, with what msgspec checks of it, such as "list of up to 1,000 task ids or null"."""
    if annotation is None or annotation is type(None):
        return "null"
    if annotation is Any:
        return "any JSON"
    if hasattr(annotation, "__metadata__"):
        if by_name and _title(annotation):
            return _title(annotation)
        described = [mark.description for mark in annotation.__metadata__ if mark.description]
        return described[0] if described else _constrained(annotation.__origin__, annotation.__metadata__[0])
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType) and Any in arguments:
        return "any JSON"  # Python 3.10 makes Optional[Any] of what has None as its default
    if origin in (list, Sequence):
        return f"list of {_plural(arguments[0])}"
    if origin in (dict, Mapping):
        return f"object ({'name' if arguments[0] is str else _type(arguments[0])} → {_type(arguments[1])})"
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin is tuple:
        return "pair"
    if arguments:
        return " or ".join(dict.fromkeys(_type(each) for each in arguments))
    if SHAPES.get(getattr(annotation, "__name__", "")) is annotation:
        return str(annotation.__name__)
    if hasattr(annotation, "__annotations__") and issubclass(annotation, dict):
        return "{" + ", ".join(annotation.__annotations__) + "}"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, str(annotation))


def _plural(annotation: Any) -> str:
    shown = _type(annotation)
    return f"{shown}s" if re.fullmatch(r"text|pair|[a-z]+ id", shown) else re.sub("^object", "objects", shown)


def _constrained(kind: Any, mark: Meta) -> str:
    """A type with its lengths and bounds."""
    if mark.max_length is not None:
        few = f"{mark.min_length} to {mark.max_length:,}" if mark.min_length else f"up to {mark.max_length:,}"
        return f"text of {few} characters" if kind is str else f"list of {few} {_plural(get_args(kind)[0])}"
    until = "" if mark.le is None else f" to {_power(mark.le)}"
    return f"{_type(kind)} from {mark.ge}{until}"


def _power(number: float) -> str:
    return "2^53" if number == 2**53 else f"{number:,}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES = {
    "api.md": api,
    "keys.md": keys,
    "roles.md": roles,
    "states.md": states,
    "python.md": lambda: python_page.python(NOTE),
    "commands.md": lambda: commands_page.commands(NOTE),
    "metrics.md": lambda: metrics_page.metrics(NOTE),
    "options.md": lambda: python_page.options(NOTE),
}


def main() -> int:
    """Write the pages, or with --check say which are out of date."""
    stale = [name for name, page in PAGES.items() if not _is_current(DOCS / name, page())]
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/{name} is out of date: run python docs/generate.py")
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
