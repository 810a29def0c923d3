"""What a viewer may be kept from: nothing of it is in any reply, and nothing can be guessed by a filter."""

from __future__ import annotations

import copy
import json
import typing
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from broker_sched import Scheduler
from broker_sched.contract.roles import METHOD_RIGHTS, Role
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.visibility import (
    KNOWN_FIELDS,
    PATHS_WITH_NAMES,
    TELLING_ARGUMENTS,
    WITH_ALL,
    WITH_COUNTS,
    Sees,
)
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.access.viewers import left_for
from broker_sched.server.app import AppConfig
from tests.conftest import DEFAULT_KIND, running
from tests.server.access.asgi import InProcess, basic, user_line

LOOKING = sorted(name for name, right in METHOD_RIGHTS.items() if Role.VIEWER in right.roles)
SECRET = "geheim"  # in parameters, logs, errors and what tasks say
NAME = "namen"  # in ids, families, workers, hosts, resources
TASK, DONE_TASK, OTHER = f"{NAME}_task", f"{NAME}_done", f"{NAME}_other"
WORKER, SUBMISSION = f"{NAME}-worker", f"{NAME}-submission"
# Arguments with which each method has something to show of what is planted; those without are called with none.
ARGUMENTS: dict[str, dict[str, Any]] = {
    **{name: {"task_id": TASK} for name in LOOKING if "task_id" in {each.name for each in METHODS[name].parameters}},
    "done_since_awaited": {"task_id": TASK, "deps": [DONE_TASK]},
    "inverse_dep_graph": {"task_id": DONE_TASK},
    "submission": {"submission": SUBMISSION},
    "submission_details": {"submission": SUBMISSION},
    "resource_details": {"resource": f"{NAME}_db"},
    "task_list": {"status": "FAILED", "upstream_status": ""},
    "task_search": {"task_str": NAME},
    "task_statuses": {"task_ids": [TASK, f"{NAME}_refused"]},
    "worker_details": {"worker": WORKER},
    "why": {"task_id": OTHER},
}


def plant(scheduler: Scheduler) -> None:
    """Fill a namespace so that every method that looks has something to show."""

    def add(task_id: str, **more: Any) -> None:
        family = {
            "family": f"{NAME}_family",
            "module": f"{NAME}_module",
            "params": {"password": SECRET, "date": "2024-03-01"},
        }
        scheduler.add_task(worker=WORKER, task_id=task_id, **{**family, **more})

    told = {"host": f"{NAME}-host", SECRET: {SECRET: SECRET}, "note": SECRET}
    scheduler.add_worker(worker=WORKER, info={**told, "ping_interval": 1000})  # it is not silent, however long we take
    scheduler.add_worker(worker=SUBMISSION, info={"host": f"{NAME}-host"})
    scheduler.update_resources(**{f"{NAME}_db": 2})
    add(DONE_TASK)
    add(DONE_TASK, status="DONE")
    add(TASK, resources={f"{NAME}_db": 1}, deps=[DONE_TASK])
    scheduler.add_task(worker=SUBMISSION, task_id=TASK, runnable=False)
    scheduler.get_work(worker=WORKER, host=f"{NAME}-host")
    scheduler.set_task_status_message(task_id=TASK, status_message=SECRET)
    scheduler.set_task_progress_percentage(task_id=TASK, progress_percentage=7)
    scheduler.set_task_log(task_id=TASK, log=f"{SECRET}\n", size=7)
    add(TASK, status="FAILED", expl=f"Traceback\nValueError: {SECRET}", tracking_url=f"http://{SECRET}/")
    add(OTHER, deps=[TASK])
    scheduler.add_submission(submission=SUBMISSION, tasks=[TASK])
    add(f"{NAME}_run", resources={f"{NAME}_db": 1})
    scheduler.get_work(worker=WORKER, host=f"{NAME}-host")
    add(f"{NAME}_refused")
    scheduler.get_work(worker=WORKER, host=f"{NAME}-host")
    scheduler.refuse_tasks(worker=WORKER, task_ids=[f"{NAME}_refused"], reason=f"ImportError: {SECRET}", seconds=600)
    add(f"{NAME}_disabled")
    scheduler.change_tasks(task_ids=[f"{NAME}_disabled"], action="disable", by=f"{NAME}-author")
    scheduler.pause_family(family=f"{NAME}_paused")
    scheduler.update_options({"retry_delay": 60}, by=f"{NAME}-author")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Sees, InProcess]]:
    """Servers on a namespace full of secrets, by what they show viewers."""
    users = Path(tmp_path_factory.mktemp("viewers")) / "users"
    users.write_text(user_line("eve", "1", "viewer@*") + user_line("ann", "1", "operator@*"))
    users.chmod(0o600)
    url, namespace = running(DEFAULT_KIND).url, f"viewers-{uuid.uuid4().hex[:8]}"
    with closing(Scheduler(url, namespace, prune_interval_seconds=None)) as scheduler:
        plant(scheduler)

    def config(sees: Sees) -> AppConfig:
        return AppConfig(url, namespace, access=AccessConfig(users_file=str(users), viewer_sees=sees))

    with InProcess(config("counts")) as counts, InProcess(config("names")) as names, InProcess(config("all")) as all_:
        yield {"counts": counts, "names": names, "all": all_}


