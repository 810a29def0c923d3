"""The frame of the page: it is served whole and small, and its header, keys and address do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from broker_sched import Scheduler
from broker_sched.server.page_files import page_files
from tests.harness import RedisProcess, ServerProcess
from tests.page.conftest import Complaints, NewPage
from tests.server.access.asgi import basic, user_line

MOST_BYTES = 60_000  # of the HTML and all files of the page together, as a browser gets them


@pytest.fixture(autouse=True, scope="module")
def tasks(page_scheduler: Scheduler) -> None:
    """One task of each kind that the first view counts."""
    page_scheduler.add_task(worker="w1", task_id="Extract_1", family="Extract", params={"day": "1"})
    page_scheduler.add_task(worker="w1", task_id="Load_1", family="Load", deps=["Extract_1"])
    page_scheduler.add_task(worker="w1", task_id="Broken_1", family="Broken", status="FAILED", expl="ValueError: no")
    page_scheduler.add_task(worker="w1", task_id="After_1", family="After", deps=["Broken_1"])


def test_all_of_the_page_is_small(page_server: ServerProcess) -> None:
    files = page_files()
    assert files is not None, "make page"
    paths = ["/", *(f"/page/{files.digest}/{name}" for name in files.names())]
    replies = {path: page_server.request("GET", path, headers={"Accept-Encoding": "gzip"}) for path in paths}
    sizes = {path.rpartition("/")[2] or "/": len(reply.body) for path, reply in replies.items()}
    assert {"/", "main.js", "theme.js", "style.css", "icon.svg", "luigi_address.js"} == sizes.keys()
    assert all(reply.headers["content-encoding"] == "gzip" for reply in replies.values())
    assert 20_000 < sum(sizes.values()) <= MOST_BYTES, sizes


def test_the_first_view_says_how_the_namespace_stands_and_what_holds_it_up(
    page: Page, page_server: ServerProcess
) -> None:
    page.goto(page_server.url)
    expect(page).to_have_title("Now · shop · broker_sched")
    states = page.get_by_label("Tasks by state").get_by_role("listitem")
    expect(states).to_have_text(
        [
            re.compile(text)
            for text in (r"1\s*○\s*ready", "0.*running", "0.*done", "1.*failed", "2.*waits for deps", "4 tasks")
        ]
    )
    held_up = page.get_by_label("What holds tasks up")
    expect(held_up.get_by_text("1 task waits for failed ones.")).to_be_visible()
    expect(page.get_by_text("ValueError: no")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("1 . Broken"))).to_have_attribute(
        "href", re.compile("status=FAILED&error=ValueError")
    )
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("banner").get_by_text("paused")).to_be_visible()
    expect(held_up.get_by_text("Nothing is handed out: the scheduler is paused.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(held_up.get_by_text("paused")).to_have_count(0)
    page.get_by_role("link", name="1 ready").click()
    expect(page).to_have_url(re.compile(r"\?view=tasks&status=READY$"))
    page.go_back()
    expect(states.first).to_be_visible()


def test_the_search_opens_a_task_by_its_id_and_looks_for_any_other_text(page: Page, page_server: ServerProcess) -> None:
    page.goto(page_server.url)
    expect(page.get_by_role("searchbox", name="Task id")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("Load_1\n")
    expect(page).to_have_url(re.compile(r"\?view=task&id=Load_1$"))
    page.keyboard.press("/")
    page.keyboard.type("day=1 & <b>\n")
    expect(page).to_have_url(re.compile(r"\?view=tasks&text=day%3D1\+%26\+%3Cb%3E$"))


def test_a_theme_and_a_zone_are_kept_for_the_next_visit(new_page: NewPage, page_server: ServerProcess) -> None:
    page = new_page(color_scheme="light", timezone_id="Asia/Kathmandu")
    page.goto(page_server.url)
    paper = page.locator("html")
    expect(paper).to_have_css("background-color", "rgb(255, 255, 255)")
    when = page.locator("time").first
    expect(when).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+05:45$"))
    expect(when).to_have_text(re.compile("now|ago"))
    page.get_by_role("button", name="UTC").click()
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme: light").click()
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    expect(paper).to_have_css("background-color", "rgb(18, 23, 30)")
    expect(when).to_have_attribute("title", re.compile(r":\d\d UTC$"))


def test_a_lost_server_is_told_and_what_is_shown_is_renewed_when_it_answers(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler, complaints: Complaints
) -> None:
    page.goto(page_server.url)
    running = page.get_by_label("Tasks by state").get_by_role("listitem").filter(has_text="running")
    expect(running).to_contain_text("0")
    page.route("**/api/*", lambda route: route.abort())
    assert page_scheduler.get_work(worker="w1")["task_id"] == "Extract_1"
    lost = page.get_by_role("alert").filter(has_text="No answer from the server for")
    expect(lost).to_be_visible()
    expect(page.get_by_text("It is tried again until it answers").first).to_be_visible()
    expect(running).to_contain_text("0")  # what was known stays
    page.unroute("**/api/*")
    expect(running).to_contain_text("1")
    expect(page.get_by_role("alert").filter(has_text=re.compile("answer"))).to_have_count(0)
    assert complaints.expected("net::ERR_FAILED")


def test_without_javascript_a_plain_page_says_what_to_do(new_page: NewPage, page_server: ServerProcess) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(page_server.url)
    told = page.locator("noscript p")
    expect(told).to_be_visible()
    expect(told).to_have_text(re.compile("This page needs JavaScript.* bsched top"))
    expect(page.locator("noscript a").first).to_have_attribute("href", "api/task_list")


def test_whoever_logs_in_comes_to_where_they_wanted_and_is_offered_what_they_may(
    new_page: NewPage, own_redis: RedisProcess, tmp_path: Path
) -> None:
    users = tmp_path / "users"
    users.write_text(
        "".join(user_line(name, "1", f"{role}@default") for name, role in (("eve", "viewer"), ("ann", "admin")))
    )
    options = ("--redis", own_redis.url, "--users-file", str(users), "--viewer-sees", "counts")
    server = ServerProcess(*options).await_ready()
    try:
        for name, views in (("eve", ["Now"]), ("ann", None)):
            page = new_page()
            page.goto(f"{server.url}/?view=audit")
            page.get_by_label("User").fill(name)
            page.get_by_label("Password").fill("1")
            page.get_by_role("button", name="Log in").click()
            expect(page).to_have_url(f"{server.url}/?view=audit")
            links = page.get_by_role("navigation").get_by_role("link")
            if views is None:
                expect(links.last).to_have_text("Audit")
                expect(page.get_by_role("button", name="Pause")).to_be_visible()
            else:
                expect(links).to_have_text(views)
                expect(page.get_by_text("Your role here does not see Audit")).to_be_visible()
                page.get_by_role("link", name="Now").click()
                expect(page.get_by_label("Tasks by state")).to_be_visible()
                expect(page.get_by_role("button", name="Pause")).to_have_count(0)
                assert server.request("POST", "/api/pause", headers=basic(name, "1")).status == 403
            page.get_by_role("button", name="Log out").click()
            expect(page.get_by_role("button", name="Log in")).to_be_visible()
            page.go_back()
            expect(page.get_by_role("button", name="Log in")).to_be_visible()
    finally:
        assert server.stop() == 0


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
