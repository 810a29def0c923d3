"""The frame of the page: it is served whole and small, and its header, keys and address do what they say."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from broker_sched import Scheduler
from broker_sched.server.page_files import page_files
from tests.harness import ServerProcess

MOST_BYTES = 60_000  # of all files that every view needs, compressed
LAYOUT_BYTES = 18_500  # of the library that lays out graphs, which only the graph fetches


@pytest.fixture(autouse=True, scope="module")
def tasks(page_scheduler: Scheduler) -> None:
    """One task of each kind that the first view counts."""
    page_scheduler.add_task(worker="w1", task_id="Extract_1", family="Extract", params={"day": "1"})
    page_scheduler.add_task(worker="w1", task_id="Load_1", family="Load", deps=["Extract_1"])
    page_scheduler.add_task(worker="w1", task_id="Broken_1", family="Broken", status="FAILED", expl="ValueError: no")


def test_all_of_the_page_is_small() -> None:
    files = page_files()
    assert files is not None, "make page"
    sizes = files.sizes()
    assert sizes.pop("layout_worker.js", 0) < LAYOUT_BYTES
    assert 20_000 < sum(sizes.values()) < MOST_BYTES, sizes


def test_the_first_view_says_how_the_namespace_stands(page: Page, page_server: ServerProcess) -> None:
    page.goto(page_server.url)
    expect(page).to_have_title("Now · shop · broker_sched")
    states = page.get_by_label("Tasks by state").get_by_role("listitem")
    expect(states.filter(has_text="ready")).to_have_text(re.compile(r"1\s*○\s*ready"))
    expect(states.filter(has_text="waits for deps")).to_be_visible()
    expect(page.get_by_text("ValueError: no")).to_be_visible()
    page.get_by_role("link", name="1 ready").click()
    expect(page).to_have_url(re.compile(r"\?view=tasks&status=READY$"))
    page.go_back()
    expect(states.first).to_be_visible()


def test_keys_lead_to_the_views_and_are_listed_on_a_sheet(page: Page, page_server: ServerProcess) -> None:
    page.goto(page_server.url)
    expect(page.get_by_label("Tasks by state")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("w")
    expect(page.get_by_role("link", name="Workers")).to_have_attribute("aria-current", "page")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    expect(sheet.get_by_text("Go to Tasks")).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Task id")).to_be_focused()


@pytest.mark.parametrize(
    ("luigis", "ours"),
    [
        ("", "?view=tasks"),
        ("#tab=workers", "?view=workers"),
        ("#tab=resources&resources=%5B%22db%22%5D", "?view=resources"),
        ("#tab=graph&taskId=Load_1&invert=1&visType=svg", "?view=graph&id=Load_1&direction=dependents"),
        ("#Load_1", "?view=graph&id=Load_1"),
        (
            "#search__search=day&family=Extract&statuses=%5B%22UPSTREAM_DISABLED%22%5D&order=4%2Cdesc&filterOnServer=1",
            "?view=tasks&family=Extract&status=BLOCKED&text=day",
        ),
        ("#family=a%26b&statuses=%5B%22DONE%22%2C%22FAILED%22%5D", "?view=tasks&family=a%26b"),
        ("#%E0%A4&statuses=nonsense", "?view=tasks"),
    ],
)
def test_an_address_of_luigis_page_leads_to_the_view_that_shows_the_same(
    page: Page, page_server: ServerProcess, luigis: str, ours: str
) -> None:
    page.goto(f"{page_server.url}/static/visualiser/index.html{luigis}")
    expect(page).to_have_url(f"{page_server.url}/{ours}")


def test_a_view_that_fails_says_so_and_leaves_the_others(page: Page, page_server: ServerProcess) -> None:
    page.route("**/api/overview", lambda route: route.fulfill(json={"response": {"tasks": 3}}))
    page.goto(page_server.url)
    expect(page.get_by_role("alert").filter(has_text="This view has failed")).to_be_visible()
    page.get_by_role("link", name="Workers").click()
    expect(page.get_by_text("This view has failed")).to_have_count(0)
    expect(page.get_by_role("link", name="Workers")).to_have_attribute("aria-current", "page")
