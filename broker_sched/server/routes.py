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

from broker_sched.contract.roles import PAGE_FILES
from broker_sched.errors import BrokerSchedError, InvalidArgument
from broker_sched.server.access.caller import caller_of
from broker_sched.server.access.login import login_routes
from broker_sched.server.front_page import PAGE_HEADERS, front_page, plain_links
from broker_sched.server.openapi import openapi
from broker_sched.server.page_files import INDEX_HEADERS, page_files
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

    async def page(request: Request) -> Response:
        if request.method == "HEAD":  # of load balancers
            return Response(status_code=204)
        caller, namespace, files = caller_of(request.scope), app.scheduler.namespace.name, page_files()
        has_login = caller.kind == "session"
        if files is None:
            return _response(Answer(200, PAGE_HEADERS, front_page(namespace, has_login)))
        view = request.query_params.get("view", "now")
        return _response(Answer(200, INDEX_HEADERS, files.index(namespace, caller, plain_links(has_login), view)))

    async def page_file(request: Request) -> Response:
        # Not the pattern's own: it leaves out a line's end behind the name.
        path = request.scope["path"].removeprefix(request.scope.get("root_path") or "").removeprefix(PAGE_FILES)
        digest, _, name = path.partition("/")
        files, accepts_gzip = page_files(), "gzip" in request.headers.get("accept-encoding", "")
        answer = None if files is None else files.answer(digest, name, accepts_gzip)
        return await _not_found(request, HTTPException(404)) if answer is None else _response(answer)

    async def alive(request: Request) -> Response:
        return _response(Answer(200, JSON_HEADERS, b'{"alive":true}'))

    async def ready(request: Request) -> Response:
        try:
            reason = await asyncio.wait_for(app.scheduler.why_not_ready(), timeout=READY_SECONDS)
        except (asyncio.TimeoutError, TimeoutError):
            reason = f"Redis did not answer within {READY_SECONDS} s."
        if reason is None:
            return _response(Answer(200, JSON_HEADERS, b'{"ready":true}'))
        return _response(Answer(503, [*JSON_HEADERS, RETRY_AFTER], to_json({"ready": False, "reason": reason})))

    async def metrics(request: Request) -> Response:
        with_names = caller_of(request.scope).sees != "counts"  # families and resources are names that users gave
        text, content_type = await app.scraping.metrics(request.headers.get("accept", ""), with_names=with_names)
        headers = [(b"content-type", content_type.encode())]
        return _response(Answer(200, headers, text))

    async def scale(request: Request) -> Response:
        unknown = sorted(set(request.query_params) - {"family"})
        if unknown:
            raise InvalidArgument(unknown[0], "is none that /scale knows: it takes family, once or several times")
        told = await app.scraping.scale(request.query_params.getlist("family"))
        return _response(Answer(200, JSON_HEADERS, to_json(told)))

    async def description(request: Request) -> Response:
        return _response(Answer(200, JSON_HEADERS, openapi()))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with app.running():
            yield

    made = Starlette(
        routes=[
            Route("/", page),
            Route(f"{PAGE_FILES}{{path:path}}", page_file),
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
    return _response(answer_to(refusal, request.scope))


async def _wrong_verb(request: Request, error: Exception) -> Response:
    headers = (error.headers if isinstance(error, HTTPException) else None) or {}
    allowed = ", ".join(sorted(headers.get("Allow", "GET, HEAD").split(", ")))
    return _response(answer_to(wrong_verb(request.method, allowed), request.scope))


async def _failed(request: Request, error: Exception) -> Response:
    return _response(answer_to(error, request.scope))


def _response(answer: Answer) -> Response:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    return Response(answer.body, answer.status, headers)
