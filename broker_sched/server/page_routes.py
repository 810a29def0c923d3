"""`/` and what belongs to it: the web page, its files, and the addresses of Luigi's own page."""

from __future__ import annotations

from collections.abc import Callable

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker_sched.contract.roles import LUIGIS_PAGE, PAGE_FILES
from broker_sched.server.access.caller import caller_of
from broker_sched.server.front_page import PAGE_HEADERS, front_page, plain_links
from broker_sched.server.page_files import INDEX_HEADERS, page_files
from broker_sched.server.requests import path_of
from broker_sched.server.responses import Answer, RequestRefused


def page_routes(namespace_of: Callable[[], str]) -> list[Route]:
    """Make the routes of the web page. namespace_of: returns the namespace, while the application runs."""

    async def page(request: Request) -> Response:
        if request.method == "HEAD":  # of load balancers
            return Response(status_code=204)
        caller, files = caller_of(request.scope), page_files()
        has_login = caller.kind == "session"
        if files is None:
            return to_response(Answer(200, PAGE_HEADERS, front_page(namespace_of(), has_login)))
        return to_response(Answer(200, INDEX_HEADERS, files.index(namespace_of(), caller, plain_links(has_login))))

    async def luigis_page(request: Request) -> Response:
        files = page_files()
        if files is None:
            return Response(status_code=303, headers={"location": "../../"})
        return to_response(Answer(200, INDEX_HEADERS, files.luigis_page()))

    async def file(request: Request) -> Response:
        # Not the pattern's own: it leaves out a line's end behind the name.
        path = path_of(request.scope).removeprefix(PAGE_FILES)
        digest, _, name = path.partition("/")
        files, accepts_gzip = page_files(), "gzip" in request.headers.get("accept-encoding", "")
        answer = None if files is None else files.answer(digest, name, accepts_gzip)
        if answer is None:
            raise RequestRefused(404, "NotFound", "The page has no such file, or not in this version: load it anew.")
        return to_response(answer)

    return [
        Route("/", page, middleware=[Middleware(GZipMiddleware)]),
        Route(LUIGIS_PAGE, luigis_page),
        Route(f"{PAGE_FILES}{{path:path}}", file),
    ]


def to_response(answer: Answer) -> Response:
    """Return an answer as Starlette has it."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    return Response(answer.body, answer.status, headers)
