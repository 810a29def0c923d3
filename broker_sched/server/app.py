"""Routes, and what HTTP adds to a call. The methods themselves come from METHODS.

POST /api/<method>      data=<JSON> as a form, or a JSON body
GET  /api/<method>      ?data=<JSON>
GET  /                  a page with links; HEAD answers 204
GET  /healthz           200: the process lives
GET  /readyz            200 when calls can be served, else 503 and the reason
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from broker_sched.contract.registry import Method
from broker_sched.contract.request_ids import HEADER, parse
from broker_sched.contract.request_ids import Request as Numbered
from broker_sched.contract.validation import find_method
from broker_sched.errors import (
    BrokerSchedError,
    InvalidArgument,
    NameTaken,
    RedisUnavailable,
    SchemaMismatch,
    Superseded,
    UnknownMethod,
)
from broker_sched.scheduler.async_scheduler import VIEWS, AsyncScheduler
from broker_sched.server.connection import Request
from broker_sched.server.cross_site import is_foreign
from broker_sched.server.front_page import front_page
from broker_sched.server.requests import from_body, from_query
from broker_sched.server.responses import (
    HTML_HEADERS,
    JSON_HEADERS,
    RETRY_AFTER,
    Answer,
    Refusal,
    failure,
    long_success,
    success,
    to_json,
)

log = logging.getLogger("bsched.server")

API = "/api/"
# The caller is told, no log.
EXPECTED = (Refusal, InvalidArgument, UnknownMethod, RedisUnavailable, SchemaMismatch, Superseded, NameTaken)


class App:
    """Serves one namespace through a driver."""

    def __init__(self, scheduler: AsyncScheduler) -> None:
        self._scheduler = scheduler

    async def respond(self, request: Request) -> Answer:
        """The answer, whatever happens."""
        started = time.perf_counter()
        try:
            answer = await self._answer(request)
        except EXPECTED as error:
            answer = failure(error)
        except BrokerSchedError as error:
            log.error("%s %s: %s", request.verb, request.path, error)
            answer = failure(error)
        except Exception as error:  # a bug of ours must not close the connection of a client
            log.exception("%s %s failed", request.verb, request.path)
            answer = failure(error)
        if log.isEnabledFor(logging.DEBUG):  # neither query nor body: they hold the users' data
            spent_ms = (time.perf_counter() - started) * 1000
            log.debug("%s %s %d %.1f ms", request.verb, request.path, answer.status, spent_ms)
        return answer

    async def _answer(self, request: Request) -> Answer:
        verb, path = request.verb, request.path
        if path.startswith(API):
            return await self._call(path[len(API) :], request)
        if path == "/" and verb == "HEAD":
            return Answer(204)
        page = {"/": self._front_page, "/healthz": self._healthz, "/readyz": self._readyz}.get(path)
        if page is None:
            raise Refusal(404, "NotFound", "There is nothing here; the methods are at /api/<method>.")
        if verb not in ("GET", "HEAD"):
            raise _wrong_verb(verb, "GET, HEAD")
        return await page()

    async def _call(self, name: str, request: Request) -> Answer:
        verb, headers = request.verb, request.headers
        if verb == "OPTIONS":  # as luigid without CORS: no foreign page is allowed anything
            return Answer(204)
        if verb not in ("POST", "GET"):
            raise _wrong_verb(verb, "GET, POST, OPTIONS")
        method = find_method(name)
        if (verb == "POST" or _changes_state(method)) and is_foreign(headers, verb):
            raise Refusal(
                403,
                "CrossSite",
                f"{name} may be asked for by programs and by this server's own page: a browser that does not say so "
                "may be misused by another site. Use bsched, curl or POST; let a proxy pass on the Host header.",
            )
        if verb == "POST" and b"upgrade" in headers:  # the parser drops the body of such a request
            raise Refusal(400, "Upgrade", "Only HTTP/1.1 is spoken here; send the request without the Upgrade header.")
        if verb == "POST":
            arguments = from_body(headers.get(b"content-type", b""), request.body, request.query)
        else:
            arguments = from_query(request.query)
        result = await self._scheduler.invoke(method, arguments, _numbered(headers))
        return await long_success(result) if name in VIEWS else success(result)

    async def _front_page(self) -> Answer:
        return Answer(200, HTML_HEADERS, front_page(self._scheduler.namespace.name))

    async def _healthz(self) -> Answer:
        return Answer(200, JSON_HEADERS, b'{"alive":true}')

    async def _readyz(self) -> Answer:
        try:
            reason = await asyncio.wait_for(self._scheduler.why_not_ready(), timeout=5)
        except (asyncio.TimeoutError, TimeoutError):
            reason = "Redis did not answer within 5 s."
        if reason is None:
            return Answer(200, JSON_HEADERS, b'{"ready":true}')
        return Answer(503, JSON_HEADERS + RETRY_AFTER, to_json({"ready": False, "reason": reason}))


def _numbered(headers: Mapping[bytes, bytes]) -> Numbered | None:
    """The call's id, where the client sends one: a repetition gets the first answer."""
    text = headers.get(HEADER.lower().encode())
    if text is None:
        return None
    numbered = parse(text.decode("latin-1"))
    if numbered is None:
        raise InvalidArgument(
            HEADER,
            "must be <caller>:<number>, the caller 1 to 100 letters, digits, '.', '_' or '-', the number up to 18 "
            "digits; with '!' behind it when the same call was sent before",
        )
    return numbered


def _changes_state(method: Method) -> bool:
    return not method.reads_only and method.name not in VIEWS


def _wrong_verb(verb: str, allowed: str) -> Refusal:
    message = f"{verb} is not possible here; use {allowed}."
    return Refusal(405, "MethodNotAllowed", message, f"allow: {allowed}\r\n".encode())
