"""Every view can be used by whoever uses it: axe finds nothing in either theme, and a phone's width is enough.

axe looks at contrast, labels, roles and their nesting. By day it looks at each view in one theme at one width, by night
in both at both.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.page import shop
from tests.page.commands import lines_on, parsed
from tests.page.conftest import NewPage

NAMESPACE = f"shop-{uuid.uuid4().hex[:6]}"
DESK, PHONE = (1280, 800), (360, 740)
NAMES = tuple(shop.VIEWS)
LOOKS = by_night(
    [(theme, size, NAMES) for theme in ("light", "dark") for size in (DESK, PHONE)],
    [("light", DESK, NAMES[::2]), ("dark", PHONE, NAMES[1::2])],
)


@pytest.fixture(scope="module")
def shop_server(own_redis: RedisProcess) -> Iterator[ServerProcess]:
    """A server of a namespace in which much has happened."""
    shop.fill(own_redis.url, NAMESPACE)
    server = ServerProcess("--redis", own_redis.url, "--namespace", NAMESPACE).await_ready()
    yield server
    assert server.stop() == 0


def show(page: Page, server: ServerProcess, name: str) -> None:
    """Open a view, and wait until it shows what it is for."""
    page.goto(f"{server.url}/?{shop.VIEWS[name]}")
    expect(page.locator("main h1")).to_have_count(1)
    expect(page.locator("main .loading, main [aria-busy=true]")).to_have_count(0)


def violations(page: Page) -> list[str]:
    """What axe finds, with what to look at."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{each['id']}: {each['help']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize(("theme", "size", "names"), LOOKS)
def test_no_view_keeps_anybody_out_or_scrolls_sideways_and_bsched_takes_the_commands_that_it_shows(
    new_page: NewPage, shop_server: ServerProcess, theme: str, size: tuple[int, int], names: tuple[str, ...]
) -> None:
    page = new_page(color_scheme=theme, viewport={"width": PHONE[0], "height": PHONE[1]})
    found: dict[str, list[str]] = {}
    commands = set()
    for name in names:
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        show(page, shop_server, name)
        there = scrolling(page, PHONE)
        if size != PHONE:
            page.set_viewport_size({"width": size[0], "height": size[1]})
            there += scrolling(page, size)
        there += violations(page)
        commands |= lines_on(page)
        if there:
            found[name] = there
    assert found == {}
    assert len([parsed(line) for line in commands]) > len(names)


def scrolling(page: Page, size: tuple[int, int]) -> list[str]:
    """What there is to say of its width, where the page is wider than the window."""
    width = page.evaluate("document.documentElement.scrollWidth")
    return [f"scrolls sideways: {width} of {size[0]} pixels"] if width > size[0] else []


def test_questions_notices_and_help_keep_nobody_out(new_page: NewPage, shop_server: ServerProcess) -> None:
    page = new_page(color_scheme="dark")
    show(page, shop_server, "worker")
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Disable", exact=True)).to_be_focused()
    page.get_by_role("button", name="bsched worker disable").click()
    expect(page.locator(".notice")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert violations(page) == []
