"""Spans for HTTP requests, by OpenTelemetry's ASGI instrumentation, where an SDK is set up.

Queries are kept from it: a GET has its arguments there, and attributes hold neither parameters nor secrets.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from broker_sched import tracing
from broker_sched.contract.scheduler_api import METHODS

log = logging.getLogger("bsched.server")

API = "/api/"
UNTRACED = (
    "/healthz,/readyz,/metrics,/events,/api/await_work,/api/ping"  # asked for all the time, by nobody who wants to know
)
QUERY = "bsched.query_string"  # where the query waits until the instrumentation has looked at the scope


def traced(app: ASGIApp) -> ASGIApp:
    """Return the application with a span around each request; as it is where OpenTelemetry has no SDK."""
    if not tracing.is_on():
        return app
    try:
        middleware: Any = import_module("opentelemetry.instrumentation.asgi").OpenTelemetryMiddleware
    except ImportError:
        log.warning("Requests get no spans: pip install 'broker_sched[otel]'.")
        return app

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        if QUERY in scope:
            scope["query_string"] = scope.pop(QUERY)
        await app(scope, receive, send)

    spans: ASGIApp = middleware(
        inner, excluded_urls=UNTRACED, default_span_details=_named, exclude_spans=["receive", "send"]
    )

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, QUERY: scope["query_string"], "query_string": b""}
        await spans(scope, receive, send)

    return outer


def _named(scope: Scope) -> tuple[str, dict[str, Any]]:
    """Return a span's name, which only a method of the contract gets with its path, and further attributes."""
    verb, path = str(scope.get("method", "HTTP")), str(scope.get("path", ""))
    is_method = path.startswith(API) and path[len(API) :] in METHODS
    return (f"{verb} {path}", {"http.route": path}) if is_method else (verb, {})
