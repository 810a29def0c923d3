"""When an answer is late, wrong or missing the page says so in words, keeps what it has, and repairs itself."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from broker_sched import Scheduler
from tests.harness import ServerProcess
from tests.page.conftest import Complaints

WORKERS = re.compile("/api/workers$")


@pytest.fixture(autouse=True, scope="module")
def workers(page_scheduler: Scheduler) -> None:
    for worker in ("anna", "bob"):
        page_scheduler.add_worker(worker=worker, info={"ping_interval": 60})


def refusing(page: Page, status: int, body: str = "<h1>Bad Gateway</h1>", content_type: str = "text/html") -> list[Any]:
    """Have the calls of `workers` answered so, and return those that came."""
    came: list[Any] = []

    def answer(route: Route) -> None:
        came.append(route.request.url)
        route.fulfill(status=status, body=body, content_type=content_type)

    page.route(WORKERS, answer)
    return came


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (502, "<h1>Bad Gateway</h1>", "The server, or a proxy before it, answered 502."),
        (500, '{"error": {"type": "Internal", "message": "It broke."}}', "It broke."),
        (503, '{"error": {"type": "RedisUnavailable", "message": "Redis is away."}}', "Redis is away."),
        (429, '{"error": {"type": "TooMany", "message": "Ask again in 1 s."}}', "Ask again in 1 s."),
        (403, '{"error": {"type": "Forbidden", "message": "Your role may not."}}', "Your role may not."),
        (200, "<h1>Log in to the hotel's Wi-Fi</h1>", "answered 200"),
    ],
)
def test_an_answer_that_is_none_is_told_in_words_and_asked_for_again(
    page: Page, page_server: ServerProcess, complaints: Complaints, status: int, body: str, words: str
) -> None:
    came = refusing(page, status, body)
    page.goto(f"{page_server.url}/?view=workers")
    expect(page.get_by_role("alert").filter(has_text=words)).to_be_visible()
    assert came
    page.unroute(WORKERS)
    expect(page.get_by_role("table", name="Workers").locator("tbody tr")).to_have_count(2)
    expect(page.get_by_role("alert").filter(has_text=words)).to_have_count(0)
    complaints.expected("Failed to load resource")


def test_what_was_there_stays_in_sight_while_the_server_is_away(
    page: Page, page_server: ServerProcess, complaints: Complaints
) -> None:
    page.goto(f"{page_server.url}/?view=workers")
    rows = page.get_by_role("table", name="Workers").locator("tbody tr")
    expect(rows).to_have_count(2)
    page.context.set_offline(True)
    expect(page.get_by_role("alert").filter(has_text="The server does not answer.")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="No answer from the server for")).to_be_visible()
    expect(rows).to_have_count(2)
    page.context.set_offline(False)
    expect(page.get_by_role("alert").filter(has_text="The server")).to_have_count(0)
    expect(page.get_by_role("alert").filter(has_text="No answer")).to_have_count(0)
    complaints.expected("ERR_INTERNET_DISCONNECTED")


def test_a_late_answer_is_waited_for_in_words_and_one_to_an_earlier_question_is_dropped(
    page: Page, page_server: ServerProcess
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "Slow" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile("/api/events$"), hold)
    page.goto(f"{page_server.url}/?view=events&family=Slow")
    expect(page.get_by_role("status").filter(has_text="Loading…")).to_be_visible()
    page.get_by_label("Family").fill("Quick")
    expect(page.get_by_text("No such change")).to_be_visible()
    event = {"id": "1-0", "task_id": "Slow_1", "family": "Slow", "from": "", "to": "DONE", "worker": None, "time": 1.0}
    late = {"events": [{**event, "refused": None, "asked": None, "by": None}], "last": "1-0", "first": None}
    for route in held:
        try:
            route.fulfill(json={"response": {**late, "complete": True}})
        except Exception:  # the page has given the question up
            continue
    expect(page.get_by_text("No such change")).to_be_visible()
    expect(page.get_by_text("Slow_1")).to_have_count(0)


def test_an_action_that_fails_says_why_and_can_be_tried_again(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler, complaints: Complaints
) -> None:
    page.goto(f"{page_server.url}/?view=worker&id=bob")
    page.route(re.compile("/api/disable_worker$"), lambda route: route.abort())
    page.get_by_role("button", name="Disable", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Disable it").click()
    expect(page.get_by_role("status").get_by_text("The server does not answer.")).to_be_visible()
    page.unroute(re.compile("/api/disable_worker$"))
    page.get_by_role("button", name="Disable", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Disable it").click()
    expect(page.locator("dl.facts").get_by_text("disabled")).to_be_visible()
    complaints.expected("ERR_FAILED")
