"""`/api/<method>`: what HTTP adds to a call. The methods themselves come from METHODS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Collection, Coroutine, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from broker_sched.contract.registry import Method
from broker_sched.contract.request_ids import HEADER, parse
from broker_sched.contract.request_ids import Request as Numbered
from broker_sched.contract.validation import find_method
from broker_sched.contract.visibility import Sees
from broker_sched.errors import InvalidArgument
from broker_sched.log_lines import with_fields
from broker_sched.plain_text import on_one_line
from broker_sched.scheduler.async_scheduler import VIEWS, VIEWS_AT_ONCE, AsyncScheduler
from broker_sched.scheduler.auditing import AUDITED, Asker
from broker_sched.server.access.caller import caller_of
from broker_sched.server.access.viewers import check_arguments, left_for
from broker_sched.server.bodies import (
    ClientGone,
    is_small,
    length_of,
    read_body,
    read_parts,
)
from broker_sched.server.budget import Budget
from broker_sched.server.cross_site import is_browsers, is_foreign
from broker_sched.server.frequent_looks import FrequentLooks
from broker_sched.server.large_calls import LargeCalls
from broker_sched.server.metrics.counters import Counters
from broker_sched.server.request_naming import NAMED, chosen_name, naming
from broker_sched.server.requests import MAX_BODY_BYTES, from_body, from_query
from broker_sched.server.responses import (
    JSON_HEADERS,
    SECURITY_HEADERS,
    Answer,
    RequestRefused,
    answer_to,
    long_success,
    success,
    wrong_verb,
)
from broker_sched.server.shared_looks import SEEN, SharedLooks

log = logging.getLogger("bsched.server")

API = "/api/"
SMALL_BODY_BYTES = 64 * 1024  # a longer one is counted
LARGE_BODY_BYTES = 512 * 1024  # what is made of a longer one would keep others waiting for more than some ms
SMALL_ANSWER_BYTES = 1024 * 1024
BODIES_BYTES = 4 * MAX_BODY_BYTES  # of bodies that come in, or are at work, together
ANSWERS_BYTES = 128 * 1024 * 1024  # of long answers that wait for their readers, together
REQUEST_ID = HEADER.lower().encode()


class Api:
    """A bare ASGI application: a framework would cost a call more than all that is done here."""

    def __init__(
        self,
        scheduler: AsyncScheduler,
        large_calls: LargeCalls | None = None,
        looks: FrequentLooks | None = None,
        shared: SharedLooks | None = None,
        counters: Counters | None = None,
        trusted_origins: Collection[bytes] = (),
    ) -> None:
        """Answer calls by this scheduler.

        large_calls: carries out those with large bodies. looks: those that only look and come often. None: this process
        does. shared: answers equal ones of pages together; None: nobody does. counters: count the calls for /metrics;
        None: nobody does. trusted_origins: whose pages may do what this server's own may.
        """
        self._scheduler = scheduler
        self._large_calls = large_calls
        self._looks = looks
        self._shared = shared
        self._counters = counters
        self._trusted_origins = trusted_origins
        self._bodies, self._answers = Budget(BODIES_BYTES), Budget(ANSWERS_BYTES)
        self._view_slots = asyncio.Semaphore(VIEWS_AT_ONCE)

    def __call__(self, name: str, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Answer a call of this method, whatever happens."""
        headers = dict(scope["headers"])  # of one that is given twice, the last
        if NAMED not in headers:  # nearly always
            return self._call(name, scope, headers, receive, send)
        return self._call_named(name, scope, headers, receive, send)

    async def _call_named(
        self, name: str, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        request_id = chosen_name(headers[NAMED])
        with with_fields(request_id=request_id):
            await self._call(name, scope, headers, receive, naming(send, request_id))

    async def _call(
        self, name: str, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        started = time.perf_counter()
        answer: Answer | LongAnswer
        try:
            if scope["method"] == "OPTIONS":  # as luigid without CORS: no foreign page is allowed anything
                answer = Answer(204, SECURITY_HEADERS)
            elif is_small(headers, SMALL_BODY_BYTES):
                answer = await self._answer(name, scope, headers, await read_body(receive), receive)
            else:
                answer = await self._answer_large(name, scope, headers, receive)
        except ClientGone:
            return
        except Exception as error:
            answer = answer_to(error, scope)
        spent = time.perf_counter() - started
        if self._counters is not None:
            self._counters.note_call(name, spent)
        if log.isEnabledFor(logging.DEBUG):  # neither query nor body: they hold the users' data
            spent_ms = spent * 1000
            log.debug("%s %s %d %.1f ms", scope["method"], on_one_line(scope["path"]), answer.status, spent_ms)
        await answer.send(send)

    async def _answer_large(
        self, name: str, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive
    ) -> Answer | LongAnswer:
        """Answer a request with a large body, which waits until there is room for it."""
        taken = await self._bodies.take(length_of(headers))
        try:
            parts = await read_parts(receive)
            if sum(map(len, parts)) > LARGE_BODY_BYTES:
                if name == "await_work":  # which names a worker, and would keep its share of the memory for 30 s
                    raise RequestRefused(413, "TooLarge", "A request of await_work may have 512 KB at the most.")
                if self._large_calls is not None:
                    self._checked_method(name, scope["method"], headers)
                    return await self._large_calls.answer(name, scope, parts)
            return await self._answer(name, scope, headers, b"".join(parts), receive)
        finally:
            self._bodies.give_back(taken)

    async def _answer(
        self, name: str, scope: Scope, headers: Mapping[bytes, bytes], body: bytes, receive: Receive
    ) -> Answer | LongAnswer:
        verb, query = scope["method"], scope["query_string"]
        method = self._checked_method(name, verb, headers)
        if verb == "POST" and b"upgrade" in headers:  # the parser drops the body of such a request
            raise RequestRefused(
                400, "Upgrade", "Only HTTP/1.1 is spoken here; send the request without the Upgrade header."
            )
        if method.looks:
            return await self._look(method, scope, headers, body)
        arguments = from_body(headers.get(b"content-type", b""), body, query) if verb == "POST" else from_query(query)
        if method.name == "await_work":
            return success(await self._await_work(method, arguments, receive))
        sees = caller_of(scope).sees
        check_arguments(sees, name, arguments)
        if name in VIEWS:
            return await self._view(method, arguments, sees)
        asker = _asker(scope) if name in AUDITED else None
        reply = await self._scheduler.invoke(method, arguments, _numbered(headers), asker)
        return success(left_for(sees, name, reply))

    async def _look(self, method: Method, scope: Scope, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        """Answer a call that only looks, together with equal ones of pages that ask since the same change."""
        seen = headers.get(SEEN)
        if seen is None or self._shared is None:
            return await self._look_alone(method, scope, headers, body)
        kind = headers.get(b"content-type", b"")
        question = (method.name, caller_of(scope).sees, scope["method"], scope["query_string"], kind, body)
        answer = await self._shared.answer(question, seen, lambda: self._look_alone(method, scope, headers, body))
        if self._looks is not None:
            await self._looks.turn()
        return answer

    async def _look_alone(self, method: Method, scope: Scope, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        if self._looks is not None and (answer := await self._looks.answer(method.name, scope, [body])) is not None:
            return answer
        query = scope["query_string"]
        is_post = scope["method"] == "POST"
        arguments = from_body(headers.get(b"content-type", b""), body, query) if is_post else from_query(query)
        sees = caller_of(scope).sees
        check_arguments(sees, method.name, arguments)
        reply = await self._scheduler.invoke(method, arguments, _numbered(headers))
        if self._looks is not None:
            await self._looks.turn()
        return success(left_for(sees, method.name, reply))

    def _checked_method(self, name: str, verb: str, headers: Mapping[bytes, bytes]) -> Method:
        """Return the method, unless a browser asks for it that may be misused. Raises RequestRefused, UnknownMethod."""
        if verb not in ("POST", "GET"):
            raise wrong_verb(verb, "GET, POST, OPTIONS")
        method = find_method(name)
        if verb == "GET" and not _changes_state(method):
            return method
        if is_foreign(headers, verb, self._trusted_origins):
            raise RequestRefused(
                403,
                "CrossSite",
                f"{name} may be asked for by programs and by this server's own page: a browser that does not say so "
                "may be misused by another site. Use bsched, curl or POST; let a proxy pass on the Host header.",
            )
        if verb == "GET" and is_browsers(headers):
            message = f"{name} changes state: a browser may ask for it by POST only, so that no link does it."
            raise RequestRefused(405, "MethodNotAllowed", message, [(b"allow", b"POST, OPTIONS")])
        return method

    async def _view(self, method: Method, arguments: dict[str, Any], sees: Sees) -> LongAnswer:
        """Answer a view. All of its reply lies in memory before any is sent, so only few are made at once."""
        async with self._view_slots:
            reply = await self._scheduler.invoke(method, arguments)
            if sees != "all":
                reply = await asyncio.to_thread(left_for, sees, method.name, reply)
            parts = await long_success(reply)
            size = sum(map(len, parts))
            taken = await self._answers.take(size) if size > SMALL_ANSWER_BYTES else 0
        return LongAnswer(parts, size, taken, self._answers)

    async def _await_work(self, method: Method, arguments: dict[str, Any], receive: Receive) -> Any:
        """Wait for work until the client goes, or sends no more: then the work that came wakes another worker."""
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


class LongAnswer:
    """The 200 of a view, sent part by part as its client reads, its memory given back likewise."""

    status = 200

    def __init__(self, parts: list[bytes], size: int, taken: int, budget: Budget) -> None:
        self._parts = deque(parts)
        self._size = size
        self._taken = taken
        self._budget = budget

    async def send(self, send: Send) -> None:
        """Send all of it to an ASGI server."""
        headers = [*JSON_HEADERS, (b"content-length", b"%d" % self._size)]
        try:
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            if self._size <= SMALL_ANSWER_BYTES:
                await send({"type": "http.response.body", "body": b"".join(self._parts)})
                return
            while self._parts:
                part = self._parts.popleft()
                await send({"type": "http.response.body", "body": part, "more_body": bool(self._parts)})
                self._give_back(len(part))
        finally:
            self._give_back(self._taken)

    def _give_back(self, size: int) -> None:
        size = min(size, self._taken)
        self._taken -= size
        self._budget.give_back(size)


def _asker(scope: Scope) -> Asker:
    caller = caller_of(scope)
    return Asker(caller.name, caller.kind, caller.address)


def _numbered(headers: Mapping[bytes, bytes]) -> Numbered | None:
    """Return the id that the client gives its call, if any: a repetition gets the first answer."""
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