def ask(server: InProcess, method: str, user: str = "eve", **more: Any) -> Any:
    return server.call(method, basic(user, "1"), **{**ARGUMENTS.get(method, {}), **more})


@pytest.mark.parametrize("method", LOOKING)
def test_no_secret_is_in_a_reply_to_who_sees_names(servers: dict[Sees, InProcess], method: str) -> None:
    reply = ask(servers["names"], method)
    assert reply.status == (403 if method in WITH_ALL else 200)
    assert SECRET not in reply.body.decode()


@pytest.mark.parametrize("method", LOOKING)
def test_no_name_is_in_a_reply_to_who_sees_counts(servers: dict[Sees, InProcess], method: str) -> None:
    reply = ask(servers["counts"], method)
    assert reply.status == (200 if method in WITH_COUNTS else 403)
    assert SECRET not in reply.body.decode() and NAME not in reply.body.decode()


def test_what_is_planted_is_shown_where_nothing_is_kept_back(servers: dict[Sees, InProcess]) -> None:
    """Else the two tests above would find nothing whatever is left out."""
    told = {method: ask(servers["all"], method).body.decode() for method in LOOKING}
    without_names = {"has_task_history", "is_pause_enabled", "is_paused", "superseded_reports", "done_since_awaited"}
    assert {method for method, text in told.items() if NAME not in text} == without_names
    assert {method for method, text in told.items() if SECRET in text} >= {
        *("dep_graph", "fetch_error", "get_task_status_message", "graph", "task_details", "task_list", "task_log"),
        *("tasks", "task_search", "why", "worker_details", "worker_list", "failures", "families"),
        *("condensed_graph", "task_statuses", "inverse_dep_graph", "resource_list"),
    }


@pytest.mark.parametrize("path", sorted(PATHS_WITH_NAMES))
@pytest.mark.parametrize("tail", ["\n", "/", "//", ";x", "\0", " "])
def test_no_other_way_to_write_a_path_leads_around_what_is_kept_back(
    servers: dict[Sees, InProcess], path: str, tail: str
) -> None:
    assert servers["counts"].request("GET", path, headers=basic("eve", "1")).status == 403
    assert servers["counts"].request("GET", path + tail, headers=basic("eve", "1")).status == 404


def test_an_operator_is_kept_from_nothing(servers: dict[Sees, InProcess]) -> None:
    for server in servers.values():
        assert SECRET in ask(server, "fetch_error", "ann").body.decode()


def test_counts_are_those_of_the_namespace(servers: dict[Sees, InProcess]) -> None:
    counts, all_ = (ask(servers[sees], "overview").json()["response"] for sees in ("counts", "all"))
    for name in ("tasks", "ready", "workers", "upstream", "paused"):
        assert counts[name] == all_[name], name
    assert counts["throughput"].keys() == all_["throughput"].keys()
    assert (counts["resources"], counts["paused_families"], counts["versions"]) == ([], [], {})


