"""What this worker can't load: given back at once, with the reason, so that others run it.

The scheduler does not offer the like to this worker for a while, longer each time, so that a host on which nothing can
be loaded does not spend its days, and the scheduler's, with handing tasks back.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from broker_sched.errors import UnknownMethod
from broker_sched.worker.retrying_scheduler import RetryingScheduler
from broker_sched.worker.task_registration import attempt_argument
from broker_sched.worker.text_limits import shortened

log = logging.getLogger("bsched.worker")

MAX_REASON = 2000  # characters of it that the scheduler is told
# For how long, at first and at the longest (s).
MODULE_SECONDS = (30.0, 300.0)
FAMILY_SECONDS = (1.0, 60.0)
ASIDE_SECONDS, MAX_ASIDE = 0.1, 4  # at first, doubled each time; less than the scheduler defers such a task


class Label(NamedTuple):
    """What is refused: a family of tasks of a module, or with family None the whole module."""

    module: str
    family: str | None

    def __str__(self) -> str:
        if self.family is None:
            return f"the module {self.module or '(none)'}"
        return f"the family {self.family}" + (f" of {self.module}" if self.module else "")


class Refusals:
    """Gives back to the scheduler what this worker can't load, and remembers how often it did since it could load it
    last."""

    def __init__(self, scheduler: RetryingScheduler, worker_id: str) -> None:
        self._scheduler = scheduler
        self._worker_id = worker_id
        self._counts: dict[Label, int] = {}
        self._warned: set[Label] = set()  # each is logged as a warning once
        self._aside: Counter[str] = Counter()  # by task id
        self._can_refuse = True

    def note_loaded(self, module: str, family: str) -> None:
        """Note that a task of this module and family could be loaded, so that its refusals begin anew."""
        self._counts.pop(Label(module, None), None)
        self._counts.pop(Label(module, family), None)
        self._warned.discard(Label(module, None))

    def refuse_tasks(
        self, task_ids: Sequence[str], label: Label, reason: str, is_known: bool, attempt: int | None
    ) -> bool:
        """Give tasks back. Returns False when this scheduler (a stock luigid) has no way to do that.

        is_known: other tasks of the family are known here, which shall not be kept off for long. attempt: the number
        that get_work gave with them.
        """
        scope, (first, longest) = ("module", MODULE_SECONDS) if label.family is None else ("family", FAMILY_SECONDS)
        count = 0 if is_known and label.family is not None else self._counts.get(label, 0)
        seconds = min(longest, first * 2 ** min(count, 20))
        reason = _printable(reason)
        refusal = {"task_ids": list(task_ids), "reason": reason, "scope": scope, "seconds": seconds}
        if not self._send_refusal(**refusal, **attempt_argument(attempt)):
            return False
        self._counts[label] = count + 1
        log.log(
            logging.DEBUG if label in self._warned else logging.WARNING,
            "Gave %s back to the scheduler, with no failure: it can't be loaded here. Others may run it; tasks of %s "
            "are not taken here for %.0f s, and longer if that lasts. %s",
            *(", ".join(task_ids), label, seconds, reason),
        )
        self._warned.add(label)
        return True

    def step_aside(self, task_ids: Sequence[str], label: Label, reason: str, attempt: int | None) -> bool:
        """Give tasks back, and wait a moment: others of the label, which were scheduled here, are held back so long.

        Returns False when these tasks were given back so too often already.
        """
        times = max(self._aside[task_id] for task_id in task_ids)
        if times >= MAX_ASIDE:
            return False
        seconds = ASIDE_SECONDS * 2**times
        reason = _printable(reason)
        refusal = {"task_ids": list(task_ids), "reason": reason, "scope": "family", "seconds": seconds}
        if not self._send_refusal(**refusal, **attempt_argument(attempt)):
            return False
        self._aside.update(task_ids)
        log.warning("Gave %s back to the scheduler, with no failure: %s", ", ".join(task_ids), reason)
        time.sleep(seconds)
        return True

    def _send_refusal(self, **refusal: Any) -> bool:
        if not self._can_refuse:
            return False
        try:
            self._scheduler.call("refuse_tasks", worker=self._worker_id, **refusal)
        except (UnknownMethod, AttributeError):
            self._can_refuse = False
            log.warning(
                "This scheduler does not know refuse_tasks, as a stock luigid: what can't be loaded here fails for "
                "everybody. Let only workers that can load its tasks work for it."
            )
            return False
        return True


def _printable(reason: str) -> str:
    """Return the reason in a form that any wire and any log can carry."""
    return shortened(reason, MAX_REASON).encode("utf-8", "backslashreplace").decode()
