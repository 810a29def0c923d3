"""Whatever people and tasks can name or write is shown as text: markup makes no element, and runs nothing.

A namespace is filled with markup in every field that a user, a worker or a task can set, and every view is loaded. The
policy would keep a script from running; these tests want more: that none ever comes into the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Dialog, Page, expect

from broker_sched import Scheduler
from tests.harness import RedisProcess, ServerProcess

MARKUP = (
    "<img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)></svg><b class=foreign>"
    "\"'`--></title></textarea></style>{{7*7}}${7*7}<a href='javascript:alert(4)'>&lt;&amp;#60;"
)
SHOWN = "<img src=x onerror=alert(1)><script>alert(2)</script>"  # the beginning of it, as text
FOREIGN = (
    "img, iframe, object, embed, base, style, template, .foreign, [onerror], [onload], [onclick], "
    "script:not([src^='page/']), link:not([href^='page/']), a[href^='javascript' i], a[href^='data:' i], "
    "body title:not(svg title)"
)


def named(name: str) -> str:
    """A text that says what it stands for, with markup in it."""
    return f"{name} {MARKUP}"


WORKER, OTHER_WORKER, SUBMISSION = named("worker"), named("worker2"), named("submission")
FAMILY, RESOURCE = named("Family"), named("resource")
FAILED, RUNNING, WAITING, DISABLED, GONE, REFUSED, DONE, BATCHED = (
    named(name) for name in ("failed", "running", "waiting", "disabled", "gone", "refused", "done", "batched")
)
ERROR = (
    f'Traceback (most recent call last):\n  File "/home/{MARKUP}/a.py", line 3, in {MARKUP}\n    {MARKUP}\n'
    f"ValueError: {named('error')}"
)


def plant(scheduler: Scheduler) -> None:
    """Put markup into every field."""

    def add(task_id: str, worker: str = WORKER, **more: Any) -> None:
        params = {"day": "2026-03-01", named("parameter"): named("value"), "list": [named("item")]}
        given = {"family": FAMILY, "module": named("module"), "params": params, **more}
        scheduler.add_task(worker=worker, task_id=task_id, **given)

    info = {"workers": 3, "host": named("host"), "version": named("version"), named("info"): named("told")}
    for worker in (WORKER, OTHER_WORKER):
        scheduler.add_worker(worker=worker, info={**info, "modules": [named("pattern")]})
    scheduler.add_worker(worker=SUBMISSION, info={"host": named("host")})
    scheduler.update_resources(**{RESOURCE: 3})
    for task_id in (DONE, GONE):
        add(task_id, status="DONE")
    scheduler.change_tasks([GONE], "remove", by=named("author"))
    add(FAILED, priority=9, owners=[named("owner")])
    scheduler.get_work(worker=WORKER, host=named("host"))
    scheduler.set_task_log(task_id=FAILED, log=f"{named('log')}\n", size=10_000)
    add(FAILED, status="FAILED", expl=json.dumps(ERROR))
    add(RUNNING, priority=8, resources={RESOURCE: 1}, accepts_messages=True)
    scheduler.get_work(worker=WORKER, host=named("host"))
    add(RUNNING, status="RUNNING", tracking_url=f"javascript:alert('{MARKUP}')", accepts_messages=True)
    scheduler.set_task_status_message(task_id=RUNNING, status_message=named("message"))
    scheduler.set_task_progress_percentage(task_id=RUNNING, progress_percentage=7)
    scheduler.set_task_log(task_id=RUNNING, log=f"{named('log')}\n", size=10_000)
    add(BATCHED, status="RUNNING", batch_id=named("batch"))
    add(DISABLED)
    scheduler.change_tasks([DISABLED], "disable", by=named("author"))
    add(WAITING, deps=[FAILED, DISABLED, DONE, named("missing")])
    scheduler.add_task(worker=SUBMISSION, task_id=WAITING, runnable=False, params={})
    scheduler.add_submission(submission=SUBMISSION, tasks=[WAITING])
    add(REFUSED, worker=OTHER_WORKER, module=named("module"))
    scheduler.get_work(worker=OTHER_WORKER, host=named("host"))
    scheduler.refuse_tasks(worker=OTHER_WORKER, task_ids=[REFUSED], reason=named("reason"), seconds=600)
    scheduler.pause_family(family=named("paused"))
    scheduler.update_options({"retry_delay": 60}, by=named("author"))


# View, parameters, and which of the planted fields are seen there: else nothing would be shown about them.
VIEWS: list[tuple[str, dict[str, str], list[str]]] = [
    ("now", {}, ["Family", "error"]),
    ("tasks", {"family": FAMILY}, ["Family", "parameter", "value", "error", "worker"]),
    (
        "task",
        {"id": FAILED},
        ["failed", "Family", "module", "parameter", "value", "item", "log", "error", "worker", "host"],
    ),
    ("task", {"id": RUNNING}, ["running", "message", "resource", "worker"]),
    ("task", {"id": BATCHED}, ["batch"]),
    ("task", {"id": WAITING}, ["disabled", "missing", "author"]),
    ("task", {"id": DISABLED}, ["author"]),
    ("task", {"id": GONE}, ["gone", "author"]),
    ("task", {"id": REFUSED}, ["worker2", "reason"]),
    ("tasks", {}, ["Family"]),
    ("tasks", {"family": FAMILY, "status": "FAILED", "text": named("value"), "worker": WORKER}, ["Family"]),
    ("grid", {"family": FAMILY}, ["Family"]),
    ("graph", {"id": WAITING}, ["Family"]),
    ("graph", {"id": FAILED, "direction": "dependents"}, ["Family"]),
    ("timeline", {}, ["worker"]),
    ("workers", {}, ["worker", "worker2", "host", "version"]),
    ("worker", {"id": WORKER}, ["worker", "host", "version", "info", "told", "running"]),
    ("worker", {"id": OTHER_WORKER}, ["worker2", "pattern", "module"]),
    ("resources", {}, ["resource"]),
    ("resource", {"name": RESOURCE}, ["resource", "running"]),
    ("submissions", {}, ["submission"]),
    ("submission", {"id": SUBMISSION}, ["submission", "waiting"]),
    ("events", {}, ["failed", "running", "worker", "author"]),
    ("settings", {}, ["author"]),
    ("audit", {}, ["disabled", "author"]),
    (MARKUP, {MARKUP: MARKUP, "id": MARKUP}, []),
]


@pytest.fixture(scope="module")
def planted(own_redis: RedisProcess, page_scheduler: Scheduler) -> Scheduler:
    own_redis.client.flushall()
    plant(page_scheduler)
    return page_scheduler


@pytest.fixture
def watched(page: Page) -> Iterator[Page]:
    """A tab in which no dialog may open."""
    opened: list[str] = []

    def note(dialog: Dialog) -> None:
        opened.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    yield page
    assert opened == []


def address(server: ServerProcess, view: str, params: dict[str, str]) -> str:
    return f"{server.url}/?{urlencode({'view': view, **params})}"


def test_no_view_takes_markup_for_elements(watched: Page, page_server: ServerProcess, planted: Scheduler) -> None:
    for view, params, names in VIEWS:
        watched.goto(address(page_server, view, params))
        main = watched.locator("main")
        expect(main).not_to_be_empty()
        for name in names:
            expect(main, f"{name} in {view} {params}").to_contain_text(f"{name} {SHOWN}")
        assert watched.locator(FOREIGN).count() == 0, (view, params)


def test_a_task_shows_all_that_it_says_of_itself_as_text(
    watched: Page, page_server: ServerProcess, planted: Scheduler
) -> None:
    watched.goto(address(page_server, "task", {"id": RUNNING}))
    task = watched.locator(".task")
    for name in ("parameter", "value", "module", "message", "worker", "resource", "log", "Family"):
        expect(task.get_by_text(named(name)).first, name).to_be_visible()
    expect(task).to_contain_text(f"Tracked at javascript:alert('{MARKUP}')")
    watched.get_by_label("Message to the task").fill(named("sent"))
    watched.get_by_role("button", name="Send").click()
    expect(watched.locator(".messages")).to_contain_text(f"sent {SHOWN}")
    (message,) = planted.ping(worker=WORKER)["rpc_messages"]
    planted.add_scheduler_message_response(RUNNING, message["kwargs"]["message_id"], named("answer"))
    expect(watched.get_by_label("Its answer")).to_have_text(named("answer"))
    watched.get_by_role("button", name="Mark as done").click()
    expect(watched.get_by_role("dialog")).to_contain_text(SHOWN)
    assert watched.locator(FOREIGN).count() == 0
    watched.goto(address(page_server, "task", {"id": FAILED}))
    watched.get_by_role("searchbox", name="Search in the log").fill("<script>")
    expect(task.locator("mark")).to_have_text("<script>")
    error = watched.get_by_role("region", name="Error")
    expect(error.locator(".frame")).to_contain_text(MARKUP)
    expect(error.locator(".error-said")).to_have_text(f"ValueError: {named('error')}")
    watched.get_by_role("button", name="Remove").click()
    watched.get_by_role("dialog").locator("button.danger").click()
    expect(watched.locator(".notice-failed")).to_contain_text(SHOWN)
    assert watched.locator(FOREIGN).count() == 0
