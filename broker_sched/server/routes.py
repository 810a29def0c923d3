"""Everything but `/api`, on Starlette: the page, health, and what else is served to people and programs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker_sched.errors import BrokerSchedError, InvalidArgument
from broker_sched.server.access.caller import caller_of
from broker_sched.server.access.login import login_routes
from broker_sched.server.openapi import openapi
from broker_sched.server.page_routes import page_routes, to_response
from broker_sched.server.responses import (
    JSON_HEADERS,
    RETRY_AFTER,
    Answer,
    RequestRefused,
    answer_to,
    to_json,
    wrong_verb,
)

if TYPE_CHECKING:
    from broker_sched.server.app import App

log = logging.getLogger("bsched.server")

READY_SECONDS = 5  # after which Redis counts as away


def routes(app: App) -> Starlette:
    """Make the routes of an application, and its lifespan."""

    async def alive(request: Request) -> Response:
        return to_response(Answer(200, JSON_HEADERS, b'{"alive":true}'))

    async def ready(request: Request) -> Response:
        try:
            reason = await asyncio.wait_for(app.scheduler.why_not_ready(), timeout=READY_SECONDS)
        except (asyncio.TimeoutError, TimeoutError):
            reason = f"Redis did not answer within {READY_SECONDS} s."
        if reason is None:
            return to_response(Answer(200, JSON_HEADERS, b'{"ready":true}'))
        return to_response(Answer(503, [*JSON_HEADERS, RETRY_AFTER], to_json({"ready": False, "reason": reason})))

    async def metrics(request: Request) -> Response:
        with_names = caller_of(request.scope).sees != "counts"  # families and resources are names that users gave
        text, content_type = await app.scraping.metrics(request.headers.get("accept", ""), with_names=with_names)
        headers = [(b"content-type", content_type.encode())]
        return to_response(Answer(200, headers, text))

    async def scale(request: Request) -> Response:
        unknown = sorted(set(request.query_params) - {"family"})
        if unknown:
            raise InvalidArgument(unknown[0], "is none that /scale knows: it takes family, once or several times")
        told = await app.scraping.scale(request.query_params.getlist("family"))
        return to_response(Answer(200, JSON_HEADERS, to_json(told)))

    async def description(request: Request) -> Response:
        return to_response(Answer(200, JSON_HEADERS, openapi()))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with app.running():
            yield

    made = Starlette(
        routes=[
            *page_routes(lambda: app.scheduler.namespace.name),
            Route("/healthz", alive),
            Route("/readyz", ready),
            Route("/metrics", metrics),
            Route("/scale", scale),
            Route("/events", app.events),
            Route("/openapi.json", description),
            *login_routes(lambda: app.access, app.note_refused_login),
        ],
        exception_handlers={404: _not_found, 405: _wrong_verb, BrokerSchedError: _failed, Exception: _failed},
        lifespan=lifespan,
    )
    made.router.redirect_slashes = False
    return made


async def _not_found(request: Request, error: Exception) -> Response:
    refusal = RequestRefused(404, "NotFound", "There is nothing here; the methods are at /api/<method>.")
    return to_response(answer_to(refusal, request.scope))


async def _wrong_verb(request: Request, error: Exception) -> Response:
    headers = (error.headers if isinstance(error, HTTPException) else None) or {}
    allowed = ", ".join(sorted(headers.get("Allow", "GET, HEAD").split(", ")))
    return to_response(answer_to(wrong_verb(request.method, allowed), request.scope))


async def _failed(request: Request, error: Exception) -> Response:
    return to_response(answer_to(error, request.scope))
