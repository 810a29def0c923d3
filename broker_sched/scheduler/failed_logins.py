"""Slows down whoever tries passwords, at all servers of a namespace together. None of it is in the contract."""

from __future__ import annotations

import hashlib

from broker_sched.redis_backend.commands import Call, Commands
from broker_sched.redis_backend.namespace import Namespace


def seconds_to_wait(namespace: Namespace, account: str, address: str) -> Commands[float]:
    """Return for how many seconds no password may be tried for this account from this address; 0: now. One script.

    address: by which a client is counted, here and in what follows: see server/hosts.py.
    """
    pair = _pair(account, address)
    return float((yield Call("check_login", account=_digest(account), address=address, pair=pair)))


def note_failed_login(namespace: Namespace, account: str, address: str) -> Commands[None]:
    """Count a wrong password for this account from this address. One script."""
    pair = _pair(account, address)
    yield Call("note_failed_login", account=_digest(account), address=address, pair=pair)


def note_right_login(namespace: Namespace, account: str, address: str) -> Commands[None]:
    """Remember for 90 days that this account has logged in from this address: others there can't slow it down.

    One script.
    """
    yield Call("note_right_login", pair=_pair(account, address))


def _pair(account: str, address: str) -> str:
    return _digest(f"{account}\0{address}")


def _digest(account: str) -> str:
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:32]
