"""The scheduler's options: Luigi's names, kept in Redis so that all servers agree.

Source: luigi.scheduler.scheduler (the configuration class), 3.8.1: names, defaults, meaning.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from broker_sched.errors import ConfigurationError
from broker_sched.truth_words import truth_of

_LARGEST = sys.float_info.max  # as a bound it keeps infinity and NaN out

Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=_LARGEST, description="a number of seconds, 0 or more")]
RetrySeconds: TypeAlias = Annotated[
    float, Meta(ge=-_LARGEST, le=_LARGEST, description="a number of seconds (negative: never)")
]
WholeSeconds: TypeAlias = Annotated[int, Meta(ge=0, description="a whole number of seconds, 0 or more")]
Count: TypeAlias = Annotated[int, Meta(ge=0, description="a whole number, 0 or more")]
YesNo: TypeAlias = Annotated[bool, Meta(description="true or false")]


@dataclass(frozen=True)
class SchedulerConfig:
    """The options of a namespace. The names are Luigi's, as `luigi.cfg` has them. msgspec checks their types."""

    retry_delay: RetrySeconds = 900.0  # FAILED goes back to PENDING after this
    remove_delay: Seconds = 600.0  # a task without stakeholders is removed after this
    worker_disconnect_delay: Seconds = 60.0  # a worker silent for longer is dead
    disable_window: WholeSeconds = 3600  # failures older than this don't count
    retry_count: Count = 999999999  # so many failures within the window disable a task
    disable_hard_timeout: WholeSeconds = 999999999  # any failure this long after the first disables
    disable_persist: WholeSeconds = 86400  # how long a task stays disabled
    max_shown_tasks: Count = 100000  # task_list answers only a count above this
    max_graph_nodes: Count = 100000  # a graph stops growing at this
    prune_on_get_work: YesNo = False  # prune inside every get_work
    pause_enabled: YesNo = True  # pause and unpause have an effect
    send_messages: YesNo = True  # messages to running tasks are accepted
    stable_done_cooldown_secs: WholeSeconds = 10  # PENDING reported so soon after DONE is ignored
    batch_emails: YesNo = False  # servers collect failures, and mail them together
    audit_max_records: Count = 20000  # so many of the last changes that people asked for are kept in the audit
    audit_max_age: WholeSeconds = 7776000  # and none that is older
    record_task_history: YesNo = False  # Luigi's; no history is kept, so true is refused


# Luigi's options that would do nothing here: any other value than the default is refused, with what to do instead.
WITHOUT_EFFECT = {
    "record_task_history": "no task history is kept; the stream `events` has the latest changes of tasks' statuses",
}
OPTIONS = {field.name: field for field in fields(SchedulerConfig)}
TYPES: dict[str, Any] = typing.get_type_hints(SchedulerConfig, include_extras=True)


def parse_option(name: str, value: object) -> float | int | bool:
    """Turn one option, from a program or from text, into its type.

    Raises ConfigurationError naming the option when it is unknown, has the wrong type or is out of range.
    """
    if name not in OPTIONS:
        raise ConfigurationError(f"There is no option {name!r}. Known: {', '.join(sorted(OPTIONS))}.")
    found = _of_its_type(name, value)
    if name in WITHOUT_EFFECT and found != OPTIONS[name].default:
        raise ConfigurationError(f"Option {name} can't be {value!r}: {WITHOUT_EFFECT[name]}.")
    return found


def parse_options(options: Mapping[str, object]) -> dict[str, float | int | bool]:
    """Parse every option of a mapping; see parse_option."""
    return {name: parse_option(name, value) for name, value in options.items()}


def to_text(value: float | int | bool) -> str:
    """How an option is written in Redis: true and false as 1 and 0, numbers as in JSON."""
    return str(int(value)) if isinstance(value, bool) else repr(value)


def from_hash(stored: Mapping[str, str]) -> SchedulerConfig:
    """Read the options from the namespace's `config` hash; what is absent has its default."""
    known: dict[str, Any] = {
        name: _of_its_type(name, text)
        for name, text in stored.items()
        if name in OPTIONS and name not in WITHOUT_EFFECT  # an earlier version stored any value
    }
    return SchedulerConfig(**known)


def _of_its_type(name: str, value: object) -> float | int | bool:
    kind = TYPES[name]
    try:
        found: float | int | bool = msgspec.convert(_read(value, kind.__origin__), kind)
    except (msgspec.ValidationError, ValueError):
        raise ConfigurationError(f"Option {name} is {kind.__metadata__[0].description}, not {value!r}.") from None
    return found


def _read(value: object, kind: type) -> object:
    """A text, or a whole number written as 3.0, as what it stands for. Raises ValueError."""
    if kind is bool and not isinstance(value, bool):
        return truth_of(str(value))
    if isinstance(value, str):
        value = float(value)
    return int(value) if kind is int and isinstance(value, float) and value.is_integer() else value
