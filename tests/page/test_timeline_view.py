"""The view `timeline`: which task ran where, from when to when, with idle times and the critical path, live."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from broker_sched import Scheduler
from tests.conftest import FakeClock
from tests.harness import RedisProcess, ServerProcess

BEGAN = 2400  # seconds before the tests
IDLE = 1200
MANY = 60  # short runs, one after the other


@pytest.fixture(autouse=True, scope="module")
def runs(own_redis: RedisProcess, page_scheduler: Scheduler) -> Iterator[None]:
    """Half an hour ago anna and bob ran loads, one of which failed; after a long pause the sums; now a mail runs."""
    clock = FakeClock()
    clock.now = time.time() - BEGAN
    with closing(Scheduler(own_redis.url, "shop", prune_interval_seconds=None, clock=clock)) as before:
        for number in range(6):
            add(before, f"Load_{number}", ["anna", "bob"])
        for number in range(6):
            run(before, clock, "anna" if number % 2 else "bob", 60, "FAILED" if number == 3 else "DONE")
        clock.advance(IDLE)
        add(before, "Sum_1", ["anna"], deps=["Load_0"])
        run(before, clock, "anna", 90)
        for number in range(MANY):
            add(before, f"Tiny_{number}", ["zoe"], priority=-1)
        for _ in range(MANY):
            run(before, clock, "zoe", 0.2)
    add(page_scheduler, "Mail_1", ["night"], deps=["Sum_1"])
    page_scheduler.add_submission(submission="night", tasks=["Mail_1"])
    add(page_scheduler, "Mail_1", ["carl"])
    assert page_scheduler.get_work(worker="carl")["task_id"] == "Mail_1"
    yield


def add(scheduler: Scheduler, task_id: str, workers: list[str], **given: Any) -> None:
    for worker in workers:
        scheduler.add_task(worker=worker, task_id=task_id, family=task_id.split("_")[0], **given)


def run(scheduler: Scheduler, clock: FakeClock, worker: str, seconds: float, status: str = "DONE") -> None:
    task_id = scheduler.get_work(worker=worker)["task_id"]
    clock.advance(seconds)
    scheduler.add_task(worker=worker, task_id=task_id, family=task_id.split("_")[0], status=status)


def open_timeline(page: Page, server: ServerProcess, more: str = "") -> Locator:
    page.goto(f"{server.url}/?view=timeline{more}")
    chart = page.get_by_role("group", name="The timeline.")
    expect(chart.locator("a.run").first).to_be_visible()
    return chart


def row(chart: Locator, name: str) -> Locator:
    return chart.locator(".timeline-row").filter(has=chart.page.get_by_role("link", name=name, exact=True))


def test_runs_stand_in_rows_with_their_idle_times(page: Page, page_server: ServerProcess) -> None:
    chart = open_timeline(page, page_server)
    expect(row(chart, "anna").locator("a.run")).to_have_count(4)
    expect(row(chart, "bob").locator("a.run")).to_have_count(3)
    expect(row(chart, "anna")).to_contain_text(re.compile(r"busy \d+ %, idle up to \d+ min"))
    failed = chart.get_by_role("link", name=re.compile(r"^Load_3, failed, 1 min from .*, on anna$"))
    expect(failed).to_be_visible()
    expect(row(chart, "carl").get_by_role("link", name=re.compile("^Mail_1, running"))).to_be_visible()
    # What is too short to be told apart is one bar.
    assert row(chart, "zoe").locator("a.run").count() <= 10
    expect(page.get_by_text(re.compile(f"{MANY + 8} runs"))).to_be_visible()
    page.get_by_role("combobox", name="A row for each").select_option("family")
    expect(row(chart, "Load").locator("a.run")).to_have_count(6)
    expect(page.get_by_text(re.compile(r"bsched timeline --since \d+s --by family"))).to_be_visible()
    page.get_by_role("searchbox", name="Only this family").fill("Sum")
    expect(chart.locator("a.run")).to_have_count(1)
    expect(page).to_have_url(re.compile("by=family&family=Sum"))


def test_it_is_moved_and_zoomed_and_idle_times_are_shortened(page: Page, page_server: ServerProcess) -> None:
    chart = open_timeline(page, page_server)
    load = chart.get_by_role("link", name=re.compile("^Load_3, "))
    before = width_of(load)
    expect(page.get_by_role("button", name="Now")).to_be_disabled()
    page.get_by_role("button", name="Shorten idle times").click()
    expect(chart.locator("rect.break").first).to_be_attached()
    assert width_of(load) > 1.3 * before
    page.get_by_role("button", name="Shorten idle times").click()
    page.keyboard.press("-")
    expect(page).to_have_url(re.compile(r"span=\d+"))
    assert width_of(load) < before
    load.focus()
    page.keyboard.press("Shift+ArrowLeft")
    expect(page).to_have_url(re.compile(r"until=\d+"))
    expect(page.get_by_role("button", name="Now")).to_be_enabled()
    page.keyboard.press("0")
    expect(page).not_to_have_url(re.compile("until="))
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + 800, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 900, box["y"] + 40, steps=3)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"view=timeline.*until=\d+"))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    expect(page.get_by_role("combobox", name="How long")).not_to_have_value("3600")


def width_of(bar: Locator) -> float:
    return float(bar.locator("rect").get_attribute("width") or 0)


def test_keys_go_from_run_to_run_and_open_them(page: Page, page_server: ServerProcess) -> None:
    chart = open_timeline(page, page_server, "&worker=anna")
    chart.get_by_role("link", name=re.compile("^Load_1, ")).focus()
    page.keyboard.press("ArrowRight")
    expect(chart.get_by_role("link", name=re.compile("^Load_3, "))).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(chart.get_by_role("link", name=re.compile("^Load_1, "))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"view=task&id=Load_1$"))


def test_many_runs_in_one_bar_are_told_apart_closer(page: Page, page_server: ServerProcess) -> None:
    chart = open_timeline(page, page_server)
    bar = row(chart, "zoe").locator("a.run").first
    expect(bar).to_have_attribute("aria-label", re.compile(r"^\d+ runs, 0 failed, .*opens closer$"))
    bar.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"span=\d+(\.\d)?.*until=|until=.*span="))
    expect(row(chart, "zoe").locator("a.run").nth(25)).to_be_attached()


def test_the_critical_path_of_a_submission_is_marked(page: Page, page_server: ServerProcess) -> None:
    chart = open_timeline(page, page_server, "&submission=night")
    path = chart.locator(".path-row")
    expect(path.get_by_role("link", name=re.compile("^Load_0, took 1 min"))).to_be_attached()
    expect(path.locator("a.run")).to_have_count(3)
    expect(row(chart, "anna").get_by_role("link", name=re.compile("^Sum_1, .*on the critical path$"))).to_be_visible()
    steps = page.locator(".critical-path .steps li")
    expect(steps).to_have_text([re.compile("Load_0"), re.compile("Sum_1"), re.compile("Mail_1.*running")])
    expect(page.get_by_text("bsched critical-path --submission night")).to_be_visible()


def test_what_begins_and_ends_is_there_at_once(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    chart = open_timeline(page, page_server, "&span=60")
    add(page_scheduler, "Now_1", ["dora"])
    assert page_scheduler.get_work(worker="dora")["task_id"] == "Now_1"
    expect(chart.get_by_role("link", name=re.compile("^Now_1, running"))).to_be_visible()
    page_scheduler.add_task(worker="dora", task_id="Now_1", family="Now", status="FAILED")
    expect(chart.get_by_role("link", name=re.compile("^Now_1, failed"))).to_be_visible()
    expect(chart.get_by_role("link", name=re.compile("^Now_1, running"))).to_have_count(0)


def test_of_very_many_runs_the_last_are_drawn_and_that_is_said(page: Page, page_server: ServerProcess) -> None:
    """The server's replies are made up: 1,000 runs in each, of a time without end."""
    ended = time.time()
    asked = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data_json)
        first = 1000 * (len(asked) - 1)
        runs = [
            {
                **{"task_id": f"T_{n}", "family": "T", "worker": f"w{n % 3}", "outcome": "DONE"},
                **{"started": ended - n / 2 - 1, "ended": ended - n / 2},
            }
            for n in range(first, first + 1000)
        ]
        told = {"runs": runs, "cursor": f"c{len(asked)}", "now": ended, "all_running": False, "whole_since": ended - 60}
        route.fulfill(json={"response": told})

    page.route("**/api/timeline", answer)
    chart = open_timeline(page, page_server)
    expect(page.get_by_text(re.compile("Only the last 3,000 runs are drawn, down to .*: zoom in"))).to_be_visible()
    expect(page.get_by_text("only the last run of each task that is still there is known")).to_be_visible()
    expect(page.get_by_text("More than 1,000 tasks run: not all of them are drawn.")).to_be_visible()
    assert chart.locator("a.run").count() < 1500
    assert [each.get("cursor") for each in asked[:3]] == [None, "c1", "c2"]


def test_the_same_is_there_as_a_list(page: Page, page_server: ServerProcess) -> None:
    page.goto(f"{page_server.url}/?view=timeline&form=list&family=Load")
    table = page.get_by_role("table", name="Runs, the last ones first")
    expect(table.get_by_role("row")).to_have_count(7)
    expect(table.get_by_role("row").nth(1)).to_contain_text("Load_5")
    expect(table.get_by_role("row").filter(has_text="Load_3")).to_contain_text("failed")


def test_a_narrow_screen_has_all_of_it(new_page: Any, page_server: ServerProcess) -> None:
    page = new_page(viewport={"width": 360, "height": 740})
    chart = open_timeline(page, page_server)
    expect(chart.get_by_role("link", name=re.compile("^Load_3, failed"))).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
