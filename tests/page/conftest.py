"""What the tests of the page share: a browser, a server, and a console that has to stay clean.

One browser and one server serve a whole file. `page` is a new tab of a fresh context, with no history and no choices
kept. Under the page's policy no text is run as a script: wait with `expect(locator)`, not with `wait_for_function`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from broker_sched import Scheduler
from broker_sched.server.page.build import build
from tests.debian_programs import debian_program
from tests.harness import RedisProcess, ServerProcess

PATIENCE_MS = 15_000
NAMESPACE = "shop"
# Each process of the browser costs memory and time, and nothing foreign is loaded that a sandbox would keep away.
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--in-process-gpu",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
)
NewPage = Callable[..., Page]

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A headless Chromium, one for each process that runs tests of the page.

    It ends before others run: playwright keeps an event loop in this thread, and `asyncio.run` would start no other.
    """
    program = debian_program("chromium-headless-shell")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program.path, env=dict(program.environment), args=list(SWITCHES)
        )
        yield launched
        launched.close()


@pytest.fixture(scope="session", autouse=True)
def built_page() -> None:
    """The page is built of the sources as they are now: a developer has just changed them."""
    build()


@pytest.fixture(scope="module")
def page_server(own_redis: RedisProcess) -> Iterator[ServerProcess]:
    """A server of the namespace `shop`, for all tests of a file."""
    server = ServerProcess("--redis", own_redis.url, "--namespace", NAMESPACE).await_ready()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def page_scheduler(own_redis: RedisProcess) -> Iterator[Scheduler]:
    """The scheduler whose tasks `page_server` shows."""
    with closing(Scheduler(own_redis.url, namespace=NAMESPACE, prune_interval_seconds=None)) as scheduler:
        yield scheduler


class Complaints(list[str]):
    """What a browser complained of: errors and warnings of the console, scripts that failed, broken policies.

    A test that provokes some takes them out: `complaints.expected("503")` removes those with this text, and says
    whether there were any.
    """

    def expected(self, text: str) -> bool:
        found = [each for each in self if text in each]
        self[:] = [each for each in self if text not in each]
        return bool(found)


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """What the browser complains of during a test; there must be nothing left at its end."""
    found = Complaints()
    yield found
    assert found == [], "the browser complains"


@pytest.fixture
def new_page(browser: Browser, complaints: Complaints) -> Iterator[NewPage]:
    """`new_page(**options of a context)`: a tab of a fresh context, which ends with the test."""
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.on("console", lambda message: _note(message, complaints))
        context.on("weberror", lambda error: complaints.append(f"a script failed: {error.error}"))
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """A tab of 1280 by 800 pixels. A policy that is broken is an error of the console, and so fails the test."""
    return new_page()


def _note(message: ConsoleMessage, complaints: Complaints) -> None:
    if message.type in ("error", "warning", "assert"):
        complaints.append(f"{message.type}: {message.text} ({message.location['url']})")
