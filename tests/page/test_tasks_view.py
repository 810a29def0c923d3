"""The views `tasks` and `grid`: exact numbers, a list of which the address says all, and one thing done with very many.

3,000 tasks: 20 families by day, of which every tenth has failed.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from broker_sched import Scheduler
from tests.cli.commands import Bsched
from tests.harness import RedisProcess, ServerProcess
from tests.page.commands import lines_on, parsed
from tests.page.conftest import NAMESPACE, Complaints, NewPage
from tests.server.access.asgi import basic, user_line

TASKS, FAMILIES, DAYS = 3000, 20, 30


def task(number: int) -> dict[str, object]:
    day, family = number // FAMILIES % DAYS, number % FAMILIES
    params = {"date": f"2024-03-{day + 1:02}", "part": str(number // FAMILIES // DAYS), "kind": "ab"[number % 2]}
    return {"task_id": f"Family{family}_{number}", "family": f"Family{family}", "params": params}


@pytest.fixture(autouse=True, scope="module")
def tasks(page_scheduler: Scheduler) -> None:
    """Every tenth failed: all those of the families 3 and 13. Those of family 4 are done."""
    for start in range(0, TASKS, 1000):
        page_scheduler.add_tasks(worker="w", tasks=[task(number) for number in range(start, start + 1000)])
    reports = [
        {**task(number), "status": "FAILED", "expl": f"ValueError: {number % 3}"} for number in range(3, TASKS, 10)
    ]
    reports += [{**task(number), "status": "DONE"} for number in range(4, TASKS, FAMILIES)]
    page_scheduler.add_tasks(worker="w", tasks=reports)
    page_scheduler.add_task(worker="w", task_id="above", family="Above", deps=["Family3_3"])


def opened(page: Page, server: ServerProcess, query: str) -> Page:
    page.goto(f"{server.url}/?view={query}")
    return page


def rows(page: Page) -> Locator:
    return page.get_by_role("table", name="Tasks").locator("tbody tr[data-key]")


def options_of(page: Page, name: str) -> dict[str, Any]:
    """What the real command line makes of the one line on the page that begins so; it takes all the others, too."""
    read = {line: parsed(line) for line in lines_on(page)}
    (found,) = (options for line, options in read.items() if line.startswith(f"bsched {name}"))
    return found


def dry_run(page: Page, server: ServerProcess, name: str) -> dict[str, Any]:
    """What the one line on the page that begins so would do, carried out on the same server."""
    (line,) = (each for each in lines_on(page) if each.startswith(f"bsched {name}"))
    told: dict[str, Any] = Bsched("--scheduler-url", server.url).json(*shlex.split(line)[1:], "--dry-run")
    return told


def by_status(scheduler: Scheduler, family: str) -> dict[str, int]:
    return {each["family"]: each["tasks"] for each in scheduler.families()["families"]}[family]


def test_families_are_counted_exactly_and_each_number_leads_to_its_tasks(
    page: Page, page_server: ServerProcess
) -> None:
    opened(page, page_server, "tasks")
    table = page.get_by_role("table", name="Families")
    row = table.get_by_role("row").filter(has=page.get_by_role("link", name="Family4", exact=True))
    expect(row.get_by_role("link", name="150", exact=True)).to_have_count(2)  # all, and done
    total = table.get_by_role("row").filter(has_text="All families")
    expect(total.get_by_role("link").nth(1)).to_have_text("3,001")
    assert len(rows_of(table)) == FAMILIES + 2
    table.get_by_role("row").filter(has_text="Family13").locator("a.state-failed").click()
    expect(page).to_have_url(re.compile(r"\?view=tasks&family=Family13&status=FAILED$"))
    expect(page.get_by_role("status").filter(has_text="150 tasks")).to_be_visible()
    expect(rows(page).first).to_contain_text("failed")
    shown = options_of(page, "task list")
    assert (shown["family"], shown["status"]) == ("Family13", "FAILED")


def rows_of(table: Locator) -> list[str]:
    expect(table.locator("tbody tr[data-key]").first).to_be_visible()
    return table.locator("tbody tr[data-key]").all_text_contents()


def test_filters_are_in_the_address_and_the_list_goes_on_until_all_are_looked_at(
    page: Page, page_server: ServerProcess
) -> None:
    opened(page, page_server, "tasks")
    expect(page.get_by_role("table", name="Families")).to_be_visible()
    page.get_by_label("Parameter", exact=True).fill("part=2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="100 tasks so far")).to_be_visible()
    page.get_by_label("Family", exact=True).fill("Family7")
    expect(page).to_have_url(re.compile(r"\?view=tasks&param=part%3D2&family=Family7$"))
    expect(page.get_by_role("status").filter(has_text="30 tasks")).to_be_visible()
    page.get_by_role("button", name="No longer only part=2").click()
    expect(page.get_by_role("status").filter(has_text="150 tasks")).to_be_visible()
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    page.get_by_role("button", name="Since").click()
    expect(page).to_have_url(re.compile("order=oldest"))
    expect(rows(page).first).to_have_attribute("data-key", "Family7_7")
    page.get_by_text("More filters").click()
    page.get_by_label("Failed since").fill("yesterday")
    expect(page.get_by_role("alert").filter(has_text="is no time")).to_be_visible()
    page.get_by_label("Failed since").fill("1h30m")
    expect(page.get_by_text("No such tasks.")).to_be_visible()
    page.get_by_label("Family", exact=True).fill("Family3")
    expect(page.get_by_role("status").filter(has_text="150 tasks")).to_be_visible()
    shown = options_of(page, "task list")
    assert (shown["family"], shown["oldest_first"]) == ("Family3", True)
    page.reload()
    expect(page.get_by_role("status").filter(has_text="150 tasks")).to_be_visible()
    expect(page.get_by_label("Failed since")).to_have_value("1h30m")


def test_thousands_of_rows_are_loaded_and_only_those_that_are_seen_are_drawn(
    page: Page, page_server: ServerProcess
) -> None:
    opened(page, page_server, "tasks&list=1")
    for loaded in ("1,100", "2,100", "3,001"):
        page.get_by_role("button", name="Show more").click()
        expect(page.get_by_role("status").filter(has_text="3,001 tasks")).to_be_visible()
        shown = page.get_by_text(f"looked at {loaded} of 3,001")
        expect(shown).to_be_visible() if loaded != "3,001" else expect(shown).to_have_count(0)
    assert rows(page).count() < 120
    page.keyboard.press("j")
    expect(rows(page).first).to_be_focused()
    for _ in range(3):
        page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.get_by_role("group", name="Change the 1 chosen")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?view=task&id="))


def test_of_many_more_rows_the_first_are_shown_before_the_others_come(page: Page, page_server: ServerProcess) -> None:
    held: list[Route] = []

    def is_large(request: Request) -> bool:
        return request.url.endswith("/api/tasks") and request.post_data_json["limit"] > 100

    page.route(
        re.compile("/api/tasks$"), lambda route: held.append(route) if is_large(route.request) else route.continue_()
    )
    opened(page, page_server, "tasks&list=1")
    with page.expect_request(is_large):
        page.get_by_role("button", name="Show more").click()
        expect(page.get_by_text("looked at 200 of 3,001")).to_be_visible()
    (rest,) = held
    rest.continue_()
    expect(page.get_by_text("looked at 1,100 of 3,001")).to_be_visible()


def test_what_is_typed_is_looked_for_after_a_pause_and_what_is_pasted_at_once(
    page: Page, page_server: ServerProcess
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append((request.post_data_json or {}).get("family", "")))
    opened(page, page_server, "tasks&list=1")
    field = page.get_by_label("Family", exact=True)
    page.clock.install()
    page.clock.pause_at(time.time() + 1)  # from then on its time goes on only as it is told to
    field.press_sequentially("Family")
    expect(field).to_have_value("Family")
    page.clock.run_for(140)
    assert "family" not in page.url
    page.clock.run_for(20)
    expect(page).to_have_url(re.compile("&family=Family$"))
    field.fill("Family7")  # as the clipboard puts it in
    page.clock.run_for(1)
    expect(page).to_have_url(re.compile("&family=Family7$"))
    page.clock.resume()
    expect(page.get_by_role("status").filter(has_text="150 tasks")).to_be_visible()
    assert not {name for name in asked if name} - {"Family", "Family7"}


def test_a_row_that_changes_is_renewed_where_it_stands_and_others_are_counted(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    opened(page, page_server, "tasks&family=Family5&order=oldest")
    expect(rows(page).first).to_have_attribute("data-key", "Family5_5")
    page_scheduler.change_tasks(task_ids=["Family5_5", "Family5_2985"], action="done")
    expect(rows(page).first).to_contain_text("done")
    expect(rows(page).first).to_have_attribute("data-key", "Family5_5")
    page_scheduler.add_task(**{"worker": "w", **task(5), "task_id": "Family5_new"})
    page_scheduler.change_tasks(task_ids=["Family5_new"], action="disable")
    page.get_by_role("button", name="2 other tasks have changed: show").click()
    expect(rows(page).first).to_have_attribute("data-key", "Family5_25")
    expect(page.get_by_role("button", name="changed: show")).to_have_count(0)
    page_scheduler.change_tasks(task_ids=["Family5_new"], action="remove")


def test_only_what_is_added_to_the_family_that_is_chosen_is_announced(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    opened(page, page_server, "tasks&family=Family6&order=oldest")
    expect(rows(page).first).to_have_attribute("data-key", "Family6_6")
    announced = page.get_by_role("button", name="Tasks were added: show")
    with page.expect_response("**/api/tasks"):  # it looks, and finds nothing new
        page_scheduler.add_task(worker="w", task_id="Other_new", family="Other")
    with page.expect_response("**/api/tasks"):
        page_scheduler.add_task(worker="w", task_id="Other_newer", family="Other")
    expect(announced).to_have_count(0)
    page_scheduler.add_task(**{"worker": "w", **task(6), "task_id": "Family6_new"})
    announced.click()
    expect(announced).to_have_count(0)
    expect(page.get_by_text("151 tasks")).to_be_visible()
    page_scheduler.change_tasks(task_ids=["Family6_new", "Other_new", "Other_newer"], action="remove")


def test_a_row_is_renewed_although_the_first_question_for_it_got_no_answer(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler, complaints: Complaints
) -> None:
    opened(page, page_server, "tasks&family=Family7&order=oldest")
    expect(rows(page).first).to_have_attribute("data-key", "Family7_7")
    lost: list[Route] = []

    def answer(route: Route) -> None:
        lost.append(route)
        route.abort() if len(lost) == 1 else route.continue_()

    page.route("**/api/task_statuses", answer)
    page_scheduler.change_tasks(task_ids=["Family7_7"], action="disable")
    expect(rows(page).first).to_contain_text("disabled")
    assert len(lost) == 2
    page_scheduler.change_tasks(task_ids=["Family7_7"], action="forgive")
    complaints.expected("ERR_FAILED")


def test_all_that_match_are_retried_and_nothing_else(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    """The dry run's numbers are true: what it says is what is done, and what the command beside it would do."""
    opened(page, page_server, "tasks&family=Family3&param=kind%3Db&status=FAILED")
    page.get_by_role("group", name="Change all").get_by_role("button", name="Retry").click()
    dialog = page.get_by_role("dialog", name="Retry all that match")
    expect(dialog.get_by_text("150 tasks would be PENDING again.")).to_be_visible()
    shown = options_of(page, "task retry")
    assert shown["params"] == ("kind=b",) and shown["limit"] >= 150
    told = dry_run(page, page_server, "task retry")
    assert (len(told["changed"]), told["unchanged"]) == (150, [])
    before = page_scheduler.task_list(status="FAILED", upstream_status="", limit=False)
    dialog.get_by_role("button", name="Retry 150 tasks").click()
    expect(dialog.get_by_text("150 tasks are PENDING again.")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_text("No such tasks.")).to_be_visible()
    after = page_scheduler.task_list(status="FAILED", upstream_status="", limit=False)
    assert set(before) - set(after) == {f"Family3_{number}" for number in range(3, TASKS, FAMILIES)}
    assert set(after) <= set(before)


