"""http and https mixed up: what a failure at a server's port says about its scheme."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from urllib.parse import urlsplit

TRY_SECONDS = 3.0
# OpenSSL's names for an answer that is no TLS: which one depends on its version and on the first bytes.
NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
# How nginx, Apache and Go tell that they were spoken to in plain text.
WANTS_TLS = re.compile(
    rb"plain HTTP request was sent to HTTPS|speaking plain HTTP to an SSL|HTTP request to an HTTPS", re.I
)


def mixed_up(base: str, cause: BaseException) -> str | None:
    """What to write instead, when this failure at the URL is one of http for https or of https for http."""
    if base.startswith("https:") and isinstance(cause, ssl.SSLError) and cause.reason in NO_TLS:
        return f"what answers there does not speak TLS; write {base.replace('https:', 'http:', 1)}"
    closed = (http.client.BadStatusLine, ConnectionResetError, BrokenPipeError)  # RemoteDisconnected is the first
    if base.startswith("http:") and isinstance(cause, closed) and _speaks_tls(base):
        return wants_tls(base)
    return None


def wants_tls(base: str) -> str:
    """What to write for a port that takes TLS only."""
    return f"what answers there speaks TLS; write {base.replace('http:', 'https:', 1)}"


def _speaks_tls(base: str) -> bool:
    """Whether a handshake works, whatever the certificate."""
    parts = urlsplit(base)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = (parts.hostname or "", parts.port or 80)
    try:
        with socket.create_connection(address, TRY_SECONDS) as plain, context.wrap_socket(plain):
            return True
    except OSError:  # ssl.SSLError is one
        return False
