"""Random texts that prove who somebody is, of which Redis keeps the digest only: tokens, cookies, states of a login."""

from __future__ import annotations

import hashlib
import secrets

BYTES = 32  # 256 random bits: nobody guesses one, so a digest without salt and without a slow function will do


def new_secret(prefix: str = "") -> str:
    """Return a random text of letters, digits, - and _ that nobody can guess, with this before it."""
    return prefix + secrets.token_urlsafe(BYTES)


def digest_of(secret: str) -> str:
    """Return what Redis keeps of a secret: its SHA-256, in hex. Any text has one, also one that is no UTF-8."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def id_of(digest: str) -> str:
    """Return what people call a secret by: the beginning of its digest."""
    return digest[:12]
