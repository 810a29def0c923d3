"""A tab that is left open keeps its memory, however many changes it hears of."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from broker_sched import Scheduler
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.page.conftest import NAMESPACE

CHANGES_A_SECOND = 100
SECONDS = by_night(3600.0, 8.0)
WARM_SECONDS = by_night(60.0, 4.0)  # until what is made once has been made
MOST_BYTES = 600_000  # so much it may grow: what was just heard, and what compiled functions take
TASKS = 1000


def changing(redis: RedisProcess, ends: threading.Event) -> None:
    """Change 100 tasks' statuses a second, at first of new tasks, until told to end."""
    with closing(Scheduler(redis.url, NAMESPACE, prune_interval_seconds=None)) as scheduler:
        began, unique = time.monotonic(), uuid.uuid4().hex[:6]
        for number in itertools.count():
            if ends.wait(max(0.0, began + number / CHANGES_A_SECOND - time.monotonic())):
                return
            task_id = f"{unique}-{number % TASKS}"
            status = "DONE" if number // TASKS % 2 else "FAILED"
            scheduler.add_task(worker="w", task_id=task_id, family=f"F{number % 7}", status=status)  # type: ignore[arg-type]  # one of two


@pytest.mark.timeout(SECONDS + 300)
def test_a_tab_keeps_its_memory_while_a_hundred_tasks_change_a_second(
    own_redis: RedisProcess, page_server: ServerProcess, page: Page
) -> None:
    answered = itertools.count()
    page.on("response", lambda response: next(answered) if response.url.endswith("/overview") else None)
    page.goto(page_server.url)
    expect(page.locator(".live")).to_contain_text("live")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")

    def measured() -> dict[str, Any]:
        devtools.send("HeapProfiler.collectGarbage")
        return {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}

    ends = threading.Event()
    source = threading.Thread(target=changing, args=(own_redis, ends), daemon=True)
    source.start()
    try:
        page.wait_for_timeout(WARM_SECONDS * 1000)
        before, asked = measured(), next(answered)
        page.wait_for_timeout(SECONDS * 1000)
        after = measured()
    finally:
        ends.set()
        source.join()
    assert next(answered) - asked > 2, "it has asked anew all the while"
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < MOST_BYTES, (before, after)
    for name in ("Nodes", "JSEventListeners", "Documents"):
        assert after[name] <= before[name] * 1.2 + 20, (name, before[name], after[name])
