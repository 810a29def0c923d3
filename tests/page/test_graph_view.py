"""The view `graph`: few nodes of any graph, unfolded by a click, by keys, in words, with its critical path."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from broker_sched import Scheduler
from tests.harness import ServerProcess
from tests.nightly import by_night

LOADS = 200
LONG, WIDE = 500, by_night(10_000, 2_000)


def add(scheduler: Scheduler, names: Collection[str], **given: Any) -> None:
    tasks = [{"task_id": name, "family": name.split("_")[0], **given} for name in names]
    for start in range(0, len(tasks), 1000):
        scheduler.add_tasks("w1", tasks[start : start + 1000])


@pytest.fixture(autouse=True, scope="module")
def tasks(page_scheduler: Scheduler) -> None:
    """A report needs sums of 200 loads, of which some have failed; a long line of tasks, a wide fan, a ring."""
    scheduler = page_scheduler
    loads = [f"Load_{n}" for n in range(LOADS)]
    add(scheduler, loads[3:], status="DONE")
    add(scheduler, loads[:3], status="FAILED")
    add(scheduler, ["Raw_1"])
    assert scheduler.get_work(worker="w1")["task_id"] == "Raw_1"
    add(scheduler, ["Clean_1"], deps=["Raw_1"])
    add(scheduler, ["Report_1"], deps=[*loads, "Clean_1"])
    add(scheduler, ["Mail_1"], deps=["Report_1"])
    scheduler.add_task(worker="h", task_id="Report_1", new_deps=["Lost_1"], assistant=True)
    for name, other in (("Ring_a", "Ring_b"), ("Ring_b", "Ring_a")):
        add(scheduler, [name], deps=[other])
    line = [{"task_id": f"Long_{n}", "family": "Long", "deps": [f"Long_{n - 1}"] if n else []} for n in range(LONG)]
    scheduler.add_tasks("w1", line)
    add(scheduler, [f"Wide_{n}" for n in range(WIDE)])
    add(scheduler, ["Fan_1"], deps=[f"Wide_{n}" for n in range(WIDE)])


def open_graph(page: Page, server: ServerProcess, task_id: str, more: str = "") -> Locator:
    page.goto(f"{server.url}/?view=graph&id={quote(task_id)}{more}")
    drawing = page.get_by_role("group", name="The graph.")
    expect(drawing.get_by_role("link").first).to_be_visible()
    return drawing


def test_a_group_is_unfolded_by_a_click_and_stays_so_in_the_address(page: Page, page_server: ServerProcess) -> None:
    drawing = open_graph(page, page_server, "Mail_1")
    nodes = drawing.get_by_role("link")
    expect(drawing.get_by_role("link", name="Mail_1")).to_have_count(0)  # it is called by its display name
    expect(drawing.get_by_role("link", name="Mail(), waits for deps, needs 1, needed by 0")).to_be_visible()
    expect(drawing.get_by_role("link", name="197 of Load, done")).to_be_visible()
    expect(page.get_by_label("States in the graph").get_by_role("listitem")).to_contain_text(
        ["waits for deps", "failed"]
    )
    expect(page.get_by_text("Missing, so that nobody can run it: Lost_1.")).to_be_visible()
    folded = nodes.count()
    drawing.get_by_role("link", name="197 of Load, done").click()
    expect(page).to_have_url(re.compile(r"open=group%3ADONE%3ALoad"))
    expect(nodes).to_have_count(60)
    page.reload()
    expect(nodes).to_have_count(60)
    page.get_by_role("button", name="Fold again").click()
    expect(nodes).to_have_count(folded)
    page.get_by_role("button", name="Hide done").click()
    expect(drawing.get_by_role("link", name=re.compile("of Load, done"))).to_have_count(0)
    expect(page.get_by_role("button", name="Hide done")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text(re.compile(r"bsched graph --without-done .*Mail_1"))).to_be_visible()
    page.get_by_role("combobox", name="Show").select_option("dependents")
    expect(page).to_have_url(re.compile(r"direction=dependents"))
    expect(nodes).to_have_count(1)
    drawing.get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"view=task&id=Mail_1$"))


def test_keys_go_to_the_nearest_node_and_open_it(page: Page, page_server: ServerProcess) -> None:
    drawing = open_graph(page, page_server, "Clean_1")
    drawing.get_by_role("link", name="Clean()").focus()
    page.keyboard.press("ArrowLeft")
    expect(drawing.get_by_role("link", name="Raw(), running")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(drawing.get_by_role("link", name="Clean()")).to_be_focused()
    moved = drawing.locator("svg > g")
    before = moved.get_attribute("transform")
    page.keyboard.press("+")
    expect(moved).not_to_have_attribute("transform", before or "")
    page.keyboard.press("0")
    expect(moved).to_have_attribute("transform", before or "")
    page.keyboard.press("Shift+ArrowLeft")
    expect(moved).not_to_have_attribute("transform", before or "")
    box = drawing.bounding_box()
    assert box
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.wheel(0, -300)
    expect(moved).to_have_attribute("transform", re.compile(r"scale\(1\.[1-9]"))
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 250, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("view=graph"))  # a drag is no click
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"view=task&id=Raw_1$"))


def assert_readable(drawing: Locator) -> None:
    """No two nodes overlap, and each stands to the right of those that it needs."""
    places: dict[str, tuple[float, float]] = {}
    for node in drawing.locator("a.node").all():
        found = re.search(r"translate\(([-\d.]+) ([-\d.]+)\)", node.get_attribute("transform") or "")
        assert found
        places[node.get_attribute("data-node") or ""] = (float(found[1]), float(found[2]))
    ordered = sorted(places.values())
    assert not [
        (one, other)
        for index, one in enumerate(ordered)
        for other in ordered[index + 1 :]
        if abs(one[0] - other[0]) < 210 and abs(one[1] - other[1]) < 42
    ]
    lines = [re.findall(r"[-\d.]+", line.get_attribute("d") or "") for line in drawing.locator("path.edge").all()]
    assert all(float(line[0]) < float(line[-2]) for line in lines)


def test_the_critical_path_is_drawn_and_told(page: Page, page_server: ServerProcess) -> None:
    drawing = open_graph(page, page_server, "Mail_1", "&path=total")
    expect(drawing.get_by_role("link", name=re.compile(r"Mail\(\).*step 4 of the critical path"))).to_be_visible()
    expect(drawing.locator(".edge.critical")).to_have_count(3)
    steps = page.locator(".critical-path .steps li")
    expect(steps).to_have_text(
        [re.compile("Raw_1.*running"), re.compile("Clean_1"), re.compile("Report_1"), re.compile("Mail_1")]
    )
    expect(page.get_by_text(re.compile("Expected times are too short: no run was done yet of .*Raw"))).to_be_visible()
    expect(page.get_by_text("Missing deps: Lost_1.")).to_be_visible()
    expect(page.get_by_text("bsched critical-path --by total Mail_1")).to_be_visible()


def test_the_same_is_there_as_a_list(page: Page, page_server: ServerProcess) -> None:
    page.goto(f"{page_server.url}/?view=graph&id=Mail_1&form=list")
    entries = page.get_by_role("list", name="The graph, the nearest tasks first").locator("> li")
    expect(entries.first).to_contain_text("waits for deps")
    expect(entries.first).to_contain_text("needs: Report()")
    entries.first.get_by_role("link", name="Report()").click()
    expect(entries.nth(1)).to_be_focused()
    expect(entries.nth(1)).to_contain_text("needed by: Mail()")
    page.get_by_role("button", name="As a list").click()
    expect(page.get_by_role("group", name="The graph.").get_by_role("link").first).to_be_visible()


def test_who_may_not_see_parameters_sees_ids(page: Page, page_server: ServerProcess) -> None:
    def without_names(route: Route) -> None:
        reply = route.fetch().json()
        for node in reply["response"]["nodes"]:
            (node["task"] or {}).pop("display_name", None)
        route.fulfill(json=reply)

    page.route("**/api/condensed_graph", without_names)
    drawing = open_graph(page, page_server, "Clean_1")
    expect(drawing.get_by_role("link", name="Clean_1, waits for deps")).to_be_visible()
    expect(drawing.get_by_text("undefined")).to_have_count(0)


def test_it_follows_what_runs(page: Page, page_server: ServerProcess, page_scheduler: Scheduler) -> None:
    add(page_scheduler, ["Step_1"], priority=9)
    add(page_scheduler, ["Step_2"], deps=["Step_1"], priority=9)
    drawing = open_graph(page, page_server, "Step_2", "&follow=1")
    expect(drawing.get_by_role("link", name="Step(), ready")).to_be_visible()
    assert page_scheduler.get_work(worker="w1")["task_id"] == "Step_1"
    running = drawing.get_by_role("link", name="Step(), running")
    expect(running).to_be_in_viewport()
    page_scheduler.add_task(worker="w1", task_id="Step_1", status="DONE")
    expect(drawing.get_by_role("link", name="Step(), done")).to_be_visible()


def test_rings_and_unknown_tasks_are_named(page: Page, page_server: ServerProcess) -> None:
    open_graph(page, page_server, "Ring_a")
    expect(page.get_by_text("in a ring, and none of them can run: Ring() → Ring() → Ring().")).to_be_visible()
    page.goto(f"{page_server.url}/?view=graph&id=nobody")
    expect(page.get_by_text("Nobody knows the task nobody")).to_be_visible()


def test_a_long_line_and_a_wide_fan_are_drawn_within_bounds(page: Page, page_server: ServerProcess) -> None:
    drawing = open_graph(page, page_server, f"Long_{LONG - 1}", "&nodes=150")
    expect(page.get_by_text(re.compile("Truncated at .* 100 steps: 1 dep not looked at."))).to_be_visible()
    assert drawing.get_by_role("link").count() <= 150
    page.get_by_role("combobox", name="Critical path").select_option("total")
    expect(page.locator(".critical-path .steps li")).to_have_count(LONG)
    assert_readable(drawing)
    drawing = open_graph(page, page_server, "Fan_1", "&nodes=150")
    expect(page.get_by_text(re.compile(f"Truncated at .*: {WIDE - 999:,} deps not looked at."))).to_be_visible()
    group = drawing.get_by_role("link", name="at least 999 of Wide, ready")
    group.click()
    expect(drawing.get_by_role("link")).to_have_count(150)
    # What is left of it is shown from one of its tasks on.
    drawing.get_by_role("link", name="at least 851 of Wide").press("Enter")
    expect(page).to_have_url(re.compile(r"id=Wide_\d+"))


def test_a_narrow_screen_has_all_of_it(new_page: Any, page_server: ServerProcess) -> None:
    page = new_page(viewport={"width": 360, "height": 740}, has_touch=True)
    drawing = open_graph(page, page_server, "Mail_1", "&path=total")
    drawing.scroll_into_view_if_needed()
    expect(drawing.get_by_role("link", name="Mail()")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    box = drawing.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + 60
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": left, "y": top, "id": number} for number, (left, top) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    moved = drawing.locator("svg > g")
    expect(moved).to_have_attribute("transform", re.compile(r"scale\(0\.75\)"))
    touch("touchStart", (x - 20, y), (x + 20, y))
    for apart in (30, 40, 60):
        touch("touchMove", (x - apart, y), (x + apart, y))
    touch("touchEnd")
    expect(moved).to_have_attribute("transform", re.compile(r"scale\(2\.[0-4]"))  # three times as large
    expect(page).to_have_url(re.compile("view=graph"))
