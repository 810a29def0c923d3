"""Whether an ID token of OpenID Connect can be trusted: signed by the issuer, for us, just now, for this login.

joserfc checks signatures. Which key, which algorithms and which claims are checked is decided here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey
from joserfc.jws import JWSRegistry

# With public keys only: with a secret, everybody who can check a token could make one. The kind of key, and the hash.
ALGORITHMS: Mapping[str, tuple[type[RSAKey | ECKey], str]] = {
    **{f"{kind}{bits}": (RSAKey, f"sha{bits}") for kind in ("RS", "PS") for bits in (256, 384, 512)},
    **{f"ES{bits}": (ECKey, f"sha{bits}") for bits in (256, 384, 512)},
}
LEEWAY_SECONDS = 60.0  # that two clocks may differ by
OLDEST_SECONDS = 600.0  # a token is fetched as soon as it is made
MAX_BYTES = 64 * 1024
MAX_HEADER_BYTES = 16 * 1024  # some providers send a chain of certificates, which nobody looks at


class LoginFailed(Exception):
    """What the provider answered can't be trusted, or gives no right; the message says why, for people."""


class UnknownKey(LoginFailed):
    """None of the keys that are known fits: the provider may have new ones."""


class Expected(NamedTuple):
    """What an ID token has to say: by whom, for whom, for which login, and to which access token it belongs."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None


def checked_claims(token: str, keys: KeySet, expected: Expected, now: float) -> dict[str, Any]:
    """Return the claims of an ID token. now: in seconds since the epoch.

    keys: the issuer's. Keys that the token itself brings or names are not looked at. Raises LoginFailed.
    """
    header = _header_of(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise LoginFailed(f"the ID token is signed by {str(algorithm)[:20]!a}, which is not accepted")
    key = _key_for(header, algorithm, keys)
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = MAX_HEADER_BYTES
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm], registry=registry).claims
    except (JoseError, ValueError, TypeError) as error:
        raise LoginFailed(f"the ID token's signature is wrong ({type(error).__name__})") from None
    _check_parties(claims, expected)
    _check_times(claims, now)
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), expected.nonce.encode()):
        raise LoginFailed("the ID token belongs to another login (nonce)")
    if "at_hash" in claims:
        wanted = _half_hash(expected.access_token or "", ALGORITHMS[algorithm][1])
        if expected.access_token is None or not hmac.compare_digest(str(claims["at_hash"]).encode(), wanted):
            raise LoginFailed("the ID token belongs to another access token (at_hash)")
    return dict(claims)


def _header_of(token: str) -> dict[str, Any]:
    first = token.split(".", 1)[0]
    if len(token) > MAX_BYTES or token.count(".") != 2:
        raise LoginFailed("the ID token is none")
    try:
        header = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise LoginFailed("the ID token is none")
    return header


def _key_for(header: Mapping[str, Any], algorithm: str, keys: KeySet) -> Any:
    """Return the issuer's key that this header names; without a name, the only one of its kind."""
    kind, name = ALGORITHMS[algorithm][0], header.get("kid")
    fitting: Sequence[Any] = [
        key
        for key in keys
        if isinstance(key, kind)
        and key.get("use") in (None, "sig")
        and key.get("alg") in (None, algorithm)
        and (name is None or key.get("kid") == name)
    ]
    if len(fitting) != 1:
        raise UnknownKey("the ID token is signed by a key that the provider does not publish")
    return fitting[0]


def _check_parties(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise LoginFailed("the ID token is by another issuer (iss)")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise LoginFailed("the ID token does not say who somebody is (sub)")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        raise LoginFailed("the ID token is for somebody else (aud)")
    if claims.get("azp", expected.client_id) != expected.client_id or (len(audiences) > 1 and "azp" not in claims):
        raise LoginFailed("the ID token was made for somebody else (azp)")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name)
        if value is None and name == "nbf":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e12:
            raise LoginFailed(f"the ID token does not say when ({name})")
    if claims["exp"] <= now - LEEWAY_SECONDS:
        raise LoginFailed("the ID token has expired (exp)")
    if claims["iat"] > now + LEEWAY_SECONDS or claims.get("nbf", 0) > now + LEEWAY_SECONDS:
        raise LoginFailed("the ID token is of the future (iat): one of the clocks is wrong")
    if claims["iat"] < now - OLDEST_SECONDS:
        raise LoginFailed("the ID token is old (iat)")


def _half_hash(text: str, algorithm: str) -> bytes:
    digest = hashlib.new(algorithm, text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
