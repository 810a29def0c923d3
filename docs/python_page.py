"""What docs/python.md and docs/options.md say, from docstrings, signatures and comments, for docs/generate.py."""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import broker_sched
from broker_sched.config import SchedulerConfig
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.errors import BrokerSchedError
from broker_sched.worker.config import WorkerConfig

ELSEWHERE = {  # public, and not in broker_sched itself: an engine needs a package of its own
    "JobExecutor": "broker_sched.worker.executors.job_executor",
    "RqEngine": "broker_sched.worker.executors.rq.engine",
    "DaskEngine": "broker_sched.worker.executors.dask.engine",
}
ERRORS_ELSEWHERE = ("broker_sched.tasks.protocol", "broker_sched.tasks.loading")  # raised, and seldom caught by name
SECTIONS = {
    "Tasks": ("Task", "ExternalTask", "WrapperTask", "DynamicRequirements"),
    "Parameters": ("Parameter", "Visibility", "Batch"),
    "Targets": ("LocalTarget", "FSSpecTarget"),
    "Events": ("Event",),
    "Workers": ("Worker", "submit"),
    "Mails": ("MailSettings", "EmailSettings", "SmtpSettings", "SendgridSettings"),
    "Executors": ("JobExecutor", "RqEngine", "DaskEngine"),
    "Schedulers": ("Scheduler", "RemoteScheduler"),
}
ARGUMENTS = re.compile(r"(?:^|(?<=[.;:] ))(?:\w+, )*\w+: ")  # `name: `, where a sentence begins
UNITS = {"float": "seconds", "int": "whole number", "bool": "true or false", "str": "text", "tuple[str, ...]": "texts"}


def python(note: str) -> str:
    """Make docs/python.md: every public class and function, and every error."""
    listed = {name for names in SECTIONS.values() for name in names}
    public = {name: getattr(broker_sched, name) for name in broker_sched.__all__}
    errors = {name: thing for name, thing in public.items() if _is_error(thing)}
    if missing := sorted(set(public) - listed - set(errors)):
        raise SystemExit(f"docs/python_page.py: say in SECTIONS where {', '.join(missing)} belong.")
    parts = [
        "# In Python\n",
        note,
        "What `import broker_sched` offers. Names and behaviour are Luigi's wherever Luigi has the same.",
        "The options of a worker and of a scheduler: [options.md](options.md).\n",
    ]
    for section, names in SECTIONS.items():
        parts.append(f"## {section}\n")
        for name in names:
            thing = public[name] if name in public else getattr(import_module(ELSEWHERE[name]), name)
            parts += _entry(name, thing)
    return "\n".join([*parts, *_errors(errors)])


def options(note: str) -> str:
    """Make docs/options.md: every option of a worker, and of a scheduler."""
    return "\n".join(
        [
            "# Options\n",
            note,
            "## A worker's\n",
            "Given as `Worker(scheduler, keep_alive=True, …)` and `submit(…, keep_alive=True)`;",
            "as `--set keep_alive=true` or `BSCHED_WORKER_KEEP_ALIVE=true` to `bsched run`, `submit` and `worker`;",
            "and by the section `[worker]` of luigi.cfg or luigi.toml. The command line goes before the environment,",
            "and that before the file. A number of seconds may also be a `timedelta`, or a text such as `1 h 30 m`.\n",
            *_table(WorkerConfig),
            "\n## A scheduler's\n",
            "Given as `Scheduler(retry_delay=60, …)`, as `--set retry_delay=60` or `BSCHED_RETRY_DELAY=60` to",
            "`bsched server`, and as `bsched config set retry_delay=60` at any time. They are kept in Redis, so all",
            "servers and direct workers of a namespace agree. A resource's limit: `--set resources.db=2`.\n",
            "A server, and `bsched run --local-scheduler`, take `[scheduler]` and `[resources]` of luigi.cfg, too;",
            "command line and environment go before it: [all of luigi.cfg](migrating-from-luigi.md#luigicfg).\n",
            *_table(SchedulerConfig),
            "",
        ]
    )


def _table(config: type) -> list[str]:
    rows = []
    for name, (kind, default, comment) in _fields(config).items():
        if not comment:
            raise SystemExit(f"docs/python_page.py: {config.__name__}.{name} has no comment to say what it is.")
        rows.append(f"| `{name}` | {_described(config, name) or _unit(name, kind)} | {_shown(default)} | {comment} |")
    return ["| option | | default | |", "| --- | --- | --- | --- |", *rows]


def _described(config: type, name: str) -> str:
    """What the option's type says about itself, where it has a description: "number of seconds, 0 or more"."""
    kind = typing.get_type_hints(config, include_extras=True)[name]
    told = [mark.description for mark in getattr(kind, "__metadata__", ()) if getattr(mark, "description", None)]
    return told[0].removeprefix("a ") if told else ""


def _unit(name: str, kind: str) -> str:
    """`wait_interval: float` is a number of seconds, as are the options that Luigi names so and keeps whole."""
    bare = kind.removesuffix(" | None")
    if bare == "int" and re.search(r"(_secs|_window|_timeout|_persist|_delay)$", name):
        return "seconds"
    return UNITS[bare]


def _fields(cls: type) -> dict[str, tuple[str, Any, str]]:
    """Annotated names of a class body: annotation, default, and what its type or the comment behind it says of it."""
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for part in body.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) and part.value is not None:
            _, _, comment = lines[(part.end_lineno or 1) - 1][part.end_col_offset or 0 :].partition("# ")
            kind = typing.get_type_hints(cls, include_extras=True)[part.target.id]
            texts = [mark for mark in getattr(kind, "__metadata__", ()) if isinstance(mark, str)]
            told = texts[0] if texts else comment.strip()
            found[part.target.id] = (ast.unparse(part.annotation), getattr(cls, part.target.id), told)
    return found


