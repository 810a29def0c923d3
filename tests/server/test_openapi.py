"""`/openapi.json` says what the methods take, what they reply, and who may call them; and it is what happens."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from broker_sched import Scheduler
from broker_sched.contract.roles import METHOD_RIGHTS, OTHER_PATHS, PUBLIC_PATHS
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.server.openapi import ERROR, FAILURES, openapi
from tests.harness import ROOT, RedisProcess, ServerProcess
from tests.nightly import NIGHTLY

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# await_work may wait for 30 s.
BRIEFLY = ["--phases", "fuzzing", "--max-examples", "2", "--no-shrink", "--exclude-path", "/api/await_work"]
FOR_AN_HOUR = ["--phases", "coverage,fuzzing,stateful", "--max-time", "3600", "--request-timeout", "60"]
MISSING = {404, 405}  # of a path or a verb that the document does not have
TO_LOGIN = 303  # which people are led to from a page
OF_BROWSERS = {path for path in PUBLIC_PATHS if path.startswith("/log")}  # forms, and where a provider leads back to


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(openapi())


def test_the_document_is_valid(document: Any) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1.")


def test_a_server_gives_it_to_whoever_asks(server: ServerProcess) -> None:
    reply = server.request("GET", "/openapi.json")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=UTF-8")
    assert reply.body == openapi()


def test_every_method_and_every_other_path_is_in_it_and_only_what_looks_may_be_got(document: Any) -> None:
    verbs = {path: set(operations) for path, operations in document["paths"].items()}
    looks = {name for name, method in METHODS.items() if method.reads_only or method.is_view}
    expected = {f"/api/{name}": {"post", "get"} if name in looks else {"post"} for name in METHODS}
    others = {path: {"get"} for path in {*PUBLIC_PATHS, *OTHER_PATHS} - OF_BROWSERS}
    assert verbs == {**others, **expected}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_told_with_its_arguments_and_the_roles_that_may_call_it(document: Any, name: str) -> None:
    operation = document["paths"][f"/api/{name}"]["post"]
    assert operation["x-roles"] == sorted(METHOD_RIGHTS[name].roles)
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    method = METHODS[name]
    if method.collects:
        assert "additionalProperties" in schema
        return
    arguments = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert set(arguments["properties"]) == {each.name for each in method.parameters}
    required = [each.name for each in method.parameters if each.default is each.empty]
    assert arguments["required"] == required
    assert operation["requestBody"]["required"] == bool(required)
    assert arguments.get("additionalProperties", True) == method.takes_any


def test_a_reply_has_its_own_schema_and_none_is_taken_for_what_tells_of_a_failure(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["Failure"]["properties"]) > {"task_id", "error", "attempt"}, "of a run that failed"
    assert list(schemas[ERROR]["properties"]) == ["error"]


def test_every_status_that_a_request_may_be_refused_with_is_in_it() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "broker_sched" / "server").rglob("*.py"))
    found = {int(status) for status in re.findall(r"(?:RequestRefused|_error)\(\s*(\d{3})", sources)}
    assert len(found) > 8
    assert found - FAILURES.keys() <= {*MISSING, TO_LOGIN}


@pytest.mark.timeout(4000 if NIGHTLY else 120)
def test_nothing_that_fits_or_does_not_fit_the_document_makes_a_server_fail(
    own_redis: RedisProcess, start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    """Each answer has a status, a type and a schema that the document tells, and what is kept is right after it."""
    server = start_server("--redis", own_redis.url, "--namespace", "fuzzed").await_ready()
    words = ["--checks", CHECKS, "--continue-on-failure", "--seed", "16", "--warnings", "off"]
    words += ["--exclude-path", "/events"]  # of which no answer ends; tests/server/events has wrong requests
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json"),
            *(*words, *(FOR_AN_HOUR if NIGHTLY else BRIEFLY)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert found and int(found[1]) == int(found[2]) > len(METHODS)
    assert server.stop() == 0
    assert [line for line in server.said if "Traceback" in line or "failed" in line] == []
    with closing(Scheduler(own_redis.url, "fuzzed", prune_interval_seconds=None)) as scheduler:
        assert scheduler.verify() == []
