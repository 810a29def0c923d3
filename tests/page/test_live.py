"""The page hears of what changes: at once, over one stream for all tabs, and at another server when its own is gone."""

from __future__ import annotations

import itertools
import re
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from broker_sched import Scheduler
from broker_sched.scheduler.operations.sessions import revoke_sessions
from tests.forwarder import forwarding
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.page.conftest import NAMESPACE, Complaints, NewPage
from tests.server.access.asgi import user_line
from tests.servers import until

Start = Callable[..., ServerProcess]
PASSWORD = "correct horse"
CHANGES_A_SECOND = 100
MEMORY_SECONDS = by_night(3600.0, 4.0)
WARM_SECONDS = by_night(60.0, 2.0)  # until what is made once has been made
MOST_BYTES = 600_000  # so much a tab may grow: what was just heard, and what compiled functions take
TASKS = 1000
# What a tab is that is not shown: the headless browser hides none.
HIDDEN = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


class Live:
    """The shared server, and who changes something in its namespace. failed: how many tasks have failed so far."""

    def __init__(self, server: ServerProcess, scheduler: Scheduler) -> None:
        self.server = server
        self.scheduler = scheduler
        self.failed = int(scheduler.overview()["tasks"]["FAILED"])

    def fail(self, count: int = 1) -> None:
        for _ in range(count):
            self.scheduler.add_task(worker="w", task_id=uuid.uuid4().hex, family="F", status="FAILED")
        self.failed += count

    def is_on(self, page: Page, behind: int = 0) -> None:
        """The page shows how many have failed, but for so many of the last."""
        failures = page.get_by_label("Tasks by state").get_by_role("listitem").filter(has_text="failed")
        expect(failures).to_have_text(re.compile(rf"^\s*{self.failed - behind}\s"))


@pytest.fixture
def live(page_server: ServerProcess, page_scheduler: Scheduler) -> Live:
    return Live(page_server, page_scheduler)


class Streams(list[Request]):
    """The streams that the tabs of a context have asked for."""

    def __init__(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self.append(request) if request.url.endswith("/events") else None)


def hide(page: Page, is_hidden: bool = True) -> None:
    page.evaluate(HIDDEN, is_hidden)


def stands(page: Page, word: str) -> None:
    expect(page.locator(".live")).to_have_text(re.compile(rf"\S {word}$"))


def test_a_change_shows_at_once_and_nothing_is_asked_for_meanwhile(live: Live, page: Page) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("overview") else None)
    page.goto(live.server.url)
    stands(page, "live")
    live.is_on(page)
    assert "bsched-seen" not in asked[0].headers
    asked.clear()
    waits = []
    for _ in range(3):
        live.fail()
        began = time.monotonic()
        live.is_on(page)
        waits.append(time.monotonic() - began)
    assert min(waits) < 1.0, waits  # the browser, the test and the server share the processors with other tests
    assert len(asked) <= 6
    assert "bsched-seen" in asked[-1].headers, "pages that heard of the same change are answered together"


def test_a_new_task_and_a_pause_show_though_no_status_changed(live: Live, page: Page) -> None:
    page.goto(live.server.url)
    stands(page, "live")
    live.scheduler.add_task(worker="w", task_id="new", family="F")
    expect(page.get_by_label("Tasks by state").get_by_role("listitem").first).to_have_text(re.compile(r"^\s*1\s"))
    live.scheduler.pause()
    expect(page.locator(".header .paused")).to_be_visible()
    live.scheduler.unpause()
    expect(page.locator(".header .paused")).to_have_count(0)


def test_tabs_share_a_stream_and_the_next_one_goes_on_with_it(live: Live, new_page: NewPage) -> None:
    first = new_page()
    context, streams = first.context, Streams(first.context)
    first.goto(live.server.url)
    stands(first, "live")
    second = context.new_page()
    second.goto(live.server.url)
    stands(second, "live")
    live.fail()
    for each in (first, second):
        live.is_on(each)
    assert len(streams) == 1
    hide(first)
    stands(first, "resting")
    stands(second, "live")
    until(lambda: len(streams) == 2, "the other listens")
    assert streams[1].headers["last-event-id"] not in ("", "0-0")
    live.fail(2)
    live.is_on(second)
    live.is_on(first, behind=2)
    hide(first, False)
    live.is_on(first)
    stands(first, "live")
    assert len(streams) == 2
    hide(first)
    hide(second)
    live.fail()
    hide(second, False)
    live.is_on(second)
    hide(first, False)
    live.is_on(first)
    second.close()
    live.fail()
    live.is_on(first)
    stands(first, "live")
    assert len(streams) == 4


