"""The page at `/` where the web page is not built, and the links for browsers without JavaScript."""

from __future__ import annotations

from html import escape

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.server.responses import page_policy

_STYLE = "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem }"
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>broker_sched: {namespace}</title>
<style>{style}</style>
<h1>broker_sched</h1>
<p>Luigi's scheduler on Redis, namespace <strong>{namespace}</strong>.</p>
<p>The web page is not there: this server runs from a folder of source files in which it was not built. Run
<code>make page</code> in that folder, or install the wheel, which brings it; then start the server again.</p>
{links}
<p>Methods, each at <code>POST /api/&lt;method&gt;</code> with a form field <code>data=&lt;JSON&gt;</code>:</p>
<p>{methods}</p>
</html>
"""
PAGE_HEADERS = ((b"content-type", b"text/html; charset=UTF-8"), page_policy(_STYLE, form_action="'none'"))
# Relative, so that they hold behind a proxy that adds a path.
_LINKS = (
    ("api/task_list", "Tasks"),
    ("api/worker_list", "Workers"),
    ("api/resource_list", "Resources"),
    ("readyz", "Ready?"),
    ("healthz", "Alive?"),
)


def front_page(namespace: str, has_login: bool = False) -> bytes:
    """Return the HTML of the page at `/`. has_login: whether whoever sees it has logged in, and may log out."""
    methods = ", ".join(f"<code>{name}</code>" for name in sorted(METHODS))
    shown = {"namespace": escape(namespace), "links": plain_links(has_login), "methods": methods}
    return _PAGE.format(style=_STYLE, **shown).encode()


def plain_links(has_login: bool) -> str:
    """Return a list in HTML of what can be seen without JavaScript. has_login: see `front_page`."""
    shown = (*_LINKS, ("login", "Log out")) if has_login else _LINKS
    return "<ul>" + "".join(f'<li><a href="{target}">{text}</a>' for target, text in shown) + "</ul>"
