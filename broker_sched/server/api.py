"""`/api/<method>`: what HTTP adds to a call. The methods themselves come from METHODS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from broker_sched.contract.registry import Method
from broker_sched.contract.request_ids import HEADER, parse
from broker_sched.contract.request_ids import Request as Numbered
from broker_sched.contract.validation import find_method
from broker_sched.errors import InvalidArgument
from broker_sched.scheduler.async_scheduler import VIEWS, AsyncScheduler
from broker_sched.server.bodies import BodyTooLarge, ClientGone, discard_rest, read_body
from broker_sched.server.cross_site import is_foreign
from broker_sched.server.requests import from_body, from_query
from broker_sched.server.responses import Answer, Refusal, answer_to, long_success, success, wrong_verb

log = logging.getLogger("bsched.server")

API = "/api/"
REQUEST_ID = HEADER.lower().encode()
EXPECTS = b"expect"


class Api:
    """A bare ASGI application: a framework would cost a call more than all that is done here."""

    def __init__(self, scheduler: AsyncScheduler) -> None:
        self._scheduler = scheduler

    async def __call__(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call of this method, whatever happens."""
        started = time.perf_counter()
        headers = dict(scope["headers"])  # of one that is given twice, the last
        is_to_discard = False
        try:
            answer = await self._answer(name, scope, headers, receive)
        except ClientGone:
            return
        except Exception as error:
            answer = answer_to(error, scope)
            is_to_discard = isinstance(error, BodyTooLarge) and not error.is_whole and EXPECTS not in headers
        if log.isEnabledFor(logging.DEBUG):  # neither query nor body: they hold the users' data
            spent_ms = (time.perf_counter() - started) * 1000
            log.debug("%s %s %d %.1f ms", scope["method"], scope["path"], answer.status, spent_ms)
        if not is_to_discard:
            await answer.send(send)
            return
        await send(answer.start())
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        await discard_rest(receive)  # who is still sending would miss the answer if we closed now
        await send({"type": "http.response.body", "body": b""})

    async def _answer(self, name: str, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> Answer:
        verb, query = scope["method"], scope["query_string"]
        body = await read_body(headers, receive)
        if verb == "OPTIONS":  # as luigid without CORS: no foreign page is allowed anything
            return Answer(204)
        if verb not in ("POST", "GET"):
            raise wrong_verb(verb, "GET, POST, OPTIONS")
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
        arguments = from_body(headers.get(b"content-type", b""), body, query) if verb == "POST" else from_query(query)
        if method.name == "await_work":
            return success(await self._await_work(method, arguments, receive))
        result = await self._scheduler.invoke(method, arguments, _numbered(headers))
        return await long_success(result) if name in VIEWS else success(result)

    async def _await_work(self, method: Method, arguments: dict[str, Any], receive: Receive) -> Any:
        """A long poll, which ends when its client goes, or sends no more: then what woke it is for others."""
        call = asyncio.ensure_future(self._scheduler.invoke(method, arguments))
        gone = asyncio.ensure_future(receive())  # there is nothing more to receive but the end
        try:
            await asyncio.wait({call, gone}, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return call.result()
        finally:
            for each in (call, gone):
                each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        await self._scheduler.invoke(method, {**arguments, "seconds": 0})
        return {"ready": False}


def _numbered(headers: Mapping[bytes, bytes]) -> Numbered | None:
    """The call's id, where the client sends one: a repetition gets the first answer."""
    text = headers.get(REQUEST_ID)
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
