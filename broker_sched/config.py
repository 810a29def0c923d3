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
    """The options of a namespace. The names are Luigi's, as `luigi.cfg` has them. msgspec checks their types.

    The text behind each type says what the option does.
    """

    retry_delay: Annotated[RetrySeconds, "a FAILED task goes back to PENDING after this"] = 900.0
    remove_delay: Annotated[Seconds, "a task without stakeholders is removed after this"] = 600.0
    worker_disconnect_delay: Annotated[Seconds, "a worker silent for longer is dead"] = 60.0
    disable_window: Annotated[WholeSeconds, "failures older than this don't count"] = 3600
    retry_count: Annotated[Count, "so many failures within the window disable a task"] = 999999999
    disable_hard_timeout: Annotated[WholeSeconds, "a failure this long after the first one disables"] = 999999999
    disable_persist: Annotated[WholeSeconds, "how long a task stays disabled"] = 86400
    max_shown_tasks: Annotated[Count, "task_list answers only a count above this"] = 100000
    max_graph_nodes: Annotated[Count, "a graph stops growing at this"] = 100000
    prune_on_get_work: Annotated[YesNo, "every get_work does what is due by time, too"] = False
    pause_enabled: Annotated[YesNo, "pause and unpause have an effect"] = True
    send_messages: Annotated[YesNo, "messages to running tasks are accepted"] = True
    stable_done_cooldown_secs: Annotated[WholeSeconds, "PENDING reported so soon after DONE is ignored"] = 10
    batch_emails: Annotated[YesNo, "servers collect failures, and mail them together"] = False
    audit_max_records: Annotated[Count, "so many records of the audit are kept, the last ones"] = 20000
    audit_max_age: Annotated[WholeSeconds, "records of the audit that are older than this are dropped"] = 7776000
    record_task_history: Annotated[YesNo, "Luigi's; no history is kept, so true is refused"] = False


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


def described(name: str) -> tuple[str, str]:
    """Return what an option does, and which values it takes, each as a phrase."""
    what_it_takes, meaning = TYPES[name].__metadata__
    return meaning, what_it_takes.description


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
