"""The scheduler's options: Luigi's names, kept in Redis so that all front ends agree.

Source: luigi.scheduler.scheduler (the configuration class), 3.8.1: names, defaults, meaning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from broker_sched.errors import ConfigurationError


@dataclass(frozen=True)
class SchedulerConfig:
    """The options of a namespace. The names are Luigi's, as `luigi.cfg` has them; times are seconds."""

    retry_delay: float = 900.0  # FAILED goes back to PENDING after this; negative: never
    remove_delay: float = 600.0  # a task without stakeholders is removed after this
    worker_disconnect_delay: float = 60.0  # a worker silent for longer is dead
    disable_window: int = 3600  # failures older than this don't count
    retry_count: int = 999999999  # so many failures within the window disable a task
    disable_hard_timeout: int = 999999999  # any failure this long after the first disables
    disable_persist: int = 86400  # how long a task stays disabled
    max_shown_tasks: int = 100000  # task_list answers only a count above this
    max_graph_nodes: int = 100000  # a graph stops growing at this
    prune_on_get_work: bool = False  # prune inside every get_work
    pause_enabled: bool = True  # pause and unpause have an effect
    send_messages: bool = True  # messages to running tasks are accepted
    stable_done_cooldown_secs: int = 10  # PENDING reported so soon after DONE is ignored
    batch_emails: bool = False  # servers collect failures, and mail them together
    record_task_history: bool = False  # Luigi's; no history is kept, so true is refused


TRUE_WORDS = frozenset(("1", "true", "yes", "on"))
FALSE_WORDS = frozenset(("0", "false", "no", "off"))
MAY_BE_NEGATIVE = frozenset(("retry_delay",))
# Luigi's options that would do nothing here: any other value than the default is refused, with what to do instead.
WITHOUT_EFFECT = {
    "record_task_history": "no task history is kept; the stream `events` has the latest changes of tasks' statuses",
}
OPTIONS = {field.name: field for field in fields(SchedulerConfig)}


def parse_option(name: str, value: object) -> float | int | bool:
    """Turn one option, from a program or from text, into its type.

    Raises ConfigurationError naming the option when it is unknown, has the wrong type or is out of range.
    """
    if name not in OPTIONS:
        raise ConfigurationError(f"There is no option {name!r}. Known: {', '.join(sorted(OPTIONS))}.")
    found = _of_its_type(name, value)
    if found < 0 and name not in MAY_BE_NEGATIVE:
        raise ConfigurationError(f"Option {name} is 0 or more, not {value!r}.")
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
    default = OPTIONS[name].default
    if isinstance(default, bool):
        return _parse_bool(name, value)
    return _parse_number(name, value, whole=isinstance(default, int))


def _parse_bool(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ConfigurationError(f"Option {name} is true or false, not {value!r}.")


def _parse_number(name: str, value: object, whole: bool) -> float | int:
    wanted = "a whole number" if whole else "a number of seconds"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ConfigurationError(f"Option {name} is {wanted}, not {value!r}.")
    try:
        number = float(value)
    except ValueError:
        raise ConfigurationError(f"Option {name} is {wanted}, not {value!r}.") from None
    if not math.isfinite(number) or (whole and number != int(number)):
        raise ConfigurationError(f"Option {name} is {wanted}, not {value!r}.")
    return int(number) if whole else number
