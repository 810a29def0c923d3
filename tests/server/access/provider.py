"""A small OpenID Connect provider for tests: a real HTTP server, which can be told to lie."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.servers import free_port, until

CLIENT, SECRET = "bsched", "client:secret/+"
KEYS = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
}
KEYS["PS256"] = KEYS["RS256"]
FOREIGN = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})  # of an attacker, who gives it the provider's name


class Provider:
    """Signs in whoever comes as the claims say. Its attributes are what it does wrong."""

    def __init__(self) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.claims: dict[str, Any] = {}  # of who signs in, over those that are right
        self.algorithm = "RS256"
        self.key: Any = None  # signs, instead of the right one
        self.header: dict[str, Any] = {}
        self.published = ["RS256", "ES256"]
        self.document: dict[str, Any] = {}
        self.make: Callable[[dict[str, Any]], str] | None = None  # makes the ID token of the claims
        self.gate = threading.Event()  # it answers while this is set
        self.gate.set()
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        routes = [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/keys", self._keys),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), port=self.port, log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started, "the provider listens")

    def close(self) -> None:
        self.gate.set()
        self._server.should_exit = True
        self._thread.join(20)

    def _discovery(self, request: Request) -> Response:
        self.asked.append("discovery")
        self.gate.wait(20)
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        urls = {name: f"{self.issuer}/{path}" for name, path in places.items()}
        return JSONResponse({"issuer": self.issuer, **urls, **self.document})

    def _keys(self, request: Request) -> Response:
        self.asked.append("keys")
        keys = [KEYS[name].as_dict(private=False) for name in self.published]
        return JSONResponse({"keys": [*keys, {"kty": "AKP", "kid": "of the future"}]})

    def _authorize(self, request: Request) -> Response:
        given = dict(request.query_params)
        assert (given["client_id"], given["response_type"]) == (CLIENT, "code")
        assert given["code_challenge_method"] == "S256" and len(given["state"]) >= 40
        code = secrets.token_urlsafe()
        self._codes[code] = given
        query = urlencode({"code": code, "state": given["state"], "iss": self.issuer})
        return RedirectResponse(f"{given['redirect_uri']}?{query}", 303)

    async def _token(self, request: Request) -> Response:
        self.asked.append("token")
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        begun = self._codes.pop(form["code"], None)
        login = base64.b64encode(b"bsched:client%3Asecret%2F%2B").decode()
        if begun is None or request.headers.get("authorization") != f"Basic {login}":
            return JSONResponse({"error": "invalid_grant"}, 400)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if begun["code_challenge"] != challenge.decode() or begun["redirect_uri"] != form["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        right = {"iss": self.issuer, "aud": CLIENT, "sub": "u1", "iat": now, "exp": now + 300, "nonce": begun["nonce"]}
        claims = {name: value for name, value in {**right, **self.claims}.items() if value is not None}
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "id_token": self._signed(claims)})

    def _signed(self, claims: dict[str, Any]) -> str:
        if self.make is not None:
            return self.make(claims)
        key = self.key or KEYS[self.algorithm]
        header = {"alg": self.algorithm, "kid": key.kid, **self.header}
        header = {name: value for name, value in header.items() if value is not None}
        return signed(header, claims, key)


def signed(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """A JWT with this header, whatever it says."""
    registry = JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    registry.max_header_length = 10_000
    return jwt.encode(header, claims, key, algorithms=[header["alg"]], registry=registry)


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
