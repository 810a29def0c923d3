"""What tests of `bsched top` share: a scheduler made of given replies, and the screen without a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pexpect
import pyte
from textual.pilot import Pilot

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.validation import check
from bsched.top.app import TopApp

NOW = 1_000_000.0
PATIENCE_SECONDS = 20.0


def family(name: str, **given: Any) -> dict[str, Any]:
    return {
        **{"family": name, "tasks": {"DONE": 90, "FAILED": 2, "READY": 8}, "total": 100, "paused": False, "runs": 90},
        **{"mean_seconds": 12.0, "p95_seconds": 70.0, "failed_last_hour": 2, "last_error": "ValueError: no"},
        **{"last_failed": NOW - 60, "last_failed_task": f"{name}_1", **given},
    }


def task(task_id: str, **given: Any) -> dict[str, Any]:
    return {
        **{"task_id": task_id, "display_name": f"{task_id}()", "family": task_id.split("_")[0], "status": "FAILED"},
        **{"state": "FAILED", "since": NOW - 90, "updated": NOW - 90, "priority": 0, "params": {}, "resources": {}},
        **{"worker": "w1", "started": NOW - 95, "progress": None, "message": None, "error": "ValueError: no", **given},
    }


def worker(name: str, **given: Any) -> dict[str, Any]:
    return {
        **{"worker": name, "host": "host-1", "version": "0.1.0", "state": "active", "assistant": False},
        **{"last_contact": NOW - 1, "started": NOW - 3600, "slots": 4, "running": 2, "failed_last_hour": 2},
        **{"done_last_hour": 90, "refuses": [], **given},
    }


def event(number: int, task_id: str = "Load_1", before: str = "RUNNING", after: str = "FAILED") -> dict[str, Any]:
    return {
        **{"id": f"{number}-0", "task_id": task_id, "family": "Load", "from": before, "to": after, "worker": "w1"},
        **{"time": NOW - 30 + number, "refused": None},
    }


def overview(**given: Any) -> dict[str, Any]:
    workers = {"active": 2, "disabled": 0, "silent": 1, "submissions": 1, "slots": 8, "slots_in_use": 4}
    pace = {"done_per_second": 1.25, "failed_per_second": 0.0}
    return {
        **{"time": NOW, "namespace": "shop", "tasks": {"READY": 8, "RUNNING": 4, "DONE": 90, "FAILED": 2}, "ready": 8},
        **{"oldest_ready": NOW - 300, "workers": workers, "resources": [{"name": "db", "limit": 4, "used": 3}]},
        **{"paused": False, "paused_families": [], "throughput": {"minute": pace}},
        **{"estimated_end": {"at": NOW + 7200, "reason": None}, **given},
    }


class FakeScheduler:
    """Replies what it is told to: a value, or what a function makes of the arguments. An exception is raised.

    calls: each method that was called, with its arguments, which are checked as the real one checks them. news: events
    that the next look finds.
    """

    def __init__(self, **replies: Any) -> None:
        failure = {"family": "Load", "error": "ValueError: no", "count": 3, "tasks": 2, "first": NOW - 600}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.threads: set[threading.Thread] = set()
        self.news: list[dict[str, Any]] = [event(1)]
        self.replies: dict[str, Any] = {
            "overview": overview(),
            "families": {"families": [family("Load"), family("Report", last_error=None)], "cursor": None},
            "tasks": {"tasks": [task("Load_1"), task("Load_2")], "cursor": None, "looked_at": 2, "of": 2},
            "workers": {"workers": [worker("w1"), worker("w2", state="silent")], "cursor": None},
            "failures": {
                "failures": [{**failure, "last": NOW - 60, "example": "Load_1", "workers": ["w1"]}],
                **{"groups": 1, "total": 3, "since": NOW - 3600, "complete": True},
            },
            "events": self._events,
            "why": {"sentence": "Load_1 failed.", "causes": [{"sentence": "It failed."}], "other_causes": 2},
            "task_log": {"log": "at work\nworked\n", "size": 15, "run": 1.0, "status": "FAILED", "task_id": "Load_1"},
            "task_details": None,
            "change_tasks": lambda task_ids, **given: {"changed": list(task_ids), "unchanged": []},
            **replies,
        }

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            check(METHODS[method], arguments)
            self.threads.add(threading.current_thread())
            self.calls.append((method, arguments))
            reply = self.replies[method]
            if callable(reply):
                reply = reply(**arguments)
            if isinstance(reply, Exception):
                raise reply
            return reply

        return call

    def made(self, method: str) -> list[dict[str, Any]]:
        """The arguments of each call of a method."""
        return [arguments for name, arguments in self.calls if name == method]

    def _events(self, after: str | None = None, limit: int = 100) -> dict[str, Any]:
        found, self.news = self.news[-limit:], []
        return {"events": found, "last": found[-1]["id"] if found else after}


def on_screen(
    scheduler: Any, steps: Callable[[TopApp, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (120, 30)
) -> TopApp:
    """Show a scheduler on a screen of this size, and do the steps there."""

    async def run() -> TopApp:
        app = TopApp(scheduler, "http://scheduler", clock=lambda: NOW)
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: app.calls.made["overview"] and not app.tab.is_stale)
            await steps(app, pilot)
        return app

    return asyncio.run(run())


async def until(pilot: Pilot[None], condition: Callable[[], Any]) -> None:
    """Wait until the condition gives something true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain; on the screen:\n{shown(pilot.app)}"
        await pilot.pause(0.01)


def shown(app: Any) -> str:
    """The text on the screen."""
    return "\n".join(
        "".join(segment.text for segment in line).rstrip() for line in app.screen._compositor.render_strips()
    )


class Screen:
    """A terminal that shows what a command writes, and takes keys. child: as tests.terminals.on_terminal gives it."""

    def __init__(self, child: Any) -> None:
        self._child = child
        lines, columns = child.getwinsize()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self._screen)

    def press(self, keys: str) -> None:
        """Type these keys."""
        self._child.send(keys)

    def await_words(self, *words: str) -> None:
        """Wait until all of these are on the screen."""
        self._await(lambda: all(word in self.text() for word in words), words)

    def await_no(self, word: str) -> None:
        """Wait until this is not on the screen any more."""
        self._await(lambda: word not in self.text(), word)

    def _await(self, condition: Callable[[], bool], what: Any) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}; on the screen:\n{self.text()}"
            with contextlib.suppress(pexpect.TIMEOUT):
                self._stream.feed(self._child.read_nonblocking(65536, timeout=0.1))

    def text(self) -> str:
        """The text on the screen."""
        return "\n".join(self._screen.display)

    def exit_code(self) -> int:
        """Wait for the command's end."""
        self._child.expect(pexpect.EOF)
        self._child.wait()
        return int(self._child.exitstatus)
