"""A pair one can talk to: every call goes to both sides and must be answered alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.parity.pair import ADVANCE, Pair, Step


class Conversation:
    """`talk.get_work(worker="w")` asks both sides, fails the test if they differ, and returns the reference's reply."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._differed = False

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda **arguments: self._send((method, arguments))

    def add(self, task_id: str, worker: str = "w", **arguments: Any) -> None:
        """add_task with a family, as any client sends one."""
        self.add_task(task_id=task_id, worker=worker, **{"family": "F", "params": {"id": task_id}, **arguments})

    def work(self, worker: str = "w", **arguments: Any) -> str | None:
        """The id of the task handed out."""
        return self.get_work(worker=worker, **arguments)["task_id"]  # type: ignore[no-any-return]

    def task(self, task_id: str) -> dict[str, Any] | None:
        """How task_list shows the task (task_list prunes), or None."""
        return self.task_list(limit=False).get(task_id)  # type: ignore[no-any-return]

    def status(self, task_id: str) -> str | None:
        """The task's status after a prune, or None."""
        task = self.task(task_id)
        return task and task["status"]

    def fail(self, task_id: str, worker: str = "w", **arguments: Any) -> None:
        """Report a failure."""
        self.add(task_id, worker, status="FAILED", **arguments)

    def advance(self, seconds: float) -> None:
        """Let time pass on both sides."""
        self._send((ADVANCE, seconds))

    def settle(self) -> None:
        """Compare all that the replies so far have not shown; after a difference there is nothing more to learn."""
        if self._differed:
            return
        for step in (("task_list", {"limit": False}), ("graph", {}), ("worker_list", {}), ("resource_list", {})):
            self._send(step)
        problem = self._pair.check_subject()
        if problem:
            pytest.fail(f"our state is inconsistent:\n{problem.text}")

    def _send(self, step: Step) -> Any:
        reply, difference = self._pair.run(step)
        if difference:
            self._differed = True
            pytest.fail(f"step {difference.index}, {difference.step}, is answered differently:\n{difference.text}")
        assert not self._pair.ended, f"the reference refuses {step}"
        return reply
