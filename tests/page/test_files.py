"""How the page's files are served: once, compressed, to whoever may have the page; never more than that."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from broker_sched.contract.roles import METHOD_RIGHTS, Role
from broker_sched.contract.visibility import WITH_COUNTS
from broker_sched.server import page_files as module
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.access.caller import Caller
from broker_sched.server.app import AppConfig
from broker_sched.server.page_files import PageFiles, page_files
from tests.harness import Reply, ServerProcess
from tests.server.access.asgi import InProcess, basic, user_line

GZIP = {"Accept-Encoding": "gzip, br"}


@pytest.fixture
def files() -> PageFiles:
    found = page_files()
    assert found is not None
    return found


def context_of(html: bytes) -> dict[str, object]:
    """What the server tells the page of who asked for it."""
    (written,) = re.findall(r'data-context="([^"]*)"', html.decode())
    return dict(json.loads(unescape(written)))


def caller() -> Caller:
    return Caller("", "anonymous", Role.ADMIN, "all", "")


def addresses(html: bytes) -> list[str]:
    return re.findall(r'(?:src|href)="(page/[^"]+)"', html.decode())


def test_every_file_that_the_page_names_is_kept_for_ever_and_compressed(page_server: ServerProcess) -> None:
    begun = page_server.request("GET", "/")
    assert begun.headers["cache-control"] == "no-store", "it says which version of the files there is"
    named = addresses(begun.body)
    assert {name.rpartition("/")[2] for name in named} == {"main.js", "theme.js", "style.css", "icon.svg"}
    for name in named:
        plain, packed = (page_server.request("GET", f"/{name}", headers=headers) for headers in ({}, GZIP))
        assert (plain.status, packed.status) == (200, 200), name
        assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
        assert gzip.decompress(packed.body) == plain.body
        for reply in (plain, packed):
            assert reply.headers["cache-control"] == "private, max-age=31536000, immutable"
            assert reply.headers["vary"] == "Accept-Encoding"
            assert reply.headers["x-content-type-options"] == "nosniff"
    types = {name.rpartition(".")[2]: page_server.request("GET", f"/{name}").headers["content-type"] for name in named}
    assert types == {
        "js": "text/javascript; charset=UTF-8", "css": "text/css; charset=UTF-8", "svg": "image/svg+xml",
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["main.js", "views", "", "../build.py", "..%2fbuild.py", "%2e%2e/%2e%2e/app.py", "main.js%0a", "main.js/"],
)  # fmt: skip
def test_nothing_else_is_served_beside_them(page_server: ServerProcess, files: PageFiles, path: str) -> None:
    digest = "0" * len(files.digest) if path == "main.js" else files.digest  # a page of another version gets nothing
    reply = page_server.request("GET", f"/page/{digest}/{path}")
    assert (reply.status, reply.json()["error"]["type"]) == (404, "NotFound")


def test_the_html_is_compressed_for_whoever_takes_that(page_server: ServerProcess) -> None:
    plain, packed = (page_server.request("GET", "/", headers=headers) for headers in ({}, GZIP))
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert gzip.decompress(packed.body) == plain.body and len(packed.body) < len(plain.body) / 2
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["content-security-policy"] == plain.headers["content-security-policy"]


def test_a_file_is_sent_whole_and_head_tells_of_it_without_it(page_server: ServerProcess, files: PageFiles) -> None:
    path = f"/page/{files.digest}/main.js"
    whole = page_server.request("GET", path, headers={"Range": "bytes=0-9"})
    assert (whole.status, "accept-ranges" in whole.headers) == (200, False) and len(whole.body) > 10
    head = page_server.request("HEAD", path)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(whole.body)))
    assert page_server.request("POST", path).status == 405


def test_the_page_may_run_nothing_but_its_own_files(page_server: ServerProcess) -> None:
    policy = page_server.request("GET", "/").headers["content-security-policy"]
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        **dict.fromkeys(("script-src", "style-src", "connect-src", "img-src", "form-action"), "'self'"),
        **dict.fromkeys(("base-uri", "frame-ancestors"), "'none'"),
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    html = page_server.request("GET", "/").body.decode()
    assert "<style" not in html and not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=|javascript:", html)


# Who asks


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """A server that knows a viewer, who sees counts only, and an operator."""
    users = tmp_path_factory.mktemp("page") / "users"
    users.write_text(
        "".join(user_line(name, "1", f"{role}@default") for name, role in (("eve", "viewer"), ("ann", "operator")))
    )
    config = AppConfig("memory:page", access=AccessConfig(users_file=str(users), viewer_sees="counts"))
    with InProcess(config) as server:
        yield server


def test_the_page_is_told_what_its_caller_may_do(known: InProcess) -> None:
    eve = context_of(known.request("GET", "/", headers=basic("eve", "1")).body)
    assert (eve["name"], eve["role"], eve["sees"], eve["has_login"]) == ("eve", "viewer", "counts", False)
    assert set(eve["methods"]) == WITH_COUNTS  # type: ignore[call-overload]
    ann = context_of(known.request("GET", "/", headers=basic("ann", "1")).body)
    assert set(ann["methods"]) == {name for name, right in METHOD_RIGHTS.items() if Role.OPERATOR in right.roles}  # type: ignore[call-overload]


def test_files_are_for_whoever_may_have_the_page_and_others_are_led_to_the_login(
    known: InProcess, files: PageFiles
) -> None:
    path = f"/page/{files.digest}/main.js"
    assert known.request("GET", path, headers=basic("eve", "1")).status == 200
    assert known.request("GET", path).status == 401
    person = known.request("GET", "/?view=task&id=a", headers={"Accept": "text/html"})
    assert (person.status, person.headers["location"]) == (303, "login?next=%2F%3Fview%3Dtask%26id%3Da")


def test_markup_in_a_name_stays_text(files: PageFiles) -> None:
    name = """'"><script>alert(1)</script>{context}&amp;"""
    html = files.index(f"n{name}", Caller(name, "user", Role.VIEWER, "all", ""), "")
    assert (context_of(html)["name"], context_of(html)["namespace"]) == (name, f"n{name}")
    assert b"alert(1)</script>" not in html and addresses(html) == addresses(files.index("n", caller(), ""))


# Not built


def test_a_server_whose_page_is_not_built_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copytree(module.SERVED, tmp_path / "served")
    (copy / "main.js.gz").unlink()
    monkeypatch.setattr(module, "SERVED", copy)
    page_files.cache_clear()
    try:
        with InProcess(AppConfig("memory:unbuilt")) as server:
            reply: Reply = server.request("GET", "/")
            assert reply.status == 200 and b"make page" in reply.body and b'href="api/task_list"' in reply.body
            assert server.request("GET", "/page/0/main.js").status == 404
    finally:
        page_files.cache_clear()
