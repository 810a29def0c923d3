"""Slows down whoever tries passwords, at all servers of a namespace together. None of it is in the contract."""

from __future__ import annotations

import hashlib
import ipaddress

from broker_sched.redis_backend.commands import Call, Commands
from broker_sched.redis_backend.namespace import Namespace

NETWORK_BITS = 64  # of an IPv6 address: whoever has one has all of its network


def seconds_to_wait(namespace: Namespace, account: str, address: str) -> Commands[float]:
    """Return for how many seconds no password may be tried for this account from this address; 0: now. One script."""
    pair = _pair(account, address)
    return float((yield Call("check_login", account=_digest(account), address=network_of(address), pair=pair)))


def note_failed_login(namespace: Namespace, account: str, address: str) -> Commands[None]:
    """Count a wrong password for this account from this address. One script."""
    pair = _pair(account, address)
    yield Call("note_failed_login", account=_digest(account), address=network_of(address), pair=pair)


def note_right_login(namespace: Namespace, account: str, address: str) -> Commands[None]:
    """Remember for 90 days that this account has logged in from this address: others there can't slow it down.

    One script.
    """
    yield Call("note_right_login", pair=_pair(account, address))


def _pair(account: str, address: str) -> str:
    return _digest(f"{account}\0{network_of(address)}")


def _digest(account: str) -> str:
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def network_of(address: str) -> str:
    """Return the address by which a client is counted: of IPv6 its network; of what is no address, itself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a unix socket has none
        return address
    if found.version == 4:
        return address
    mapped = found.ipv4_mapped
    return str(mapped or ipaddress.ip_network((found, NETWORK_BITS), strict=False).network_address)
