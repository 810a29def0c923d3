"""What the application hears of a TLS connection: ASGI's TLS extension, as its specification has it.

Source: the ASGI documentation, "TLS Extension", 0.2. Beside it stands `client_cert_names`, for whoever wants to know
who a client is without a library for certificates.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "userId": "UID",
}
ESCAPED = str.maketrans({each: f"\\{each}" for each in '\\,+"<>;'})


def tls_extension(connection: ssl.SSLObject | ssl.SSLSocket) -> dict[str, Any]:
    """Return the value of scope["extensions"]["tls"] for all requests of a connection whose handshake is done.

    client_cert_names: the subject's common names, then its DNS names, of a certificate that was verified; else none.
    """
    der = connection.getpeercert(binary_form=True)  # None: the client has shown none
    shown: Mapping[str, Any] = connection.getpeercert() or {}
    return {
        "server_cert": None,
        "client_cert_chain": [] if der is None else [ssl.DER_cert_to_PEM_cert(der)],
        "client_cert_name": None if der is None else _subject(shown),
        "client_cert_error": None,
        "tls_version": VERSIONS.get(connection.version() or ""),
        "cipher_suite": None,
        "client_cert_names": tuple(_names(shown)),
    }


def _names(shown: Mapping[str, Any]) -> Iterator[str]:
    for part in shown.get("subject", ()):
        yield from (value for kind, value in part if kind == "commonName")
    yield from (value for kind, value in shown.get("subjectAltName", ()) if kind == "DNS")


def _subject(shown: Mapping[str, Any]) -> str:
    """The subject as text, the last part first, as RFC 4514 writes it."""
    parts = reversed(shown.get("subject", ()))
    return ",".join("+".join(f"{SHORT.get(k, k)}={v.translate(ESCAPED)}" for k, v in part) for part in parts)
