"""A note of something that went wrong, as the scheduler kept it for the mails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PUBLIC = 0


@dataclass(frozen=True)
class Note:
    """A note that a task failed, and was disabled for it perhaps; or, without a task_id, that it could not be
    scheduled."""

    family: str
    time: float  # s
    task_id: str = ""
    params: Mapping[str, Any] | None = None  # those that anybody may see; None: it is not known which they are
    batched: frozenset[str] = frozenset()  # names of the parameters that a batch has a list of
    error: str = ""  # its end
    owners: tuple[str, ...] = ()
    worker: str = ""
    is_disabled: bool = False

    @property
    def is_scheduling(self) -> bool:
        """Whether the note is about a task that could not be scheduled."""
        return not self.task_id

    @property
    def name(self) -> str:
        """The task's family and public parameters, as mails call it."""
        return _named(self.family, self.params)

    @property
    def name_of_batch(self) -> str:
        """The task's family and public parameters, without those of which a batch has a list."""
        params = self.params
        if params is not None:
            params = {name: value for name, value in params.items() if name not in self.batched}
        return _named(self.family, params)


def note_from(kept: Mapping[str, Any]) -> Note:
    """Make a note of what lua/lib/tasks/mail_notes.lua has written."""
    visibilities = json.loads(kept["visibilities"]) if kept.get("visibilities") else None
    params = json.loads(kept["params"]) if kept.get("params") else None
    if visibilities is None and not kept.get("task_id"):
        params = None  # Luigi's worker sends hidden ones, too, and does not tell which they are
    if isinstance(params, dict):
        params = {name: params[name] for name in sorted(params) if (visibilities or {}).get(name, PUBLIC) == PUBLIC}
    return Note(
        family=kept["family"],
        time=float(kept["time"]),
        task_id=kept.get("task_id", ""),
        params=params if isinstance(params, dict) else None,
        batched=frozenset(json.loads(kept["batched"])) if kept.get("batched") else frozenset(),
        error=kept.get("error", ""),
        owners=tuple(json.loads(kept["owners"])) if kept.get("owners") else (),
        worker=kept.get("worker", ""),
        is_disabled=bool(kept.get("disabled")),
    )


def _named(family: str, params: Mapping[str, Any] | None) -> str:
    if params is None:
        return family or "a task"
    return f"{family}({', '.join(f'{name}={value}' for name, value in params.items())})"
