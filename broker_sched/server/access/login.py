"""`/login` and `/logout`: where a browser gets its session, and ends it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from broker_sched.errors import RedisUnavailable
from broker_sched.server.access.access import Access
from broker_sched.server.access.login_page import PAGE_HEADERS, error_page, form_page, going_on_page, logged_in_page
from broker_sched.server.cross_site import is_foreign
from broker_sched.server.responses import JSON_HEADERS, RETRY_AFTER, Header, RequestRefused, to_json

if TYPE_CHECKING:
    from broker_sched.server.access.oidc import Oidc

log = logging.getLogger("bsched.server")

MAX_BODY_BYTES = 16 * 1024
MAX_NEXT = 2000  # characters
OWN_PATH = re.compile(r"/[\x21-\x5b\x5d-\x7e]*\Z")  # no backslash, which browsers take for a slash
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def login_routes(access_of: Callable[[], Access], note: Callable[[Scope, str, BaseException], None]) -> list[Route]:
    """Make the routes by which people log in and out.

    access_of: returns who is known, while the application runs. note: is told of each login that fails: the request,
    who they said to be, and the error.
    """

    async def show(request: Request) -> Response:
        access = _wanting(access_of())
        caller = await access.by_session(request.scope)
        if caller is not None:
            return _page(200, logged_in_page(caller.name, caller.role.value, access.namespace))
        return _page(200, _form(access, own_path(request.query_params.get("next"))))

    async def log_in(request: Request) -> Response:
        access = _wanting(access_of())
        refuse_foreign(request.scope)
        given, is_form = await _read(request)
        next_path = own_path(given.get("next"))
        try:
            caller, proof = await access.prove(given.get("user", ""), given.get("password", ""), request.scope)
            cookie = await access.sessions.begin(proof, request.scope)
        except (RequestRefused, RedisUnavailable) as error:
            note(request.scope, given.get("user", ""), error)
            if not is_form:
                raise
            status, headers = (error.status, error.headers) if isinstance(error, RequestRefused) else (503, ())
            # The challenge would have the browser ask in a window of its own.
            kept = [header for header in headers if header[0] != b"www-authenticate"]
            return _page(status, _form(access, next_path, str(error)), kept)
        headers = [(b"set-cookie", cookie.encode())]
        if is_form:
            return _response(303, b"", [*headers, (b"location", f".{next_path}".encode())])
        told = {"name": caller.name, "role": caller.role.value, "namespace": access.namespace}
        return _response(200, to_json(told), [*JSON_HEADERS, *headers])

    async def log_out(request: Request) -> Response:
        access = _wanting(access_of())
        refuse_foreign(request.scope)
        await access.sessions.end(request.scope)
        headers = [(b"set-cookie", access.sessions.set_cookie(request.scope, "").encode())]
        if "text/html" in request.headers.get("accept", ""):
            return _response(303, b"", [*headers, (b"location", b"login")])
        return _response(204, b"", headers)

    async def go_elsewhere(request: Request) -> Response:
        oidc = _elsewhere(_wanting(access_of()))
        try:
            target, cookie = await oidc.begin(request.scope, own_path(request.query_params.get("next")))
        except Exception as error:
            return _failed(error, "../login")
        return _response(303, b"", [(b"location", target.encode()), (b"set-cookie", cookie.encode())])

    async def come_back(request: Request) -> Response:
        access = _wanting(access_of())
        oidc = _elsewhere(access)
        try:
            proof, next_path = await oidc.finish(request.scope, dict(request.query_params))
            cookies = [oidc.gone_cookie(request.scope), await access.sessions.begin(proof, request.scope)]
        except Exception as error:
            return _failed(error, "../login")
        # No redirect: a browser that comes from elsewhere would not send the cookie along, which is SameSite=Strict.
        return _page(200, going_on_page(f"..{next_path}"), [(b"set-cookie", each.encode()) for each in cookies])

    return [
        Route("/login/oidc", go_elsewhere, methods=["GET"]),
        Route("/login/callback", come_back, methods=["GET"]),
        Route("/login", show, methods=["GET"]),
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
    ]


def own_path(text: object) -> str:
    """Return the path where to go on after a login: only one of this server's own, else `/`.

    It is used behind a dot, so that it is relative whatever it says.
    """
    if not isinstance(text, str) or len(text) > MAX_NEXT or not OWN_PATH.match(text):
        return "/"
    return "/" + text.lstrip("/")


def refuse_foreign(scope: Scope) -> None:
    """Raise RequestRefused (403) for a form that another site's page has sent."""
    if is_foreign(dict(scope["headers"]), scope["method"]):
        raise RequestRefused(403, "CrossSite", "Only this server's own page, and programs, log in and out here.")


def _wanting(access: Access) -> Access:
    if access.is_open:
        raise RequestRefused(404, "NotFound", "This server wants no login: everybody who reaches it may do everything.")
    return access


def _elsewhere(access: Access) -> Oidc:
    if access.oidc is None:
        raise RequestRefused(404, "NotFound", "People log in at this server itself: there is no --oidc-config.")
    return access.oidc


def _failed(error: Exception, again: str) -> Response:
    """Make the page that says why nobody was logged in. What is no such reason is raised again."""
    from broker_sched.server.access.id_tokens import LoginFailed  # here, since few servers have joserfc
    from broker_sched.server.access.oidc_provider import ProviderAway

    if isinstance(error, LoginFailed):
        return _page(403, error_page("Not logged in", f"Nobody was logged in: {error}.", again))
    if isinstance(error, (ProviderAway, RedisUnavailable)):
        log.warning("Nobody can log in by OpenID Connect: %s", error)
        told = f"Nobody can be logged in now: {'Redis' if isinstance(error, RedisUnavailable) else error}."
        if isinstance(error, ProviderAway):
            told = f"The place where you log in can't be asked now: {error}. Whoever is logged in stays so."
        return _page(503, error_page("Try again later", told, again), [RETRY_AFTER])
    raise error


def _form(access: Access, next_path: str, error: str = "") -> bytes:
    elsewhere = f"login/oidc?next={quote(next_path)}" if access.oidc is not None else ""
    return form_page(access.namespace, next_path, error, elsewhere)


async def _read(request: Request) -> tuple[dict[str, str], bool]:
    """Return the fields of a form or a JSON object, and whether it was a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (FORM, JSON):
        raise RequestRefused(415, "InvalidArgument", f"Log in with a form ({FORM}) or with {JSON}: user, password.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise RequestRefused(413, "TooLarge", f"A login has {MAX_BODY_BYTES // 1024} KB at the most.")
    try:
        found: Any = (
            dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=10))
            if kind == FORM
            else json.loads(body)
        )
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise RequestRefused(
            400, "InvalidArgument", "A login has the fields user and password, and perhaps next: texts."
        )
    return found, kind == FORM


def _page(status: int, html: bytes, headers: list[Header] | None = None) -> Response:
    return _response(status, html, [*PAGE_HEADERS, *(headers or [])])


def _response(status: int, body: bytes, headers: list[Header]) -> Response:
    made = Response(body, status)
    if status == 204:
        made.raw_headers = []
    own = {name for name, _ in headers}
    made.raw_headers = [*(each for each in made.raw_headers if each[0] not in own), *headers]
    return made