def test_more_than_a_thousand_are_changed_those_that_can_be_and_the_others_are_explained(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    page_scheduler.add_task(worker="runner", task_id="Family6_6", family="Family6", priority=100)
    assert page_scheduler.get_work(worker="runner")["task_id"] == "Family6_6"
    opened(page, page_server, "tasks&list=1")
    page.get_by_role("group", name="Change all 3,001").get_by_role("button", name="Retry").click()
    dialog = page.get_by_role("dialog", name="Retry all that match")
    expect(dialog.get_by_text("150 tasks would be PENDING again.")).to_be_visible()
    told = dry_run(page, page_server, "task retry")
    assert len(told["changed"]) == 150
    page.keyboard.press("Escape")
    page.get_by_label("Words in name and parameters").fill("kind=a")
    expect(page.get_by_role("status").filter(has_text="so far")).to_be_visible()
    page.get_by_role("group", name="Change all").get_by_role("button", name="Disable").click()
    dialog = page.get_by_role("dialog", name="Disable all that match")
    expect(dialog.get_by_text("1,349 tasks would be DISABLED.")).to_be_visible()  # 150 are done, one runs
    dialog.get_by_role("button", name="Disable 1,349 tasks").click()
    expect(dialog.get_by_text("1,349 tasks are DISABLED.")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    assert by_status(page_scheduler, "Family6") == {"DISABLED": 149, "RUNNING": 1}
    assert by_status(page_scheduler, "Family4") == {"DONE": 150}
    assert by_status(page_scheduler, "Family7") == {"READY": 150}
    # Those that run can't be removed, and the answer says why.
    page.get_by_label("Family", exact=True).fill("Family6")
    expect(page).to_have_url(re.compile("family=Family6"))
    expect(rows(page).first).to_contain_text("Family6(")
    page.get_by_role("group", name="Change all").get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog", name="Remove all that match")
    expect(dialog.get_by_text("149 tasks would be removed.")).to_be_visible()
    expect(dialog.get_by_role("listitem")).to_contain_text("such as Family6_6")
    told = dry_run(page, page_server, "task remove")
    assert (len(told["changed"]), [each["task_id"] for each in told["unchanged"]]) == (149, ["Family6_6"])
    dialog.get_by_role("button", name="Cancel").click()
    assert by_status(page_scheduler, "Family6") == {"DISABLED": 149, "RUNNING": 1}


def test_changing_is_broken_off_after_the_thousand_on_its_way(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    opened(page, page_server, "tasks&list=1&text=kind%3Da&status=DISABLED")
    page.get_by_role("group", name="Change all").get_by_role("button", name="Enable").click()
    dialog = page.get_by_role("dialog", name="Enable all that match")
    expect(dialog.get_by_role("button", name="Enable 1,349 tasks")).to_be_visible()
    with held(page, "**/api/change_tasks"):
        dialog.get_by_role("button", name="Enable 1,349 tasks").click()
        expect(dialog.get_by_text("done 0 of 1,349")).to_be_visible()
        dialog.get_by_role("button", name="Cancel").click()
    expect(dialog.get_by_text("1,000 tasks are enabled. Broken off: 349 tasks were left alone.")).to_be_visible()
    assert page_scheduler.overview()["tasks"]["DISABLED"] == 349


def test_a_change_that_fails_after_it_was_broken_off_is_told_and_leaves_nobody_before_a_dialog(
    page: Page, page_server: ServerProcess, complaints: Complaints
) -> None:
    opened(page, page_server, "tasks&list=1&text=kind%3Da&status=DISABLED")
    page.get_by_role("group", name="Change all").get_by_role("button", name="Enable").click()
    dialog = page.get_by_role("dialog", name="Enable all that match")
    expect(dialog.get_by_role("button", name="Enable 349 tasks")).to_be_visible()
    with held(page, "**/api/change_tasks", ends_in_failure=True):
        dialog.get_by_role("button", name="Enable 349 tasks").click()
        expect(dialog.get_by_text("done 0 of")).to_be_visible()
        dialog.get_by_role("button", name="Cancel").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The server does not answer.")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    complaints.expected("ERR_FAILED")


@contextmanager
def held(page: Page, pattern: str, ends_in_failure: bool = False) -> Iterator[None]:
    """Calls are on their way for as long as the block lasts; then they go on, or are lost."""
    waiting: list[Route] = []
    page.route(pattern, lambda route: waiting.append(route))
    yield
    for route in waiting:
        route.abort() if ends_in_failure else route.continue_()
    page.unroute(pattern)


def test_the_grid_counts_a_family_by_day_and_a_cell_leads_to_its_tasks(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler
) -> None:
    opened(page, page_server, "grid")
    grid = page.get_by_role("table", name="Families by day, 2024-03")
    cell = grid.get_by_role("link", name="Family13, 2024-03-05: 5 failed", exact=True)
    expect(cell).to_be_visible()
    grid.get_by_role("link", name="Family13, 2024-03-04").focus()
    page.keyboard.press("ArrowRight")
    expect(cell).to_be_focused()
    page_scheduler.change_tasks(task_ids=["Family13_93"], action="retry")
    expect(grid.get_by_role("link", name="Family13, 2024-03-05: 4 failed, 1 ready", exact=True)).to_be_visible()
    grid.get_by_role("link", name="Family13, 2024-03-05").click()
    expect(page).to_have_url(re.compile(r"\?view=tasks&family=Family13&date=2024-03-05$"))
    expect(page.get_by_role("status").filter(has_text="5 tasks")).to_be_visible()
    assert {row.get_attribute("data-key") for row in rows(page).all()} == {
        f"Family13_{number}" for number in range(93, TASKS, FAMILIES * DAYS)
    }
    assert options_of(page, "task list")["date"] == "2024-03-05"


@pytest.fixture(scope="module")
def guarded(
    own_redis: RedisProcess, page_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server that wants a login, and shows viewers no parameters."""
    users = tmp_path_factory.mktemp("tasks") / "users"
    users.write_text(user_line("eve", "word", "viewer@*") + user_line("ann", "word", "operator@*"))
    users.chmod(0o600)
    arguments = ("--users-file", str(users), "--viewer-sees", "names")
    server = ServerProcess("--redis", own_redis.url, "--namespace", NAMESPACE, *arguments).await_ready()
    yield server.url
    assert server.stop() == 0


def test_what_a_role_may_not_do_is_not_offered(new_page: NewPage, guarded: str) -> None:
    ann = new_page(extra_http_headers=basic("ann", "word"))
    ann.goto(f"{guarded}/?view=tasks&family=Family7")
    expect(ann.get_by_role("group", name="Change all 150 that match")).to_be_visible()
    expect(ann.get_by_role("checkbox").first).to_be_visible()
    eve = new_page(extra_http_headers=basic("eve", "word"))
    eve.goto(f"{guarded}/?view=tasks&family=Family7")
    expect(rows(eve).first).to_be_visible()
    for nothing in (
        eve.get_by_role("group", name="Change"),
        eve.get_by_role("checkbox"),
        eve.get_by_label("Parameter"),
    ):
        expect(nothing).to_have_count(0)
    expect(eve.get_by_role("navigation").get_by_role("link", name="Grid")).to_have_count(0)
    expect(eve.get_by_label("Words in name and parameters")).to_have_count(0)
    eve.goto(f"{guarded}/?view=tasks")
    expect(eve.get_by_role("table", name="Families")).to_be_visible()
    expect(eve.get_by_role("button", name="Pause")).to_have_count(0)
