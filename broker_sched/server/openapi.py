"""`/openapi.json`: what the methods take and reply, from the one table of them, for whatever reads that."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from broker_sched import __version__
from broker_sched.contract.registry import Method
from broker_sched.contract.roles import LUIGIS_PAGE, METHOD_RIGHTS, OTHER_PATHS, PUBLIC_PATHS
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.validation import ARGUMENT_TYPES

REFERENCE = "#/components/schemas/{name}"
ERROR = "error"  # the schema of what tells of a failure: no reply has a name in small letters
# Why a call may fail, by the status of the answer. Each has a body of the schema ERROR.
FAILURES = {
    400: "An argument, or the request itself, is wrong; `field` names it. Nothing was changed.",
    401: "This server wants to know who asks, and what was sent tells nobody that it knows.",
    403: "The role of whoever asks does not allow this, or a foreign web page asked for it through a browser.",
    408: "The rest of the request did not come in time.",
    409: "The report is of a run that another has superseded, or the worker's name is another's. Nothing was changed.",
    413: "The body is too large.",
    415: "The body is neither JSON nor a form.",
    429: "Too much was asked for at once, or too many logins have failed. Retry-After says when to try again.",
    431: "The URL and the headers are too long.",
    500: "The server failed on this call; its log says how.",
    503: "Redis, or the server, can't do this now. Retry-After says when to try again.",
}
FAILURE = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "description": "the kind of error"},
                "message": {"type": "string", "description": "what is wrong, and what to do, for people"},
                "field": {"type": "string", "description": "the argument that is wrong"},
            },
            "required": ["type", "message"],
        }
    },
    "required": ["error"],
}
OTHERS: Mapping[str, tuple[str, str, tuple[int, ...]]] = {
    "/": ("The page, in HTML", "text/html", (401, 403, 429)),
    LUIGIS_PAGE: ("What leads from an address of Luigi's page to this one, in HTML", "text/html", (401, 403, 429)),
    "/healthz": ("Whether the process lives", "application/json", ()),
    "/readyz": ("Whether calls can be served: 503, with the reason, when they can't", "application/json", (503,)),
    "/metrics": ("Metrics for Prometheus", "text/plain", (401, 403, 429, 503)),
    "/scale": ("How many slots could be used now, for autoscalers", "application/json", (400, 401, 403, 429, 503)),
    "/events": (
        "What changes, as server-sent events; see docs/events.md",
        "text/event-stream",
        (400, 401, 403, 429, 503),
    ),
    "/openapi.json": ("This document", "application/json", (401, 403, 429)),
}

OPERATIONS = {
    LUIGIS_PAGE: "luigis_page",
    "/": "page",
    "/events": "listen",
}  # ids of operations, where the path is not one


@cache
def openapi() -> bytes:
    """Return the document, of OpenAPI 3.1, as JSON. It is the same for all namespaces, and made once."""
    types = [*ARGUMENT_TYPES.values(), *(method.returns for method in METHODS.values())]
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    paths: dict[str, Any] = {}
    for method, takes, replies in zip(METHODS.values(), schemas, schemas[len(METHODS) :]):
        paths[f"/api/{method.name}"] = _path(method, takes, replies)
    paths.update((path, _other(path, *told)) for path, told in OTHERS.items())
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "broker_sched",
            "version": __version__,
            "description": "Luigi's scheduler API, and what broker_sched adds to it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"basic": []}, {"bearer": []}, {"session": []}, {"certificate": []}],
        "tags": [
            {"name": "luigi", "description": "Methods that a stock luigid has, too"},
            {"name": "broker_sched", "description": "Methods that it does not have"},
            {"name": "server", "description": "What else a server tells"},
        ],
        "paths": paths,
        "components": {
            "schemas": {**components, ERROR: FAILURE},
            "responses": {str(status): _failure(text) for status, text in FAILURES.items()},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-bsched_session-<namespace>"},
                "certificate": {"type": "mutualTLS"},
            },
        },
    }
    return json.dumps(_finite(document), allow_nan=False).encode("ascii")


def _path(method: Method, takes: Any, replies: Any) -> dict[str, Any]:
    """The operations of a method: POST, and GET where it only looks."""
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": takes}
    form = {"type": "object", "properties": {"data": text}, "required": ["data"]}
    is_required = any(parameter.default is parameter.empty for parameter in method.parameters)
    asked = _operation(method, replies)
    asked["requestBody"] = {
        "required": is_required,
        "content": {"application/json": {"schema": takes}, "application/x-www-form-urlencoded": {"schema": form}},
    }
    if not method.reads_only and not method.is_view:
        return {"post": asked}
    looked = _operation(method, replies)
    looked["operationId"] = f"get_{method.name}"
    content = {"application/json": {"schema": takes}}
    looked["parameters"] = [{"name": "data", "in": "query", "required": is_required, "content": content}]
    return {"post": asked, "get": looked}


def _operation(method: Method, replies: Any) -> dict[str, Any]:
    summary, _, rest = method.doc.partition("\n\n")
    right = METHOD_RIGHTS[method.name]
    schema = {"type": "object", "properties": {"response": replies}, "required": ["response"]}
    return {
        "operationId": method.name,
        "summary": " ".join(summary.split()),
        "description": rest,
        "tags": ["luigi" if method.in_luigi else "broker_sched"],
        "x-roles": sorted(role.value for role in right.roles),
        "responses": {
            "200": {"description": "The reply", "content": {"application/json": {"schema": schema}}},
            **_failures(FAILURES),
        },
    }


def _other(path: str, told: str, media_type: str, failures: Iterable[int]) -> dict[str, Any]:
    """The operation of a path that is no method."""
    operation: dict[str, Any] = {
        "operationId": OPERATIONS.get(path) or path.strip("/").partition(".")[0],
        "summary": told,
        "tags": ["server"],
        "responses": {"200": {"description": told, "content": {media_type: {}}}, **_failures(failures)},
    }
    if path in PUBLIC_PATHS:
        operation["security"] = [{}]
    else:
        operation["x-roles"] = sorted(role.value for role in OTHER_PATHS[path].roles)
    if media_type == "text/html":
        operation["responses"]["303"] = {"description": "A person without a login is led to it"}
    if path == "/readyz":
        operation["responses"]["503"] = {"description": "The reason", "content": {media_type: {}}}
    if path == "/scale":
        names = {"type": "array", "items": {"type": "string"}}
        told = "count only tasks of these families"
        operation["parameters"] = [{"name": "family", "in": "query", "description": told, "schema": names}]
    if path == "/events":
        places = (("after", "query"), ("Last-Event-ID", "header"))
        schema = {"type": "string", "pattern": "^[0-9]{1,19}-[0-9]{1,19}$"}
        told = "the id of the event behind which to go on; without it, from now on"
        operation["parameters"] = [
            {"name": name, "in": place, "description": told, "schema": schema} for name, place in places
        ]
    return {"get": operation}


def _failures(statuses: Iterable[int]) -> dict[str, Any]:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _failure(text: str) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(name=ERROR)}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _finite(value: Any) -> Any:
    """The same without infinite defaults and bounds, which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items() if not _is_infinite(each)}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
