"""The view of one task: why it does not run, its error, its log, what is around it, and what can be done with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from broker_sched import Scheduler
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night, only_by_night
from tests.page.conftest import NewPage
from tests.server.access.asgi import user_line

ERROR = """Runtime error:
Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/luigi/worker.py", line 210, in run
    new_deps = self._run_get_new_deps()
               ^^^^^^^^^^^^^^^^^^^^^^^^
  File "/home/shop/etl/load.py", line 33, in load
    return pandas.read_csv(path)
  File "/srv/venv/lib/python3.11/site-packages/pandas/io/common.py", line 873, in get_handle
    handle = open(
FileNotFoundError: [Errno 2] No such file or directory: 'orders.csv'
"""
LOG = "".join(f"part {number} of orders.csv\n" for number in range(30)) + "\x1b[31mno more parts\x1b[0m\n10%\r90%\n"
WORKER = "Worker(host=etl1)"


@pytest.fixture(autouse=True)
def empty(own_redis: RedisProcess) -> None:
    own_redis.client.flushall()


@pytest.fixture
def shop(empty: None, page_scheduler: Scheduler) -> Scheduler:
    """Load has failed twice, Report waits for it and for one that is done; Train runs."""
    add = page_scheduler.add_task
    page_scheduler.add_worker(worker=WORKER, info={"workers": 3, "host": "etl1"})
    add(worker=WORKER, task_id="Load_1", family="Load", module="etl", params={"day": "2026-03-01"}, priority=9)
    for attempt in range(2):
        page_scheduler.get_work(worker=WORKER, host="etl1")
        page_scheduler.set_task_log(task_id="Load_1", log=LOG, size=9_999)
        add(worker=WORKER, task_id="Load_1", status="FAILED", expl=json.dumps(ERROR))
        if attempt == 0:
            page_scheduler.change_tasks(task_ids=["Load_1"], action="retry", by="ann")
    add(worker=WORKER, task_id="Extract_1", family="Extract", status="DONE")
    add(worker=WORKER, task_id="Report_1", family="Report", deps=["Load_1", "Extract_1"])
    add(worker=WORKER, task_id="Mail_1", family="Mail", deps=["Report_1"])
    return page_scheduler


def show(page: Page, server: ServerProcess, task_id: str) -> Locator:
    """Open the view of a task, and wait until it is there."""
    page.goto(f"{server.url}/?view=task&id={quote(task_id)}")
    expect(page.locator(".task .lead").first).not_to_be_empty()
    return page.locator(".task")


def status(scheduler: Scheduler, task_id: str) -> str:
    return scheduler.task_statuses(task_ids=[task_id])[task_id]["status"]


def test_a_failed_task_is_explained_down_to_the_users_own_line(
    page: Page, page_server: ServerProcess, shop: Scheduler
) -> None:
    task = show(page, page_server, "Load_1")
    expect(page).to_have_title("Load(day=2026-03-01) · shop · broker_sched")
    expect(task.locator("h2")).to_have_text(re.compile(r"✗\s*failed\s*Load\(day=2026-03-01\)"))
    lead = task.locator(".lead")
    expect(lead).to_contain_text("It failed at")
    expect(lead).to_contain_text("FileNotFoundError: [Errno 2] No such file or directory: 'orders.csv'")
    expect(lead.get_by_role("link", name=WORKER)).to_have_attribute("href", f"?view=worker&id={quote(WORKER)}")
    error = page.get_by_role("region", name="Error")
    own = error.locator(".frame.own")
    expect(own).to_have_count(1)
    expect(own).to_contain_text("/home/shop/etl/load.py, line 33, in load")
    expect(error.get_by_text("1 frame of luigi")).to_be_visible()
    expect(error.get_by_text("handle = open(")).to_be_hidden()
    error.get_by_text("1 frame of pandas").click()
    expect(error.get_by_text("handle = open(")).to_be_visible()
    expect(error.locator(".error-said")).to_have_text(re.compile("^FileNotFoundError"))
    error.get_by_role("button", name="As plain text").click()
    assert error.locator("pre").inner_text().rstrip() == ERROR.rstrip()
    facts = page.get_by_label("Facts about the task")
    for told in ("day", "2026-03-01", "Load", "etl", "in 14 min", WORKER):
        expect(facts).to_contain_text(told)
    runs = page.get_by_role("table", name="Runs of the task").locator("tbody tr")
    expect(runs).to_have_count(2)
    expect(runs.first).to_contain_text("etl1")
    changes = page.get_by_role("table", name="Changes of the task, newest first")
    expect(changes.locator("tbody tr")).to_have_count(5)
    expect(changes.get_by_role("row", name="failed → pending")).to_contain_text("ann")
    shop.change_tasks(task_ids=["Load_1"], action="disable", by="bea")  # elsewhere: the stream of events tells of it
    expect(task.locator("h2")).to_contain_text("disabled")
    expect(lead).to_contain_text("It was disabled by bea")
    expect(changes.get_by_role("row", name="failed → disabled")).to_contain_text("bea")


def test_a_log_is_searched_and_shown_as_a_terminal_shows_it(
    page: Page, page_server: ServerProcess, shop: Scheduler
) -> None:
    show(page, page_server, "Load_1")
    log = page.get_by_role("region", name=re.compile("^Log"))
    text = log.get_by_label("What it wrote")
    expect(text).to_contain_text("part 29 of orders.csv\nno more parts\n90%\n")
    expect(log.get_by_text(re.compile(r"^9,\d+ characters before this are not kept"))).to_be_visible()
    search = log.get_by_role("searchbox")
    search.fill("PART 2")
    expect(log.get_by_text("1 of 11")).to_be_visible()
    expect(text.locator("mark.current")).to_be_in_viewport()
    search.press("Shift+Enter")
    expect(log.get_by_text("11 of 11")).to_be_visible()
    search.press("Enter")
    expect(log.get_by_text("1 of 11")).to_be_visible()
    log.get_by_label("only lines with it").check()
    expect(text).to_have_text(re.compile(r"^part 2 of orders\.csv\s+part 20 of"))
    search.fill("(")
    expect(log.get_by_text("not found")).to_be_visible()
    search.press("Escape")
    expect(text).to_contain_text("part 0 of orders.csv")
    expect(log.get_by_text("bsched task logs Load_1")).to_be_visible()


def test_an_error_of_a_megabyte_is_shown_as_it_is(page: Page, page_server: ServerProcess, shop: Scheduler) -> None:
    shop.add_task(worker=WORKER, task_id="Load_1", status="FAILED", expl=json.dumps(ERROR * 2_500))
    show(page, page_server, "Load_1")
    error = page.get_by_role("region", name="Error")
    expect(error.locator("pre")).to_have_count(1)
    assert len(error.locator("pre").inner_text()) > 1_000_000
    expect(page.get_by_role("button", name="As plain text")).to_have_count(0)


def test_a_waiting_task_names_what_is_at_the_root_and_mends_it_there(
    page: Page, page_server: ServerProcess, shop: Scheduler
) -> None:
    task = show(page, page_server, "Mail_1")
    cause = task.locator(".causes > li")
    expect(cause).to_have_count(1)
    expect(cause).to_contain_text("Load_1 failed at")
    expect(cause.get_by_text("bsched task retry Load_1")).to_be_visible()
    cause.get_by_role("button", name="Retry it").click()
    expect(page.get_by_text("Load_1 is PENDING again.")).to_be_visible()
    expect(cause).to_have_attribute("data-code", "ready")
    cause.get_by_role("link", name="Load_1").click()
    expect(task.locator(".lead")).to_contain_text("Nothing keeps Load_1 back")
    page.go_back()
    expect(task.locator("h2")).to_contain_text("Mail()")


def test_what_it_needs_and_what_needs_it_are_counted_and_filtered_by_state(
    page: Page, page_server: ServerProcess, shop: Scheduler
) -> None:
    show(page, page_server, "Report_1")
    needs = page.get_by_role("region", name="What it needs").first
    rows = needs.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("FileNotFoundError")
    needs.get_by_role("button", name="1 done").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Extract")
    needs.get_by_role("button", name="2 tasks").click()
    expect(rows).to_have_count(2)
    expect(page.get_by_role("region", name="What needs it").first.locator("tbody tr")).to_contain_text("Mail()")
    expect(page.get_by_role("link", name="Draw the graph around it")).to_have_attribute(
        "href", "?view=graph&id=Report_1"
    )


@only_by_night
def test_deps_of_very_many_are_shown_part_by_part(page: Page, page_server: ServerProcess, shop: Scheduler) -> None:
    needs = show_wide(page, page_server, shop, 1100)
    more = needs.get_by_role("button", name="Show more")
    for shown in (r"2\d", r"1\d\d", r"5\d\d", r"1,0\d\d"):  # a page may have some more than were asked for
        expect(needs.get_by_text(re.compile(f"^The first {shown} of 1,100$"))).to_be_visible()
        more.click()
    expect(more).to_have_count(0)
    expect(needs.get_by_role("link", name="D()").first).to_be_visible()


def test_of_many_deps_the_first_are_shown_and_more_when_asked_for(
    page: Page, page_server: ServerProcess, shop: Scheduler
) -> None:
    needs = show_wide(page, page_server, shop, 30)
    expect(needs.get_by_text("The first 20 of 30")).to_be_visible()
    needs.get_by_role("button", name="Show more").click()
    expect(needs.locator("tbody tr")).to_have_count(30)


def show_wide(page: Page, server: ServerProcess, scheduler: Scheduler, width: int) -> Locator:
    """Open the view of a task that has so many deps, and return the part that lists them."""
    tasks = [{"task_id": f"d{number:04}", "family": "D"} for number in range(width)]
    for start in range(0, width, 550):
        scheduler.add_tasks(worker=WORKER, tasks=tasks[start : start + 550])
    scheduler.add_task(worker=WORKER, task_id="wide", deps=[each["task_id"] for each in tasks])
    while scheduler.task_details("wide")["n_deps"] < width:
        scheduler.prune()
    show(page, server, "wide")
    return page.get_by_role("region", name="What it needs").first


def running(scheduler: Scheduler, **more: object) -> None:
    scheduler.add_task(worker=WORKER, task_id="Train_1", family="Train", priority=99, accepts_messages=True, **more)
    assert scheduler.get_work(worker=WORKER, host="etl1")["task_id"] == "Train_1"


def test_a_running_task_is_followed_while_it_writes_and_says_how_far_it_is(
    page: Page, page_server: ServerProcess, shop: Scheduler
) -> None:
    running(shop, resources={"gpu": 1})
    shop.set_task_log(task_id="Train_1", log="epoch 1\n", size=8)
    task = show(page, page_server, "Train_1")
    log = page.get_by_label("What it wrote")
    expect(log).to_have_text("epoch 1\n")
    expect(page.get_by_label("Facts about the task")).to_contain_text("holds 1")
    shop.set_task_progress_percentage(task_id="Train_1", progress_percentage=42.5)
    shop.set_task_status_message(task_id="Train_1", status_message="loss 0.03")
    shop.set_task_log(task_id="Train_1", log="och 2\n", size=20_000)
    expect(task.get_by_role("img", name="42.5 % done, as the task says")).to_be_visible()
    expect(task.get_by_label("What the task says")).to_have_text("loss 0.03")
    expect(log).to_have_text("epoch 1\n\n… 19,986 characters were not seen here …\noch 2\n")
    shop.set_task_log(task_id="Train_1", log="och 2\nepoch 3\n", size=20_008)
    expect(log).to_contain_text("och 2\nepoch 3\n")
    shop.add_task(worker=WORKER, task_id="Train_1", status="DONE")
    expect(task.locator("h2")).to_contain_text("done")
    expect(log).to_contain_text("epoch 3")


def test_only_the_address_of_a_web_page_is_a_link(page: Page, page_server: ServerProcess, shop: Scheduler) -> None:
    running(shop, tracking_url="https://mlflow.example/1?a=b#c")
    task = show(page, page_server, "Train_1")
    link = task.locator(".progress").get_by_role("link", name="https://mlflow.example/1?a=b#c")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    for url in by_night(("javascript:alert(1)", "data:text/html,x", "no url"), ("javascript:alert(1)",)):
        shop.add_task(worker=WORKER, task_id="Train_1", status="RUNNING", tracking_url=url)
        show(page, page_server, "Train_1")
        expect(task.locator(".progress")).to_contain_text(f"Tracked at {url}")
        expect(task.locator(".progress a").filter(has_text=url)).to_have_count(0)


def test_a_message_is_sent_and_the_answer_is_shown(page: Page, page_server: ServerProcess, shop: Scheduler) -> None:
    running(shop)
    show(page, page_server, "Train_1")
    messages = page.get_by_role("region", name="Messages")
    messages.get_by_label("Message to the task").fill("how <b>far</b>?")
    expect(messages.get_by_text("bsched task message Train_1 'how <b>far</b>?'")).to_be_visible()
    messages.get_by_role("button", name="Send").click()
    expect(messages.get_by_text("No answer so far.")).to_be_visible()
    (sent,) = shop.ping(worker=WORKER)["rpc_messages"]
    assert sent["kwargs"]["content"] == "how <b>far</b>?"
    shop.add_scheduler_message_response("Train_1", sent["kwargs"]["message_id"], {"epoch": 3})
    expect(messages.get_by_label("Its answer")).to_have_text('{"epoch":3}')


def accept(page: Page) -> None:
    page.get_by_role("dialog").locator("button.danger").click()


ACTIONS: dict[str, tuple[str, str, Callable[[Page], None] | None, str | None]] = {
    "Retry": ("Load_1", "bsched task retry Load_1", None, "PENDING"),
    "Forgive failures": ("Load_1", "bsched task forgive Load_1", accept, "PENDING"),
    "Disable": ("Load_1", "bsched task disable Load_1", accept, "DISABLED"),
    "Mark as done": ("Load_1", "bsched task done Load_1", accept, "DONE"),
    "Remove": ("Mail_1", "bsched task remove Mail_1", accept, None),
}


@pytest.mark.parametrize("name", by_night(list(ACTIONS), ["Retry", "Remove"]))
def test_an_action_is_asked_about_done_and_told(
    page: Page, page_server: ServerProcess, shop: Scheduler, name: str
) -> None:
    task_id, line, answer, outcome = ACTIONS[name]
    task = show(page, page_server, task_id)
    task.get_by_text("As commands").click()
    expect(task.locator(".as-commands").get_by_text(line)).to_be_visible()
    page.get_by_role("group", name="What can be done").get_by_role("button", name=name, exact=True).click()
    if answer is not None:
        expect(page.get_by_role("dialog").get_by_text(line)).to_be_visible()
        answer(page)
    expect(page.locator(".notice")).to_contain_text(task_id)
    if outcome is None:
        expect(task.locator("h2")).to_have_text("There is no such task")
        assert not shop.task_statuses(task_ids=[task_id])
    else:
        expect(page.get_by_label("Facts about the task")).to_contain_text(outcome)
        assert status(shop, task_id) == outcome


def test_what_can_not_be_done_is_told_with_its_reason(page: Page, page_server: ServerProcess, shop: Scheduler) -> None:
    show(page, page_server, "Load_1")
    page.get_by_role("button", name="Remove", exact=True).click()
    accept(page)
    expect(page.locator(".notice-failed")).to_contain_text("Nothing was changed: It is needed by Report_1")
    assert status(shop, "Load_1") == "FAILED"


def test_a_disabled_task_is_enabled_and_a_running_one_stopped(
    page: Page, page_server: ServerProcess, shop: Scheduler
) -> None:
    shop.change_tasks(task_ids=["Load_1"], action="disable", by="ann")
    task = show(page, page_server, "Load_1")
    expect(task.locator(".lead")).to_contain_text("It was disabled by ann")
    page.get_by_role("button", name="Enable", exact=True).click()
    accept(page)
    expect(task.locator("h2")).to_contain_text("failed")
    running(shop)
    show(page, page_server, "Train_1")
    page.get_by_role("button", name="Stop and disable").click()
    accept(page)
    expect(page.get_by_text("Train_1 is asked to end.")).to_be_visible()
    (message,) = shop.ping(worker=WORKER)["rpc_messages"]
    assert message == {"name": "stop_task", "kwargs": {"task_id": "Train_1", "disable": True}}


def test_of_a_task_that_is_gone_the_events_tell(page: Page, page_server: ServerProcess, shop: Scheduler) -> None:
    shop.change_tasks(task_ids=["Mail_1"], action="remove", by="ann")
    task = show(page, page_server, "Mail_1")
    expect(task.locator("h2")).to_have_text("There is no such task")
    expect(task.locator(".lead")).to_contain_text("it was removed at")
    expect(task.get_by_role("row", name="pending → removed")).to_contain_text("ann")
    expect(task.get_by_role("link", name="The tasks of Mail")).to_be_visible()
    show(page, page_server, "Nobody_1")
    expect(task.get_by_text("No event tells of it")).to_be_visible()


def test_a_task_that_was_removed_tells_who_needs_it(page: Page, page_server: ServerProcess, shop: Scheduler) -> None:
    shop.change_tasks(task_ids=["Report_1"], action="done")
    shop.change_tasks(task_ids=["Load_1"], action="remove")
    task = show(page, page_server, "Load_1")
    expect(task.get_by_role("region", name="What needs it").first).to_contain_text("Report()")


def test_a_viewer_who_sees_names_is_told_what_is_kept_back(
    new_page: NewPage, own_redis: RedisProcess, shop: Scheduler, tmp_path: Path
) -> None:
    users = tmp_path / "users"
    users.write_text(user_line("eve", "1", "viewer@*"))
    users.chmod(0o600)
    where = ("--redis", own_redis.url, "--namespace", "shop", "--users-file", str(users), "--viewer-sees", "names")
    server = ServerProcess(*where).await_ready()
    page = new_page()
    page.goto(f"{server.url}/?view=task&id=Load_1")
    page.get_by_label("User").fill("eve")
    page.get_by_label("Password").fill("1")
    page.keyboard.press("Enter")
    task = page.locator(".task")
    expect(task.locator("h2")).to_contain_text("Load_1")
    expect(task.get_by_text("This server does not show viewers parameters, logs, errors")).to_be_visible()
    expect(task.get_by_text("Not shown to viewers here.")).to_be_visible()
    for kept_back in ("2026-03-01", "FileNotFoundError", "orders.csv"):
        expect(page.get_by_text(kept_back)).to_have_count(0)
    expect(page.get_by_role("group", name="What can be done")).to_have_count(0)
    expect(page.get_by_role("region", name=re.compile("^Log"))).to_have_count(0)
    page.close()  # it would ask on
    assert server.stop() == 0
