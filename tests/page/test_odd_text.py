"""Texts and numbers that no keyboard has: unseen and half characters, very long names, numbers beyond 2^53."""

from __future__ import annotations

import os
import subprocess
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from broker_sched import Scheduler
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.page.conftest import NewPage
from tests.page.modules import called

HALF = "caf\udce9.csv"  # as Python makes it of a file name in Latin-1
UNSEEN = "safe\u202egpj.exe\x1b[2J\x00\u200bend"
LONG = "L" * 8192
LONG_WORDS = "w " * 4096
RTL = "עברית"
BIG = 2**53 + 1
WORKER = f"worker {HALF}"
VIEWS: list[tuple[str, dict[str, str]]] = [
    *(("now", {}), ("tasks", {}), ("workers", {}), ("events", {}), ("audit", {}), ("resources", {}), ("timeline", {})),
    *(("submissions", {}), ("tasks", {"family": LONG}), ("task", {"id": LONG}), ("task", {"id": LONG_WORDS})),
    *(("worker", {"id": LONG}), ("resource", {"name": LONG}), ("graph", {"id": LONG})),
]


@pytest.fixture(scope="module")
def planted(own_redis: RedisProcess, page_scheduler: Scheduler) -> Scheduler:
    own_redis.client.flushall()
    scheduler = page_scheduler

    def add(task_id: str, worker: str = WORKER, **more: Any) -> None:
        scheduler.add_task(worker=worker, task_id=task_id, **{"family": "F", **more})

    add("big", params={"seed": BIG, "least": -(2**63), "more": 10**30, "exact": 2**53 - 1}, priority=2**53)
    scheduler.update_resources(**{"disk": 2**53, LONG: 3})
    scheduler.set_task_log(task_id="big", log="x" * 10, size=2**60)
    add(HALF, params={"file": HALF})
    add(UNSEEN, params={"name": UNSEEN, "right": RTL})
    add("needs odd ones", deps=[HALF, UNSEEN, "\ue000d800"])
    scheduler.add_worker(worker=LONG, info={"host": LONG, "note": LONG})
    for task_id in (LONG, LONG_WORDS):
        add(task_id, worker=LONG, family=LONG, module=LONG, params={LONG: LONG}, resources={LONG: 1})
    scheduler.get_work(worker=LONG, host=LONG)
    add(LONG, worker=LONG, family=LONG, status="FAILED", expl=LONG)
    scheduler.change_tasks([LONG_WORDS], "disable", by="b" * 200)
    scheduler.add_worker(worker=f"{LONG[1:]}s", info={})
    scheduler.add_task(worker=f"{LONG[1:]}s", task_id=LONG_WORDS, runnable=False)
    scheduler.add_submission(submission=f"{LONG[1:]}s", tasks=[LONG_WORDS])
    return scheduler


def show(page: Page, server: ServerProcess, view: str, **params: str) -> None:
    page.goto(f"{server.url}/?{urlencode({'view': view, **params})}")
    expect(page.locator("main")).not_to_be_empty()


def test_numbers_beyond_what_javascript_counts_with_are_exact(
    page: Page, page_server: ServerProcess, planted: Scheduler
) -> None:
    show(page, page_server, "task", id="big")
    params = page.locator(".params")
    for name, value in (
        ("seed", "9007199254740993"),
        ("least", "-9223372036854775808"),
        ("more", "1000000000000000000000000000000"),
        ("exact", "9007199254740991"),
    ):
        expect(params.locator("div").filter(has_text=name).locator("code")).to_have_text(value)
    expect(page.get_by_label("Facts about the task")).to_contain_text("9,007,199,254,740,992")
    expect(page.get_by_text("1,152,921,504,606,8")).to_be_visible()


def test_a_time_that_no_calendar_has_breaks_nothing(page: Page, page_server: ServerProcess, planted: Scheduler) -> None:
    planted.update_options({"retry_delay": 1e17})
    planted.add_task(worker=WORKER, task_id="never", family="F", status="FAILED", expl='"no"')
    show(page, page_server, "task", id="never")
    expect(page.get_by_label("Facts about the task")).to_contain_text("100000001")
    planted.update_options({"retry_delay": None})


def test_unseen_and_half_characters_are_written_as_escapes(
    page: Page, page_server: ServerProcess, planted: Scheduler
) -> None:
    show(page, page_server, "task", id=UNSEEN)
    expect(page.locator(".task-id code")).to_have_text(r"safe\u202egpj.exe\u001b[2J\u0000\u200bend")
    expect(page.locator(".params")).to_contain_text(RTL)


def test_a_link_leads_to_a_task_whose_id_no_address_can_hold(
    page: Page, page_server: ServerProcess, planted: Scheduler
) -> None:
    show(page, page_server, "task", id="needs odd ones")
    for task_id, shown in ((HALF, r"caf\udce9.csv"), ("\ue000d800", "\ue000d800")):
        page.get_by_label("What it needs").first.locator("tbody a").filter(has_text=shown).click()
        expect(page.locator(".task-id code")).to_have_text(shown)
        if task_id == HALF:
            expect(page.locator(".params")).to_contain_text(shown)
            expect(
                page.get_by_label("Facts about the task").get_by_role("link", name=rf"worker {shown}")
            ).to_be_visible()
            page.reload()
            expect(page.locator("h2")).to_contain_text(rf"F(file={shown})")
        else:
            expect(page.locator("h2")).to_contain_text("unknown")
        page.go_back()
    planted.change_tasks([HALF], "done")


@pytest.mark.parametrize("width", by_night([1280, 360], [360]))
def test_very_long_names_leave_the_page_as_wide_as_the_window(
    new_page: NewPage, page_server: ServerProcess, planted: Scheduler, width: int
) -> None:
    page = new_page(viewport={"width": width, "height": 800})
    wide = []
    for view, params in VIEWS:
        show(page, page_server, view, **params)
        expect(page.locator("main .loading")).to_have_count(0)
        if view == "task":
            expect(page.locator("main .lead").first).not_to_be_empty()
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append((view, *params))
    assert wide == []


def test_a_command_with_what_no_keyboard_has_is_read_by_a_shell_as_it_was_meant() -> None:
    words = [HALF, UNSEEN.replace("\0", ""), "two\nlines\tand 'quotes' \\ $(no) `no` \\x41", RTL, "plain"]
    lines = called([("commands.js", "quoted", word) for word in words])
    assert all(character.isprintable() for line in lines for character in line), "what is shown is what is copied"
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {' '.join(lines)}"], capture_output=True, env=environment, check=True
    )
    assert said.stdout.split(b"\0")[:-1] == [os.fsencode(word) for word in words]
