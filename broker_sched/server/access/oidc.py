"""Logging in at an OpenID Connect provider: the authorization code flow, with PKCE. It ends in a session of ours.

What is remembered meanwhile is in Redis, for 5 minutes and for one use; a cookie binds it to the browser that began.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.types import Scope

from broker_sched.plain_text import on_one_line
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.operations.secrets import digest_of, new_secret
from broker_sched.scheduler.operations.sessions import LOGIN_SECONDS, Proof, begin_login, take_login
from broker_sched.server.access.caller import address_of
from broker_sched.server.access.grants import role_in
from broker_sched.server.access.id_tokens import LoginFailed
from broker_sched.server.access.oidc_config import EMAIL, OidcConfig, roles_by
from broker_sched.server.access.oidc_provider import Provider, ProviderAway
from broker_sched.server.access.sessions import cookie_header, cookie_in, cookie_name
from broker_sched.server.hosts import is_loopback, network_of

log = logging.getLogger("bsched.server")
T = TypeVar("T")

THREADS = 4
WAITING_AT_MOST = 20  # logins; while the provider is slow, more are sent away at once
ANSWER_SECONDS = 15.0
MAX_NAME = 200  # characters
ERROR_CODE = re.compile(r"[a-z_]{1,60}\Z")


class Oidc:
    """Logs people in at a provider, for one namespace."""

    def __init__(self, config: OidcConfig, scheduler: AsyncScheduler) -> None:
        self._config = config
        self._scheduler = scheduler
        self._provider = Provider(config)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="oidc")
        self._waiting = 0

    async def begin(self, scope: Scope, next_path: str) -> tuple[str, str]:
        """Begin a login: return the provider's URL to go to, and the Set-Cookie header. Raises ProviderAway."""
        metadata = await self._ask(self._provider.metadata)
        state, nonce, verifier, browser = (new_secret() for _ in range(4))
        login = {"nonce": nonce, "verifier": verifier, "browser": digest_of(browser), "next": next_path}
        address = address_of(scope)
        counted = "" if is_loopback(address) else network_of(address)
        if not await self._scheduler.drive(begin_login(self._scheduler.namespace, state, login, counted)):
            raise ProviderAway("too many logins are under way")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._config.client_id,
                "redirect_uri": self._config.redirect_uri,
                "scope": " ".join(self._config.scopes),
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        separator = "&" if "?" in metadata.authorization_endpoint else "?"
        cookie = cookie_header(scope, self._cookie_name(scope), browser, "Lax", LOGIN_SECONDS)
        return f"{metadata.authorization_endpoint}{separator}{query}", cookie

    async def finish(self, scope: Scope, given: dict[str, str]) -> tuple[Proof, str]:
        """Return who has come back from the provider with this query, and where to go on. Raises LoginFailed,
        ProviderAway."""
        state = given.get("state", "")
        login = await self._scheduler.drive(take_login(self._scheduler.namespace, state)) if state else None
        if login is None:
            raise LoginFailed("this login is over, or was used already")
        if not hmac.compare_digest(digest_of(cookie_in(scope, self._cookie_name(scope)) or ""), login["browser"]):
            raise LoginFailed("this login was begun by another browser")
        if given.get("iss", self._config.issuer) != self._config.issuer:
            raise LoginFailed("the answer is by another issuer (iss)")
        if "code" not in given:
            code = given.get("error", "")
            raise LoginFailed(f"the provider says {code if ERROR_CODE.match(code) else 'no'}")
        claims = await self._ask(lambda: self._provider.redeem(given["code"], login["verifier"], login["nonce"]))
        return self._proof_of(claims), login["next"]

    def gone_cookie(self, scope: Scope) -> str:
        """Return the Set-Cookie header that takes away the cookie of a login that is over."""
        return cookie_header(scope, self._cookie_name(scope), "", "Lax", 0)

    def _cookie_name(self, scope: Scope) -> str:
        """Return the name of the cookie that binds a login to the browser which began it."""
        return cookie_name(scope, "login", self._scheduler.namespace.name)

    def close(self) -> None:
        """End the threads, and close the connections to the provider."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._provider.close()

    def _proof_of(self, claims: dict[str, Any]) -> Proof:
        name = claims.get(self._config.name_claim)
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= MAX_NAME:
            raise LoginFailed(f"the ID token has no name for you ({self._config.name_claim})")
        if self._config.name_claim == EMAIL and claims.get("email_verified") is not True:
            raise LoginFailed("your e-mail address is not verified at the provider")
        namespace = self._scheduler.namespace.name
        role = role_in(roles_by(self._config.rules, claims), namespace)
        if role is None:
            log.info("%s has logged in elsewhere, and has no role here.", on_one_line(name))
            raise LoginFailed(f"{name} has no role in the namespace {namespace}")
        # With a colon, which no user of the users file may have: so nobody is taken for one of them.
        return Proof("oidc", f"oidc:{name}", str(claims.get("sub", ""))[:MAX_NAME], role.value)

    async def _ask(self, question: Callable[[], T]) -> T:
        """Ask the provider in a thread, so that nobody else waits for it."""
        if self._waiting >= WAITING_AT_MOST:
            raise ProviderAway("many logins wait for it")
        self._waiting += 1
        asked = asyncio.get_running_loop().run_in_executor(self._threads, question)
        asked.add_done_callback(self._note_answer)
        try:
            return await asyncio.wait_for(asyncio.shield(asked), ANSWER_SECONDS)
        except (asyncio.TimeoutError, TimeoutError):
            raise ProviderAway("it does not answer in time") from None

    def _note_answer(self, asked: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not asked.cancelled():
            asked.exception()  # whoever waited has it