def test_with_names_all_but_the_texts_is_there(servers: dict[Sees, InProcess]) -> None:
    names, all_ = (ask(servers[sees], "task_details").json()["response"] for sees in ("names", "all"))
    kept_back = {name for name in all_ if names[name] != all_[name]}
    assert kept_back == {"display_name", "params", "error", "tracking_url", "message", "attempts"}
    assert {**names["attempts"][0], "error": ""} == {**all_["attempts"][0], "error": ""}
    listed = ask(servers["names"], "task_list").json()["response"]
    assert list(listed) == [TASK] and listed[TASK]["status"] == "FAILED" and listed[TASK]["params"] == {}
    why = ask(servers["names"], "why").json()["response"]
    assert TASK in why["sentence"] and "failed at" in why["sentence"]


@pytest.mark.parametrize(
    ("method", "argument"), [(m, a) for m, names in TELLING_ARGUMENTS.items() for a in sorted(names)]
)
def test_a_filter_by_what_is_kept_back_is_refused(servers: dict[Sees, InProcess], method: str, argument: str) -> None:
    given = {"params": {"password": SECRET}, "date": "2024-03-01"}.get(argument, SECRET)
    refused = ask(servers["names"], method, **{argument: given})
    assert refused.status == 403 and argument in refused.json()["error"]["message"]
    query = f"/api/{method}?data=" + json.dumps({**ARGUMENTS.get(method, {}), argument: given}).replace(" ", "%20")
    assert servers["names"].request("GET", query, headers=basic("eve", "1")).status == 403
    assert ask(servers["all"], method, **{argument: given}).status == 200


@pytest.mark.parametrize("path", ["/metrics", "/scale"])
def test_who_sees_counts_gets_no_metrics_since_they_name_families(servers: dict[Sees, InProcess], path: str) -> None:
    assert servers["counts"].request("GET", path, headers=basic("eve", "1")).status == 403
    assert servers["names"].request("GET", path, headers=basic("eve", "1")).status != 403


def fields_of(shape: Any) -> Iterator[str]:
    if typing.is_typeddict(shape):
        for name, inner in typing.get_type_hints(shape).items():
            yield name
            yield from fields_of(inner)
    for inner in typing.get_args(shape):
        yield from fields_of(inner)


@pytest.mark.parametrize("method", LOOKING)
def test_every_field_of_a_reply_says_who_sees_it(method: str) -> None:
    assert not set(fields_of(METHODS[method].returns)) - KNOWN_FIELDS


def planted(shape: Any) -> Any:
    """A reply of this shape with the secret in each text that there may be."""
    if typing.is_typeddict(shape):
        return {name: planted(inner) for name, inner in typing.get_type_hints(shape).items()}
    kind, inner = typing.get_origin(shape), typing.get_args(shape)
    if kind is list:
        return [planted(inner[0])]
    if kind is dict:
        return {SECRET: planted(inner[1])}
    if kind is typing.Literal:
        return inner[0]
    if inner and kind is not None:  # X | None
        return planted(inner[0])
    return {bool: True, int: 1, float: 1.0}.get(shape, SECRET)


@pytest.mark.parametrize("method", sorted(set(LOOKING) - WITH_ALL - {"why"}))
def test_wherever_a_reply_may_have_a_text_of_a_task_it_is_empty_with_names(method: str) -> None:
    def texts(value: Any, within: str = "") -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from texts(inner, name)
        elif isinstance(value, list):
            for inner in value:
                yield from texts(inner, within)
        elif value == SECRET:
            yield within

    left = left_for("names", method, planted(METHODS[method].returns))
    assert not set(texts(left)) & {
        *("params", "error", "last_error", "message", "status_message", "display_name", "tracking_url", "info"),
        *("log", "refusal"),
    }


@pytest.mark.parametrize("method", sorted(WITH_COUNTS - {"overview"}))
def test_with_counts_a_reply_has_no_text_at_all(method: str) -> None:
    assert SECRET not in json.dumps(left_for("counts", method, planted(METHODS[method].returns)))


@pytest.mark.parametrize("method", sorted(set(LOOKING) - WITH_ALL))
def test_what_a_viewer_is_kept_from_stays_in_the_reply_that_others_share(method: str) -> None:
    reply = planted(METHODS[method].returns)
    before = copy.deepcopy(reply)
    left_for("names", method, reply)
    assert reply == before