def _entry(name: str, thing: Any) -> Iterator[str]:
    where = f"from {ELSEWHERE[name]} import {name}" if name in ELSEWHERE else f"from broker_sched import {name}"
    is_plain = not inspect.isclass(thing) or issubclass(thing, (enum.Enum, tuple)) or name == "Event"
    call = name if is_plain and inspect.isclass(thing) else f"{name}{_signature(thing)}"
    yield f"### {name}\n"
    yield f"```python\n{where}\n```\n" if name in ELSEWHERE else f"`{call}`\n"
    yield _prose(thing)
    if name == "Task":
        yield from _settings(thing)
    elif name == "Event":
        rows = [f"| `Event.{each}` | {comment} |" for each, (_, _, comment) in _fields(thing).items()]
        yield "\n".join(["| event | a handler gets |", "| --- | --- |", *rows, ""])
    elif inspect.isclass(thing) and issubclass(thing, enum.Enum):
        for each in thing:
            comment = re.search(rf"^\s+{each.name} = .*?# (.*)$", inspect.getsource(thing), re.M)
            yield f"- `{name}.{each.name}`: {comment[1] if comment else each.value}"
        yield ""
        return
    if inspect.isclass(thing):
        yield from _members(name, thing)
    if "Scheduler" in name:
        yield "And the methods of [the API](api.md).\n"


def _settings(task: Any) -> Iterator[str]:
    fields = _fields(task)
    rows = [f"| `{name}` | {_shown(fields[name][1])} | {fields[name][2]} |" for name in fields if name in task.SETTINGS]
    yield "\n".join(["| setting | default | |", "| --- | --- | --- |", *rows, ""])


def _members(name: str, cls: Any) -> Iterator[str]:
    """Yield a line for each method and property of its own, and for those of bases that have no entry themselves."""
    listed = {public for names in SECTIONS.values() for public in names} - {name}
    told = {part for base in cls.__mro__ if base.__name__ in listed for part in base.__mro__}
    seen = set(METHODS) if "Scheduler" in name else set()  # those are in docs/api.md
    for part in cls.__mro__:
        is_ours = part.__module__.startswith("broker_sched") and part not in told
        for member, value in vars(part).items() if is_ours else ():
            function = getattr(value, "__func__", getattr(value, "fget", getattr(value, "func", value)))
            if member.startswith("_") or member in seen or not inspect.isfunction(function):
                continue
            seen.add(member)
            if not function.__doc__:
                raise SystemExit(f"docs/python_page.py: {part.__name__}.{member} has no docstring.")
            is_property = function is not value and not hasattr(value, "__func__")
            yield f"- `{member if is_property else member + _signature(function)}`: {_sentence(function)}"
    yield ""


def _signature(thing: Any) -> str:
    """(name, name=default, **more), without self and without types."""
    shown = []
    for position, parameter in enumerate(inspect.signature(thing).parameters.values()):
        if position == 0 and parameter.name in ("self", "cls"):
            continue
        mark = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = "" if parameter.default is parameter.empty else f"={_value(parameter.default)}"
        shown.append(f"{mark}{parameter.name}{default}")
    return f"({', '.join(shown)})"


def _value(value: Any) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else repr(value)


def _shown(value: Any) -> str:
    return "" if value in ("", None, ()) else f"`{_value(value)}`"


def _prose(thing: Any) -> str:
    """Return the docstring, with its arguments as a list."""
    known = {"config", *(inspect.signature(thing).parameters if callable(thing) else ())}
    parts = []
    for part in (inspect.getdoc(thing) or "").split("\n\n"):
        text = " ".join(line.strip() for line in part.splitlines())
        text, _, _ = text.partition(" Source: ")
        if part.startswith(" ") or not ARGUMENTS.match(text) or not _names(text) <= known:
            parts.append(part)  # an example, or ordinary text
            continue
        starts = [found.start() for found in ARGUMENTS.finditer(text) if _names(text[found.start() :]) <= known]
        parts.append("\n".join(_item(text[start:end]) for start, end in zip(starts, [*starts[1:], len(text)])))
    return "\n\n".join(parts) + "\n"


def _names(text: str) -> set[str]:
    """Return the names of the arguments that a text begins with: `attempts, wait_seconds: how often …`."""
    return set(text.partition(":")[0].split(", "))


def _item(text: str) -> str:
    names, _, rest = text.partition(": ")
    return f"- {', '.join(f'`{name}`' for name in names.split(', '))}: {rest.strip()}"


def _sentence(function: Any) -> str:
    """Return the whole docstring on one line."""
    return " ".join((inspect.getdoc(function) or "").split())


def _is_error(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, Exception)


def _errors(public: dict[str, Any]) -> Iterator[str]:
    yield "## Errors\n"
    yield "Each derives from the one to its left.\n"
    for module in ERRORS_ELSEWHERE:
        import_module(module)
    yield from _tree(BrokerSchedError, 0, public)
    yield ""


def _tree(error: Any, depth: int, public: dict[str, Any]) -> Iterator[str]:
    """The error and those below it, as far as they are public."""
    is_public = error.__name__ in public
    if is_public or error.__module__ in ERRORS_ELSEWHERE:
        first, _, _ = (inspect.getdoc(error) or "").partition("\n\n")
        where = "" if is_public else f" (`{error.__module__}`)"
        yield f"{'  ' * depth}- `{error.__name__}`{where}: {' '.join(first.split())}"
        depth += 1
    for below in sorted(error.__subclasses__(), key=lambda each: each.__name__):
        yield from _tree(below, depth, public)
