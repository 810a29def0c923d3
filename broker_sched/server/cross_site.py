"""Refuses calls that a foreign web page makes through its visitor's browser.

Luigi's page, and so the contract, changes state with plain GET. Any page on the web
could do so too. Browsers say where a request comes from; Luigi's clients say nothing.
Over plain http to another machine, a browser tells of an image's or a form's GET only
the Referer, which a page may hold back: then it can't be known to come from our own.

A link in a mail or a chat comes from no page at all, so browsers change state by POST only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": ":80", "https": ":443"}
FROM_BROWSERS = (b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"origin")
EVERY_BROWSER = b"Mozilla/"  # so begins the User-Agent, which a page can't change without asking us first


def is_foreign(headers: Mapping[bytes, bytes], verb: str, trusted: Collection[bytes] = ()) -> bool:
    """Tell whether a browser sent this on behalf of a page that is not ours, nor of an origin that is trusted.

    Sec-Fetch-Site decides where it is sent: it holds behind a proxy that rewrites Host, too. Else Origin must
    name our own host, or Referer, in a GET of a browser, which has no Origin.
    """
    if trusted and headers.get(b"origin") in trusted:
        return False
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    origin = headers.get(b"origin")
    if origin is None and verb == "GET" and headers.get(b"user-agent", b"").startswith(EVERY_BROWSER):
        origin = headers.get(b"referer", b"")
    return origin is not None and _host_of(origin) != headers.get(b"host", b"").decode("latin-1").lower()


def is_browsers(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a browser sent this, on behalf of a page or of who typed, or clicked on, an address."""
    return any(name in headers for name in FROM_BROWSERS) or headers.get(b"user-agent", b"").startswith(EVERY_BROWSER)


def _host_of(origin: bytes) -> str:
    """Return the host as a Host header has it: a browser leaves out the scheme's own port in both."""
    try:
        parts = urlsplit(origin.decode("latin-1").lower())
    except ValueError:
        return "?"
    return parts.netloc.removesuffix(DEFAULT_PORTS.get(parts.scheme, "")) or "?"
