"""With a login, the page offers each role just what it may do, and the server refuses the rest all the same."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from broker_sched.contract.roles import METHOD_RIGHTS, Role
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.page import shop
from tests.page.conftest import Complaints, NewPage
from tests.page.test_accessible import violations
from tests.server.access.asgi import basic, user_line

NAMESPACE = f"shop-{uuid.uuid4().hex[:6]}"
ROLES = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
# What is offered where, and the method that it calls.
OFFERS = (
    ("now", "Pause", "pause"),
    ("worker", "Disable", "disable_worker"),
    ("worker", "Drain…", "drain_worker"),
    ("worker", "Processes…", "set_worker_processes"),
    ("worker", "Forget…", "forget_worker"),
    ("resources", "Limit another resource…", "update_resources"),
    ("resource", "Set the limit", "update_resources"),
    ("resource", "Remove the limit", "remove_resource"),
    ("submission", "Cancel the submission", "cancel_submission"),
    ("settings", "Change remove_delay", "update_options"),
    ("audit", "Filter the audit", "audit"),
)
ARGUMENTS = {
    "disable_worker": '{"worker": "nobody"}',
    "drain_worker": '{"worker": "nobody"}',
    "set_worker_processes": '{"worker": "nobody", "n": 1}',
    "forget_worker": '{"worker": "nobody"}',
    "update_resources": '{"none": 1}',
    "remove_resource": '{"resource": "none"}',
    "cancel_submission": '{"submission": "none"}',
    "update_options": '{"options": {}}',
}


@pytest.fixture(scope="module")
def servers(own_redis: RedisProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of servers that want a login, by how much they show viewers."""
    shop.fill(own_redis.url, NAMESPACE)
    users = Path(tmp_path_factory.mktemp("roles")) / "users"
    users.write_text("".join(user_line(role.value, "word", f"{role.value}@*") for role in ROLES))
    users.chmod(0o600)
    started = {
        sees: ServerProcess(
            *("--redis", own_redis.url, "--namespace", NAMESPACE, "--users-file", str(users), "--viewer-sees", sees)
        )
        for sees in ("counts", "names")
    }
    yield {sees: server.await_ready().url for sees, server in started.items()}
    assert [server.stop() for server in started.values()] == [0, 0]


def show(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/?{shop.VIEWS[name].replace('&change=retry_delay', '')}")
    expect(page.locator("main h1, main .empty").first).to_be_attached()
    expect(page.locator("main .loading, main [aria-busy=true]")).to_have_count(0)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_offered_what_it_may_do_and_refused_the_rest(
    new_page: NewPage, servers: dict[str, str], complaints: Complaints, role: Role
) -> None:
    page = new_page(extra_http_headers=basic(role.value, "word"))
    offered, shown = {}, ""
    for name, text, method in OFFERS:
        if name != shown:
            show(page, servers["names"], shown := name)
        control = page.get_by_role("button", name=text, exact=True).or_(page.locator("summary", has_text=text))
        control = control.or_(page.get_by_role("search", name=text))
        offered[text, method] = control.count() > 0
    assert offered == {(text, method): role in METHOD_RIGHTS[method].roles for _, text, method in OFFERS}
    for method in dict.fromkeys(method for _, _, method in OFFERS):
        if role in METHOD_RIGHTS[method].roles:
            continue
        given = f"headers: {{'content-type': 'application/json'}}, body: '{ARGUMENTS.get(method, '{}')}'"
        asked = f"fetch('api/{method}', {{method: 'POST', {given}}}).then((reply) => reply.status)"
        assert page.evaluate(asked) == 403, method
    complaints.expected("403")


def test_who_may_not_see_a_view_has_no_link_to_it_and_is_told_at_its_address(
    new_page: NewPage, servers: dict[str, str]
) -> None:
    page = new_page(extra_http_headers=basic("viewer", "word"))
    show(page, servers["names"], "now")
    links = page.get_by_role("navigation", name="Views").get_by_role("link")
    assert "Audit" not in links.all_inner_texts() and "Workers" in links.all_inner_texts()
    show(page, servers["names"], "audit")
    expect(page.get_by_text("Your role here does not see Audit")).to_be_visible()


def test_a_viewer_who_sees_names_sees_no_error_and_no_parameter_in_any_view(
    new_page: NewPage, servers: dict[str, str]
) -> None:
    page = new_page(extra_http_headers=basic("viewer", "word"))
    for name in by_night(tuple(shop.VIEWS), ("now", "families", "task", "worker")):
        show(page, servers["names"], name)
        shown = page.locator("main").inner_text()
        assert not re.search("ConnectionError|ValueError|rows so far|Traceback", shown), name


def test_a_viewer_who_sees_counts_is_shown_numbers_and_no_name(new_page: NewPage, servers: dict[str, str]) -> None:
    page = new_page(extra_http_headers=basic("viewer", "word"))
    show(page, servers["counts"], "now")
    assert page.get_by_role("navigation", name="Views").get_by_role("link").all_inner_texts() == ["Now"]
    expect(page.get_by_label("Tasks by state").get_by_role("listitem").filter(has_text="running")).to_be_visible()
    for name in by_night(tuple(shop.VIEWS), ("now", "workers", "events")):
        show(page, servers["counts"], name)
        shown = page.locator("body").inner_text()
        assert not re.search(r"build-1|Extract|gpu|nightly-31|Clean_2026|Publish", shown), name


def test_people_log_in_come_back_to_where_they_were_and_log_out(
    new_page: NewPage, servers: dict[str, str], complaints: Complaints
) -> None:
    page = new_page(color_scheme="dark")
    page.goto(f"{servers['names']}/?view=worker&id=build-1")
    page.get_by_label("User").fill("operator")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("User").fill("operator")
    page.get_by_label("Password").fill("word")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Worker build-1")).to_be_visible()
    expect(page.get_by_text("operator", exact=True)).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    complaints.expected("401")
