"""The files of the web page, in memory: what `/` and `/page/<hash>/<file>` answer.

`page/build.py` makes the files out of the modules in `page/`, compressed. The hash in a file's address is that of all
files, so a browser may keep them for ever, and an old page never gets a file of a new one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

from broker_sched import __version__
from broker_sched.contract.roles import METHOD_RIGHTS
from broker_sched.contract.visibility import LEVELS, least_of
from broker_sched.server.access.caller import Caller
from broker_sched.server.responses import Answer, Header

PAGE = Path(__file__).resolve().parent / "page"
SERVED = PAGE / "built" / "served"
TYPES = {".js": b"text/javascript; charset=UTF-8", ".css": b"text/css; charset=UTF-8", ".svg": b"image/svg+xml"}
POLICY: Header = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    b"trusted-types 'none'",
)
INDEX_HEADERS: tuple[Header, ...] = ((b"content-type", b"text/html; charset=UTF-8"), POLICY)
# A file that is opened by itself may load nothing.
FILE_POLICY: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
KEPT: Header = (b"cache-control", b"private, max-age=31536000, immutable")


# Where Luigi's own page is: what stands behind the `#` of its addresses is known to the browser only.
LUIGIS = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>broker_sched</title>
<script type="module" src="../../page/{digest}/luigi_address.js"></script>
<p>A stock luigid has its page here. <a href="../../">This scheduler's page</a> needs JavaScript, as Luigi's does.</p>
</html>
"""


class PageFile(NamedTuple):
    """A file of the page as it is sent: plain, or compressed by gzip."""

    headers: tuple[Header, ...]
    plain: bytes
    compressed: bytes


class PageFiles:
    """All files of the page, and the HTML that begins it. digest: of all files, a part of their addresses."""

    def __init__(self, compressed: Mapping[str, bytes], template: str) -> None:
        self._template = template
        digest = hashlib.sha256(template.encode())
        for name in sorted(compressed):
            digest.update(b"\0".join((name.encode(), compressed[name], b"")))
        self.digest = digest.hexdigest()[:16]
        self._files = {name: _file(name, content) for name, content in compressed.items()}

    def names(self) -> list[str]:
        """Return the names of all files."""
        return list(self._files)

    def answer(self, digest: str, name: str, accepts_gzip: bool) -> Answer | None:
        """Return the answer with this file; None when there is none, or only in another version of the page."""
        file = self._files.get(name) if digest == self.digest else None
        if file is None:
            return None
        if accepts_gzip:
            return Answer(200, (*file.headers, (b"content-encoding", b"gzip")), file.compressed)
        return Answer(200, file.headers, file.plain)

    def index(self, namespace: str, caller: Caller, links: str) -> bytes:
        """Return the HTML of the page. links: HTML for browsers without JavaScript."""
        context = {
            "namespace": namespace,
            "version": __version__,
            "page": self.digest,
            "name": caller.name,
            "role": caller.role.value,
            "sees": caller.sees,
            "methods": allowed_methods(caller),
            "has_login": caller.kind == "session",
        }
        return self._template.format(
            context=escape(json.dumps(context, separators=(",", ":"))),
            namespace=escape(namespace),
            files=f"page/{self.digest}",
            links=links,
        ).encode()

    def luigis_page(self) -> bytes:
        """Return the HTML that leads from an address of Luigi's own page to the view that shows the same."""
        return LUIGIS.format(digest=self.digest).encode()


@cache
def page_files() -> PageFiles | None:
    """Return the files of the page, which are read once; None when they have not been built."""
    files = {path.stem: path for path in SERVED.glob("*.gz")}
    if not {"main.js", "theme.js", "style.css", "icon.svg"} <= files.keys():
        return None
    compressed = {name: path.read_bytes() for name, path in files.items()}
    return PageFiles(compressed, (PAGE / "index.html").read_text())


def allowed_methods(caller: Caller) -> list[str]:
    """Return the methods that this caller may call."""
    level = LEVELS.index(caller.sees)
    return [
        name
        for name, right in METHOD_RIGHTS.items()
        if caller.role in right.roles and LEVELS.index(least_of(name)) <= level
    ]


def _file(name: str, compressed: bytes) -> PageFile:
    media_type = TYPES[Path(name).suffix]
    headers = ((b"content-type", media_type), FILE_POLICY, KEPT, (b"vary", b"Accept-Encoding"))
    return PageFile(headers, gzip.decompress(compressed), compressed)