def test_a_page_is_live_on_another_server_within_three_seconds(
    live: Live, own_redis: RedisProcess, start_server: Start, page: Page, complaints: Complaints
) -> None:
    mortal = start_server("--redis", own_redis.url, "--namespace", NAMESPACE).await_ready()
    streams = Streams(page.context)
    with forwarding(mortal.url, live.server.url) as front:
        page.goto(front.url)
        stands(page, "live")
        live.fail()
        live.is_on(page)
        mortal.process.kill()
        killed_at = time.monotonic()
        live.fail()
        live.is_on(page)
        assert time.monotonic() - killed_at < 3.0
        stands(page, "live")
        assert re.fullmatch(r"\d+-\d+", streams[-1].headers["last-event-id"])
        live.fail()
        live.is_on(page)
    complaints.expected("Failed to load resource")


def test_a_lost_server_and_a_lost_redis_are_told_in_words_and_the_page_mends_itself(
    mortal_redis: RedisProcess, start_server: Start, page: Page, complaints: Complaints
) -> None:
    server = start_server("--redis", mortal_redis.url, "--namespace", "lost").await_ready()
    with forwarding(server.url) as front:
        page.goto(front.url)
        stands(page, "live")
        mortal_redis.kill()
        stands(page, "Redis is away")
        mortal_redis.start()
        stands(page, "live")
        assert server.stop() == 0
        stands(page, "not live")
        again = start_server("--redis", mortal_redis.url, "--namespace", "lost").await_ready()
        front.urls[:] = [again.url]
        stands(page, "live")
        again.call("add_task", worker="w", task_id="t", family="F", status="FAILED")
        expect(page.get_by_text(re.compile(r"1\s+\S\s+F"))).to_be_visible()
    complaints.expected("Failed to load resource")


def test_who_is_logged_out_elsewhere_is_led_to_the_login(
    own_redis: RedisProcess, start_server: Start, tmp_path: Path, page: Page, complaints: Complaints
) -> None:
    users = tmp_path / "users"
    users.write_text(user_line("ann", PASSWORD, "operator@*"))
    users.chmod(0o600)
    name = f"t-{uuid.uuid4().hex[:12]}"
    server = start_server("--redis", own_redis.url, "--namespace", name, "--users-file", str(users)).await_ready()
    page.goto(server.url)
    page.locator("input[name=user]").fill("ann")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    stands(page, "live")
    with closing(Scheduler(own_redis.url, name, prune_interval_seconds=None)) as scheduler:
        scheduler.drive(revoke_sessions(scheduler.namespace, name="ann"))
    expect(page.locator("input[name=password]")).to_be_visible()
    complaints.expected("401")


def test_without_locks_each_tab_listens_for_itself(live: Live, new_page: NewPage) -> None:
    first = new_page()
    streams = Streams(first.context)
    first.context.add_init_script("delete Navigator.prototype.locks")
    second = first.context.new_page()
    for each in (first, second):
        each.goto(live.server.url)
        stands(each, "live")
    live.fail()
    for each in (first, second):
        live.is_on(each)
    assert len(streams) == 2


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


@pytest.mark.timeout(MEMORY_SECONDS + 300)
def test_a_tab_keeps_its_memory_while_a_hundred_tasks_change_a_second(
    own_redis: RedisProcess, page_server: ServerProcess, page: Page
) -> None:
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url) if response.url.endswith("/overview") else None)
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
        before = measured()
        answered.clear()
        page.wait_for_timeout(MEMORY_SECONDS * 1000)
        after = measured()
    finally:
        ends.set()
        source.join()
    assert len(answered) >= by_night(100, 1), "it has asked anew all the while"
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < MOST_BYTES, (before, after)
    for name in ("Nodes", "JSEventListeners", "Documents"):
        assert after[name] <= before[name] * 1.2 + 20, (name, before[name], after[name])
