"""Asks an OpenID Connect provider: what it can do, its keys, and a code's tokens.

Blocking; each answer is limited in size and in time.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import urllib3
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from broker_sched.errors import ConfigurationError
from broker_sched.server.access.id_tokens import Expected, LoginFailed, UnknownKey, checked_claims
from broker_sched.server.access.oidc_config import OidcConfig, check_url

TIMEOUT = urllib3.Timeout(connect=3.0, read=5.0)  # of each wait
ANSWER_SECONDS = 10.0  # of all waits for one answer, from when a connection is there
MAX_BYTES = 1024 * 1024
BASIC = "client_secret_basic"  # a way to show the secret, which every provider has that does not say otherwise
KNOWN_SECONDS = 3600.0  # for so long what the provider says of itself counts
KEYS_AGAIN_SECONDS = 30.0  # keys are not asked for again sooner, whatever key a token names


class ProviderAway(Exception):
    """The provider did not answer, or not in a way that is of use; the message says what happened."""


class Metadata(NamedTuple):
    """Says where the provider's pages are, by its own document."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    takes_secret_in_body: bool  # and not in the header of HTTP Basic


_asking = threading.local()  # sockets: those on which this thread asks


class _Noted:
    """A connection that notes who uses its socket."""

    def request(self, *arguments: Any, **options: Any) -> None:
        """Send a request."""
        super().request(*arguments, **options)  # type: ignore[misc]
        _asking.sockets.append(self.sock)  # type: ignore[attr-defined]  # the connection may forget it while it is read


class _Connection(_Noted, urllib3.connection.HTTPConnection):
    """Speaks plain HTTP."""


class _TLSConnection(_Noted, urllib3.connection.HTTPSConnection):
    """Speaks HTTP over TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


@contextlib.contextmanager
def _answered_in_time(seconds: float) -> Iterator[None]:
    """End the connections on which this thread asks when the block lasts longer: urllib3 limits single waits only.

    Whoever sends a byte now and then would otherwise hold the thread for as long as it likes.
    """
    sockets: list[socket.socket] = []
    _asking.sockets = sockets
    is_over = threading.Event()

    def watch() -> None:
        left = seconds
        while not is_over.wait(left):
            for each in list(sockets):
                with contextlib.suppress(OSError):  # it has been closed already
                    socket.socket.shutdown(each, socket.SHUT_RDWR)  # below TLS, which would say farewell
            left = 1.0  # it may have connected since

    watching = threading.Thread(target=watch, name="bsched-oidc-deadline", daemon=True)
    watching.start()
    try:
        yield
    finally:
        is_over.set()
        watching.join()


class Provider:
    """Knows one provider. Safe to use from several threads."""

    def __init__(self, config: OidcConfig) -> None:
        self._config = config
        self._http = urllib3.PoolManager(maxsize=4, retries=False, timeout=TIMEOUT, ca_certs=config.ca_file)
        self._http.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        self._lock = threading.Lock()
        self._metadata: tuple[float, Metadata] | None = None  # and when it was read
        self._keys: tuple[float, KeySet] | None = None

    def metadata(self) -> Metadata:
        """Return what the provider says of itself. Raises ProviderAway."""
        with self._lock:
            kept = self._metadata
        if kept is not None and time.monotonic() - kept[0] < KNOWN_SECONDS:
            return kept[1]
        document = self._ask("GET", f"{self._config.issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self._config.issuer:
            raise ProviderAway("its document is of another issuer")
        methods = document.get("token_endpoint_auth_methods_supported")
        try:
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            urls = [check_url(name, str(document.get(name))) for name in names]
        except ConfigurationError as error:
            raise ProviderAway(f"its document can't be used: {error}") from None
        found = Metadata(
            urls[0], urls[1], urls[2], isinstance(methods, list) and bool(methods) and BASIC not in methods
        )
        with self._lock:
            self._metadata = (time.monotonic(), found)
        return found

    def redeem(self, code: str, verifier: str, nonce: str) -> dict[str, Any]:
        """Return the claims of who came back with this code. Raises LoginFailed, ProviderAway."""
        told = self._exchange(code, verifier)
        token, access_token = told.get("id_token"), told.get("access_token")
        if not isinstance(token, str):
            raise LoginFailed("the provider gave no ID token for the code")
        expected = Expected(
            self._config.issuer, self._config.client_id, nonce, access_token if isinstance(access_token, str) else None
        )
        try:
            return checked_claims(token, self._key_set(KNOWN_SECONDS), expected, time.time())
        except UnknownKey:
            return checked_claims(token, self._key_set(KEYS_AGAIN_SECONDS), expected, time.time())

    def close(self) -> None:
        """Close the connections that are kept to the provider."""
        self._http.clear()

    def _exchange(self, code: str, verifier: str) -> dict[str, Any]:
        config, metadata = self._config, self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": config.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if config.client_secret is None or metadata.takes_secret_in_body:
            form["client_id"] = config.client_id
            if config.client_secret is not None:
                form["client_secret"] = config.client_secret
        else:
            login = f"{quote(config.client_id, safe='')}:{quote(config.client_secret, safe='')}"
            headers.update(urllib3.make_headers(basic_auth=login))
        return self._ask("POST", metadata.token_endpoint, urlencode(form), headers)

    def _key_set(self, newest_seconds: float) -> KeySet:
        """Return the provider's keys, as they were at the most so long ago."""
        with self._lock:
            kept = self._keys
        if kept is not None and time.monotonic() - kept[0] < newest_seconds:
            return kept[1]
        document: Any = self._ask("GET", self.metadata().jwks_uri)
        try:
            public = [each for each in document["keys"] if each.get("kty") in ("RSA", "EC")]
            found: KeySet = KeySet.import_key_set({"keys": public})
        except (JoseError, KeyError, TypeError, AttributeError, ValueError):
            raise ProviderAway("its keys can't be read") from None
        with self._lock:
            self._keys = (time.monotonic(), found)
        return found

    def _ask(
        self, verb: str, url: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            with _answered_in_time(ANSWER_SECONDS):
                reply = self._http.request(
                    verb, url, body=body, headers=headers or {}, redirect=False, preload_content=False
                )
                try:
                    text = reply.read(MAX_BYTES + 1)
                finally:
                    reply.release_conn() if reply.status == 200 else reply.close()
        except urllib3.exceptions.HTTPError as error:
            raise ProviderAway(f"it does not answer ({type(error).__name__})") from None
        if 400 <= reply.status < 500 and verb == "POST":
            raise LoginFailed("the provider does not accept the code, or not this server")
        if reply.status != 200 or len(text) > MAX_BYTES:
            raise ProviderAway(f"its answer is of no use ({reply.status})")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ProviderAway("its answer is no JSON object")
        return found
