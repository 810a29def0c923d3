"""Everything can be done without a mouse: Tab reaches each control, which shows it, and live updates keep the focus."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from broker_sched import Scheduler
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.page import shop
from tests.page.conftest import NewPage

NAMESPACE = f"shop-{uuid.uuid4().hex[:6]}"
# What can be used now: no part of a closed <details>, nothing that is hidden.
CONTROLS = """
[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')].filter((each) =>
  !each.disabled && each.tabIndex >= 0 && each.checkVisibility({visibilityProperty: true}) && !each.closest('svg'))
"""
# Whether it shows that it has the focus: a drawing thickens a frame, all else has an outline.
FOCUSED = """
(() => {
  const found = document.activeElement;
  if (!found || found === document.body) return null;
  const style = getComputedStyle(found);
  const number = CONTROLS.indexOf(found);
  const isOutlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  const shape = found.closest('svg') && found.querySelector('rect, .frame');
  const isThick = shape && parseFloat(getComputedStyle(shape).strokeWidth) >= 2.5;
  return [number, Boolean(isOutlined || isThick), found.outerHTML.slice(0, 120)];
})()
""".replace("CONTROLS", CONTROLS.strip())
NAMES = by_night(tuple(shop.VIEWS), ("families", "task", "worker", "settings"))
MOST_CONTROLS = 150  # reached by Tab one after the other; more rows are alike


@pytest.fixture(scope="module")
def shop_server(own_redis: RedisProcess) -> Iterator[ServerProcess]:
    """A server of a namespace in which much has happened."""
    shop.fill(own_redis.url, NAMESPACE)
    server = ServerProcess("--redis", own_redis.url, "--namespace", NAMESPACE).await_ready()
    yield server
    assert server.stop() == 0


@pytest.fixture
def scheduler(own_redis: RedisProcess) -> Iterator[Scheduler]:
    with closing(Scheduler(own_redis.url, namespace=NAMESPACE, prune_interval_seconds=None)) as opened:
        yield opened


def test_tab_reaches_every_control_of_a_view_and_each_shows_that_it_has_the_focus(
    new_page: NewPage, shop_server: ServerProcess
) -> None:
    page = new_page()
    unreached, unseen = {}, {}
    for name in NAMES:
        page.goto(f"{shop_server.url}/?{shop.VIEWS[name]}")
        expect(page.locator("main h1")).to_have_count(1)
        expect(page.locator("main .loading, main [aria-busy=true]")).to_have_count(0)
        count = min(MOST_CONTROLS, page.evaluate(f"({CONTROLS.strip()}).length"))
        page.evaluate("document.activeElement?.blur?.()")
        reached: set[int] = set()
        for _ in range(count + 5):
            page.keyboard.press("Tab")
            focused = page.evaluate(FOCUSED)
            if focused is None:  # behind the last control: the next Tab begins anew
                continue
            reached.add(focused[0])
            if not focused[1]:
                unseen[name] = focused[2]
        if left := set(range(count)) - reached:
            unreached[name] = [
                page.evaluate(f"({CONTROLS.strip()})[{number}].outerHTML.slice(0, 120)") for number in left
            ]
    assert unreached == {}
    assert unseen == {}


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_a_worker_is_found_and_disabled_by_keys_alone(
    page: Page, shop_server: ServerProcess, scheduler: Scheduler
) -> None:
    page.goto(shop_server.url)
    expect(page.get_by_label("Tasks by state")).to_be_visible()
    press(page, "g", "w")
    expect(page.get_by_role("table", name="Workers").locator("tbody tr")).to_have_count(4)
    press(page, "j", "j")
    expect(page.locator("tr[aria-current=true]")).to_contain_text("build-2")
    press(page, "k")
    expect(page.locator("tr[aria-current=true]")).to_be_focused()
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Worker build-1")).to_be_visible()
    expect(page.get_by_role("button", name="Disable", exact=True)).to_be_visible()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Disable":
            break
    press(page, "Enter")
    dialog = page.get_by_role("dialog", name="Disable this worker?")
    expect(dialog).to_be_visible()
    assert page.evaluate("document.activeElement.closest('dialog') !== null"), "the dialog has the focus"
    press(page, "Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Disable", exact=True)).to_be_focused()
    press(page, "Enter")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    press(page, "Shift+Tab", "Enter")
    expect(page.locator("dl.facts").get_by_text("disabled")).to_be_visible()
    worker = scheduler.worker_details("build-1")
    assert worker is not None and worker["state"] == "disabled"


def test_what_changes_meanwhile_leaves_the_focus_where_it_is(
    page: Page, shop_server: ServerProcess, scheduler: Scheduler
) -> None:
    page.goto(f"{shop_server.url}/?view=events")
    changes = page.get_by_role("table", name="Changes, newest first").locator("tbody tr")
    expect(changes.first).to_be_visible()
    press(page, "j", "j", "j")
    focused = page.locator("tr:focus")
    expect(focused).to_have_attribute("aria-rowindex", "4")
    told = focused.get_attribute("data-key")
    scheduler.add_task(worker="w", task_id="Late_1", family="Late")
    scheduler.add_task(worker="w", task_id="Late_1", status="FAILED")
    expect(changes.first).to_contain_text("Late_1")
    assert focused.get_attribute("data-key") == told
    press(page, "j")
    expect(page.locator("tr:focus")).not_to_have_attribute("data-key", re.compile(f"^{told}$"))


def test_nothing_moves_where_less_motion_is_wanted(new_page: NewPage, shop_server: ServerProcess) -> None:
    page = new_page(reduced_motion="reduce")
    page.goto(f"{shop_server.url}/?view=workers")
    expect(page.get_by_role("table", name="Workers")).to_be_visible()
    moving = page.evaluate(
        """[...document.querySelectorAll('*')].filter((each) => {
          const {animationName, transitionDuration} = getComputedStyle(each);
          return animationName !== 'none' || transitionDuration.split(',').some((time) => parseFloat(time) > 0);
        }).map((each) => each.outerHTML.slice(0, 100))"""
    )
    assert moving == []


def test_times_are_relative_and_exact_for_who_wants_it_in_either_zone(
    new_page: NewPage, shop_server: ServerProcess
) -> None:
    page = new_page(timezone_id="Asia/Kathmandu")
    page.goto(f"{shop_server.url}/?view=events")
    time = page.locator("main time").first
    expect(time).to_have_text(re.compile("ago$|now"))
    expect(time).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+05:45$"))
    page.get_by_role("button", name="UTC").press("Enter")
    expect(time).to_have_attribute("title", re.compile(r" UTC$"))
    page.reload()
    expect(page.locator("main time").first).to_have_attribute("title", re.compile(r" UTC$"))
