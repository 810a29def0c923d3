"""Every method, in each role, namespace and way to log in, compared with the table of contract/roles.py.

Each cell is a request that passes through `App` as a server's requests do; a sample of them goes over a socket, too.
A role is held in the namespace that the server serves, in all, or in another one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from broker_sched import Scheduler
from broker_sched.contract.roles import METHOD_RIGHTS, OTHER_PATHS, PUBLIC_PATHS, Role
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.scheduler.operations.tokens import create_token
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.app import AppConfig
from tests.conftest import DEFAULT_KIND, running
from tests.harness import FORM, Reply, ServerProcess
from tests.server.access.asgi import InProcess, basic, user_line

PASSWORD = "correct horse"
HERE, EVERYWHERE, ELSEWHERE = "here", "everywhere", "elsewhere"
PLACES = (HERE, EVERYWHERE, ELSEWHERE)
PASSES = "passes"  # the answer is that of the method itself: 200, or 400 for the arguments that are missing


class Login(NamedTuple):
    """What a request has by which its sender is known."""

    headers: Mapping[str, str] = {}
    extensions: Mapping[str, Any] = {}


class Cells(NamedTuple):
    server: InProcess
    logins: Mapping[tuple[str, str, Role], Login]  # by kind, place and role
    users: Path
    url: str
    namespace: str

    def outcome(self, login: Login, verb: str, path: str) -> str:
        kind = {"content-type": "application/json"} if verb == "POST" else {}
        body = b"{}" if verb == "POST" else b""
        given = {**kind, **login.headers}
        return outcome(self.server.request(verb, path, body, given, extensions=login.extensions))


def outcome(reply: Reply) -> str:
    return PASSES if reply.status in (200, 303, 400) else str(reply.status)


def by_session(server: InProcess, user: str) -> Login:
    body = urlencode({"user": user, "password": PASSWORD}).encode()
    reply = server.request("POST", "/login", body, {"content-type": FORM})
    return Login({"cookie": reply.headers["set-cookie"].partition(";")[0]})


# Each way to log in: how somebody with this role and place does it. `home`: the server of the namespace where the role
# is held. A token and a session belong to one namespace, so there is none for all of them.
WAYS: dict[str, Callable[[InProcess, Scheduler, Role, str], Login]] = {
    "basic": lambda home, scheduler, role, place: Login(basic(f"{role.value}-{place}", PASSWORD)),
    "session": lambda home, scheduler, role, place: by_session(home, f"{role.value}-{place}"),
    "bearer": lambda home, scheduler, role, place: Login({"authorization": f"Bearer {token(scheduler, role)}"}),
    "certificate": lambda home, scheduler, role, place: Login(
        {}, {"tls": {"client_cert_names": (f"{role.value}-{place}.example",)}}
    ),
}


def token(scheduler: Scheduler, role: Role) -> str:
    return scheduler.drive(
        create_token(scheduler.namespace, name=role.value, role=role, by="test", seconds=None)
    ).secret


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cells]:
    url, unique = running(DEFAULT_KIND).url, uuid.uuid4().hex[:8]
    here, other = f"cells-{unique}", f"other-{unique}"
    namespaces = {HERE: here, EVERYWHERE: "*", ELSEWHERE: other}
    users = Path(tmp_path_factory.mktemp("cells")) / "users"
    users.write_text(
        "".join(
            user_line(f"{role.value}-{place}", PASSWORD, f"{role.value}@{namespaces[place]}")
            + f"{role.value}-{place}.example:certificate:{role.value}@{namespaces[place]}\n"
            for role in Role
            for place in PLACES
        )
    )
    users.chmod(0o600)
    configs = [AppConfig(url, name, access=AccessConfig(users_file=str(users))) for name in (here, other)]
    with (
        InProcess(configs[0]) as server,
        InProcess(configs[1]) as other_server,
        closing(Scheduler(url, here)) as scheduler,
        closing(Scheduler(url, other)) as other_scheduler,
    ):
        homes = {HERE: (server, scheduler), EVERYWHERE: (server, scheduler), ELSEWHERE: (other_server, other_scheduler)}
        logins = {
            (kind, place, role): way(*homes[place], role, place)
            for kind, way in WAYS.items()
            for place in PLACES
            for role in Role
        }
        yield Cells(server, logins, users, url, here)
        assert scheduler.verify() == []


def wanted(kind: str, place: str, role: Role, roles: frozenset[Role]) -> str:
    """What the table says of a cell."""
    if place == ELSEWHERE:  # who has no role here; a token or a session of another namespace is nothing here
        return "403" if kind in ("basic", "certificate") else "401"
    return PASSES if role in roles else "403"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", WAYS)
def test_no_cell_differs_from_the_table(cells: Cells, kind: str, place: str) -> None:
    different = {
        (role.value, method): (found, expected)
        for role in Role
        for method in METHODS
        if (found := cells.outcome(cells.logins[kind, place, role], "POST", f"/api/{method}"))
        != (expected := wanted(kind, place, role, METHOD_RIGHTS[method].roles))
    }
    assert different == {}


@pytest.mark.parametrize("verb", ["POST", "GET", "HEAD"])
def test_nobody_may_do_nothing(cells: Cells, verb: str) -> None:
    """HEAD is no verb of a method; it tells nobody more."""
    assert {cells.outcome(Login(), verb, f"/api/{method}") for method in METHODS} == {"401"}


@pytest.mark.parametrize("kind", WAYS)
def test_a_get_is_asked_for_its_role_as_a_post_is(cells: Cells, kind: str) -> None:
    different = {
        (role.value, method)
        for role in Role
        for method in METHODS
        if cells.outcome(cells.logins[kind, HERE, role], "GET", f"/api/{method}")
        not in {wanted(kind, HERE, role, METHOD_RIGHTS[method].roles), "405"}
    }
    assert different == set()


@pytest.mark.parametrize("kind", [None, *WAYS])
def test_other_paths_are_for_any_role_and_health_is_everybodys(cells: Cells, kind: str | None) -> None:
    others = {*OTHER_PATHS} - {"/events"} | {"/events?after=no"}  # whose answer would not end
    for path in (*sorted(others), "/nowhere", "/api/nothing"):
        if kind is None:
            assert cells.outcome(Login(), "GET", path) == "401", path
            continue
        for role in Role:
            assert cells.outcome(cells.logins[kind, HERE, role], "GET", path) not in ("401", "403"), path
            assert cells.outcome(cells.logins[kind, ELSEWHERE, role], "GET", path) in ("401", "403"), path
    if kind is None:
        for path in PUBLIC_PATHS:
            assert cells.outcome(Login(), "GET", path) not in ("401", "403"), path


def test_the_role_in_the_namespace_itself_counts_and_not_a_higher_one_in_all(cells: Cells) -> None:
    text = cells.users.read_text()
    cells.users.write_text(f"{text}both.example:certificate:viewer@{cells.namespace} admin@*\n")
    config = AppConfig(cells.url, cells.namespace, access=AccessConfig(users_file=str(cells.users)))
    with InProcess(config) as server:
        shown = {"tls": {"client_cert_names": ("both.example",)}}
        assert server.request("GET", "/api/is_paused", extensions=shown).status == 200
        assert server.request("POST", "/api/pause", extensions=shown).status == 403


def test_the_first_proof_counts_and_no_other_mends_it(cells: Cells) -> None:
    viewer, admin = (cells.logins["session", HERE, role] for role in (Role.VIEWER, Role.ADMIN))
    shown = cells.logins["certificate", HERE, Role.ADMIN].extensions
    worker = cells.logins["basic", HERE, Role.WORKER].headers
    assert cells.outcome(Login({**admin.headers, **worker}, shown), "POST", "/api/pause") == "403", "the header"
    assert cells.outcome(Login(viewer.headers, shown), "POST", "/api/pause") == "403", "then the cookie"
    assert cells.outcome(Login({}, shown), "POST", "/api/pause") == PASSES, "then the certificate"
    wrong = {"authorization": "Bearer bst_" + "A" * 43}
    assert cells.outcome(Login({**admin.headers, **wrong}, shown), "POST", "/api/pause") == "401"


def test_a_sample_of_cells_is_the_same_over_a_socket(cells: Cells) -> None:
    where = ("--redis", cells.url, "--namespace", cells.namespace, "--users-file", str(cells.users))
    server = ServerProcess(*where).await_ready()
    try:
        for kind in ("basic", "session", "bearer"):
            for role in Role:
                for method in ("is_paused", "ping", "pause", "update_options"):
                    login = cells.logins[kind, HERE, role].headers
                    headers = {"content-type": "application/json", "host": "localhost", **login}  # as it logged in
                    reply = server.request("POST", f"/api/{method}", json.dumps({}).encode(), headers)
                    assert outcome(reply) == wanted(kind, HERE, role, METHOD_RIGHTS[method].roles), (kind, role, method)
        assert server.request("POST", "/api/is_paused", b"{}", {"content-type": "application/json"}).status == 401
    finally:
        assert server.stop() == 0
