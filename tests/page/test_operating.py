"""The views for operators show and do what they say: workers, resources, submissions, events, settings, the audit."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from broker_sched import Scheduler
from tests.harness import ServerProcess
from tests.page.conftest import Complaints
from tests.servers import until

LIVE_MS = 8_000  # until a change shows, on a machine that is busy


@pytest.fixture(autouse=True, scope="module")
def fleet(page_scheduler: Scheduler) -> None:
    """Two workers, of which one runs a task that holds a resource, and a submission."""
    scheduler = page_scheduler
    scheduler.update_resources(db=1)
    for worker in ("build-1", "build-2"):
        scheduler.add_worker(
            worker=worker, info={"workers": 4, "host": f"{worker}.example", "version": "0.1.0", "ping_interval": 60}
        )
    for number, priority in enumerate((9, 5, 7)):
        scheduler.add_task(
            worker="build-1", task_id=f"Load_{number}", family="Load", priority=priority, resources={"db": 1}
        )
    scheduler.get_work(worker="build-1")
    scheduler.add_task(worker="build-2", task_id="Broken_1", family="Broken")
    scheduler.get_work(worker="build-2")
    scheduler.add_task(worker="build-2", task_id="Broken_1", status="FAILED", expl='"Oops\\nValueError: no such day"')
    for task_id, deps in (("Extract_1", []), ("Report_1", ["Extract_1"])):
        scheduler.add_task(worker="nightly", task_id=task_id, family=task_id.partition("_")[0], deps=deps)
    scheduler.add_submission(submission="nightly", tasks=["Report_1"])


def show(page: Page, server: ServerProcess, view: str, **params: str) -> None:
    query = "&".join(f"{name}={value}" for name, value in {"view": view, **params}.items())
    page.goto(f"{server.url}/?{query}")


def rows(page: Page, label: str) -> Locator:
    return page.get_by_role("table", name=label).locator("tbody tr")


def facts(page: Page) -> dict[str, str]:
    return {
        each.locator("dt").inner_text(): each.locator("dd").inner_text()
        for each in page.locator("dl.facts").first.locator("div").all()
    }


def confirm(page: Page, yes: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=yes).click()


def test_workers_are_listed_and_filtered_by_the_address(page: Page, page_server: ServerProcess) -> None:
    show(page, page_server, "workers")
    expect(rows(page, "Workers")).to_have_count(3)
    expect(rows(page, "Workers").filter(has_text="build-1")).to_contain_text("1 of 4")
    page.get_by_label("State").select_option("submission")
    expect(rows(page, "Workers")).to_have_count(1)
    expect(page).to_have_url(re.compile("state=submission"))
    page.get_by_label("State").select_option("")
    page.get_by_label("Name or host").fill("2.EXAMPLE")
    expect(rows(page, "Workers")).to_have_count(1)
    page.get_by_role("link", name="build-2").click()
    expect(page).to_have_title(re.compile("Worker build-2"))
    expect(rows(page, "Failed last")).to_contain_text("ValueError: no such day")


def test_a_worker_is_given_processes_drained_and_disabled(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    show(page, page_server, "worker", id="build-1")
    expect(rows(page, "Running")).to_contain_text("Load_0")
    assert facts(page)["Runs"].strip() == "1 of 4 at once"
    page.get_by_text("Processes…").click()
    page.get_by_label("Tasks at once").fill("many")
    page.get_by_label("Tasks at once").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="It is a whole number, 1 or more.")).to_be_visible()
    expect(page.get_by_label("Tasks at once")).to_be_focused()
    expect(page.get_by_label("Tasks at once")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Tasks at once").fill("2")
    expect(page.get_by_text("bsched worker set-processes build-1 2")).to_be_visible()
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("build-1 is asked to run 2 tasks at once.")).to_be_visible()
    page.get_by_text("Drain…").click()
    page.get_by_label("Give back").fill("90")
    page.get_by_role("button", name="Drain", exact=True).click()
    expect(page.get_by_text("build-1 is disabled.")).to_be_visible()  # it has no start id, as Luigi's
    expect(page.locator("dl.facts").get_by_text("disabled")).to_be_visible()
    expect(page.get_by_role("button", name="Disable", exact=True)).to_have_count(0)
    names = [each["name"] for each in page_scheduler.ping(worker="build-1")["rpc_messages"]]
    assert names == ["set_worker_processes"]
    show(page, page_server, "worker", id="build-2")
    page.get_by_role("button", name="Disable", exact=True).click()
    confirm(page, "Disable it")
    until(lambda: page_scheduler.worker_details("build-2")["state"] == "disabled", "it is disabled")


def test_a_worker_that_has_died_is_forgotten_with_force(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    page_scheduler.add_worker(worker="gone", info={"version": "0.1.0", "ping_interval": 60})
    show(page, page_server, "worker", id="gone")
    page.get_by_text("Forget…").click()
    page.get_by_role("button", name="Forget", exact=True).click()
    confirm(page, "Forget it")
    expect(page.get_by_text("gone is not forgotten. It was heard of")).to_be_visible()
    page.get_by_label("also when it was heard of").check()
    expect(page.get_by_text("bsched worker forget --force --yes gone")).to_be_visible()
    page.get_by_role("button", name="Forget", exact=True).click()
    confirm(page, "Forget it")
    expect(page.get_by_text("There is no worker of this name")).to_be_visible()


def test_a_resource_shows_who_has_the_next_turn_and_its_limit_is_changed(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    show(page, page_server, "resources")
    expect(rows(page, "Resources")).to_contain_text("all")
    page.get_by_role("link", name="db").click()
    expect(rows(page, "Held by")).to_contain_text("Load_0")
    expect(rows(page, "Wanted by")).to_have_text([re.compile("Load_2"), re.compile("Load_1")])
    page.get_by_label("Limit", exact=True).fill("-1")
    page.get_by_role("button", name="Set the limit").click()
    expect(page.get_by_role("alert").filter(has_text="A limit is a number, 0 or more.")).to_be_visible()
    page.get_by_label("Limit", exact=True).fill("3")
    page.get_by_role("button", name="Set the limit").click()
    expect(page.locator("dl.facts").get_by_text("1 of 3")).to_be_visible()
    assert page_scheduler.resource_list()[0]["num_total"] == 3
    page.get_by_role("button", name="Remove the limit").click()
    confirm(page, "Remove it")
    expect(page.locator("dl.facts").get_by_text("1, as any resource without one")).to_be_visible()
    show(page, page_server, "resources")
    page.get_by_text("Limit another resource…").click()
    page.get_by_label("Name and limit").fill("gpu = 2")
    page.get_by_label("Name and limit").press("Enter")
    expect(page.get_by_role("heading", name="Resource gpu")).to_be_visible()
    expect(page.locator("dl.facts").get_by_text("0 of 2")).to_be_visible()


def test_a_submission_shows_how_far_it_is_and_is_cancelled(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    show(page, page_server, "submissions")
    expect(rows(page, "Submissions")).to_contain_text("0 running, 2 pending")
    page.get_by_role("link", name="nightly").click()
    expect(rows(page, "Tasks by family and state")).to_have_count(2)
    assert facts(page)["Done"] == "0 of 2 tasks"
    assert "was DONE yet" in facts(page)["May end"] or "no worker" in facts(page)["May end"]
    page.get_by_role("button", name="Cancel the submission").click()
    confirm(page, "Cancel it")
    expect(page.locator("dl.facts").get_by_text("cancelled")).to_be_visible()
    assert page_scheduler.submission("nightly")["state"] == "CANCELLED"


def test_events_are_filtered_stand_still_when_paused_and_go_back_in_time(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    show(page, page_server, "events", family="Broken")
    expect(rows(page, "Changes, newest first")).to_have_text(
        [re.compile("running.*failed.*Broken_1"), re.compile("pending.*running")]
    )
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Go on")).to_have_attribute("aria-pressed", "true")
    page_scheduler.forgive_failures("Broken_1")
    expect(page).to_have_url(re.compile("paused=1"))
    expect(rows(page, "Changes, newest first")).to_have_count(2)
    page.get_by_role("button", name="Go on").click()
    expect(rows(page, "Changes, newest first")).to_have_count(3)
    page.keyboard.press("p")
    page.get_by_label("Changed to").select_option("FAILED")
    expect(rows(page, "Changes, newest first")).to_have_count(1)  # another question is answered, and stands still then
    last = page_scheduler.events(family="Broken")["events"][-1]["id"]
    show(page, page_server, "events", family="Broken", before=last)
    expect(rows(page, "Changes, newest first")).to_have_count(2)
    page.get_by_role("link", name="Back to the newest").click()
    expect(rows(page, "Changes, newest first")).to_have_count(3)


def test_settings_are_changed_and_what_is_wrong_is_said_at_the_field(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler, complaints: Complaints
) -> None:
    show(page, page_server, "settings", text="retry_delay")
    expect(page.get_by_role("listitem")).to_have_count(1)
    expect(page.get_by_text("a FAILED task goes back to PENDING after this")).to_be_visible()
    page.get_by_role("button", name="Change retry_delay").click()
    field = page.get_by_label("New value of retry_delay")
    expect(field).to_be_focused()
    field.fill("soon")
    field.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="is a number of seconds (negative: never)")).to_be_visible()
    assert complaints.expected("400")
    field.fill("60")
    expect(page.get_by_text("bsched config set retry_delay=60")).to_be_visible()
    field.press("Enter")
    expect(page.get_by_role("listitem")).to_contain_text("default 900")
    assert page_scheduler.config().retry_delay == 60
    page.get_by_role("button", name="Change retry_delay").click()
    page.get_by_role("button", name="Back to the default").click()
    expect(page.get_by_role("listitem")).to_contain_text("the default")
    show(page, page_server, "settings", change="pause_enabled")
    page.get_by_label("New value of pause_enabled").select_option("false")
    page.get_by_role("button", name="Save").click()
    until(lambda: not page_scheduler.config().pause_enabled, "it is off")


def test_the_audit_shows_who_did_what_and_what_was_refused(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    page_scheduler.update_resources(tape=1)
    with pytest.raises(Exception, match="retry_count"):
        page_scheduler.update_options({"retry_count": "often"})
    show(page, page_server, "audit", method="update_options", result="refused")
    expect(rows(page, "Records, newest first").first).to_contain_text("refused: ")
    page.get_by_label("Result").select_option("done")
    page.get_by_label("Method").fill("update_resources")
    expect(rows(page, "Records, newest first").first).to_contain_text("tape")
    command = "bsched audit --method update_resources --result done"
    expect(page.get_by_text(command)).to_be_visible()
    page.get_by_label("Who").fill("nobody")
    expect(page.get_by_text("No such record")).to_be_visible()


def test_what_others_change_shows_at_once(page: Page, page_server: ServerProcess, page_scheduler: Scheduler) -> None:
    """Each of these views is asked anew by a timer, too, but not within so short a time."""
    show(page, page_server, "settings", text="disable_persist")
    expect(page.get_by_role("listitem")).to_contain_text("the default")
    page_scheduler.update_options({"disable_persist": 60}, by="bob")
    expect(page.get_by_role("listitem")).to_contain_text("Set by bob", timeout=LIVE_MS)
    show(page, page_server, "resources")
    expect(page.locator("main table, main .empty").first).to_be_visible()
    page_scheduler.update_resources(seen=7)
    expect(rows(page, "Resources").filter(has_text="seen")).to_contain_text("7", timeout=LIVE_MS)
    show(page, page_server, "submissions")
    expect(page.locator("main table, main .empty").first).to_be_visible()
    page_scheduler.add_task(worker="weekly", task_id="Weekly_1", family="Weekly")
    page_scheduler.add_submission(submission="weekly", tasks=["Weekly_1"])
    expect(rows(page, "Submissions").filter(has_text="weekly")).to_be_visible(timeout=LIVE_MS)
    show(page, page_server, "workers")
    expect(rows(page, "Workers").first).to_be_visible()
    page_scheduler.add_worker(worker="fresh", info={})
    expect(rows(page, "Workers").filter(has_text="fresh")).to_be_visible(timeout=LIVE_MS)
    show(page, page_server, "audit")
    expect(rows(page, "Records, newest first").first).to_be_visible()
    page_scheduler.update_resources(heard=1)
    expect(rows(page, "Records, newest first").first).to_contain_text("heard", timeout=LIVE_MS)
