"""The HTML of the pages at which people log in, and out: no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape

from broker_sched.server.responses import Header, page_policy

STYLE = (
    ":root { color-scheme: light dark; background: Canvas; color: CanvasText } "
    "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 22rem; margin: 4rem auto; padding: 0 1rem } "
    "label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit } "
    "input, button { padding: .4rem; margin: 0 0 .8rem } .error { color: #a00 } "
    "@media (prefers-color-scheme: dark) { .error { color: #ff9a94 } a { color: #7fb0f5 } }"
)
# With no-referrer, a browser would say `Origin: null` of our own form, as a foreign page does.
PAGE_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/html; charset=UTF-8"),
    (b"referrer-policy", b"same-origin"),
    page_policy(STYLE, form_action="'self'"),
)
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{head}<title>{title}: broker_sched</title>
<style>{style}</style>
<main>
<h1>{title}</h1>
{body}
</main>
</html>
"""
_FORM = """<form method="post" action="login">
<input type="hidden" name="next" value="{next}">
<label for="user">User</label>
<input id="user" name="user" autocomplete="username" autofocus>
<label for="password">Password, or a token</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Log in</button>
</form>
"""


def form_page(namespace: str, next_path: str, error: str = "", elsewhere: str = "") -> bytes:
    """Return the page with the form. error: why the last try failed. elsewhere: the link to another place to log in."""
    told = f'<p class="error" role="alert">{escape(error)}</p>\n' if error else ""
    link = f'<p><a href="{escape(elsewhere)}">Log in at your organization</a></p>\n' if elsewhere else ""
    return _page("Log in", f"<p>Namespace {escape(namespace)}.</p>\n{told}{link}{_FORM.format(next=escape(next_path))}")


def logged_in_page(name: str, role: str, namespace: str) -> bytes:
    """Return the page for who is logged in already."""
    return _page(
        "Logged in",
        f"<p>{escape(name)} is {escape(role)} in the namespace {escape(namespace)}.</p>\n"
        '<form method="post" action="logout"><button>Log out</button></form>\n<p><a href="./">Go on</a></p>',
    )


def going_on_page(target: str) -> bytes:
    """Return the page that leads on to one of our own, as a click in it would: so the new cookie is sent along."""
    quoted = escape(target)
    return _page(
        "Logged in", f'<p><a href="{quoted}">Go on</a></p>', f'<meta http-equiv="refresh" content="0;url={quoted}">\n'
    )


def error_page(title: str, told: str, again: str) -> bytes:
    """Return the page that says why a login failed. again: where to try again."""
    body = f'<p class="error" role="alert">{escape(told)}</p>\n<p><a href="{escape(again)}">Try again</a></p>'
    return _page(title, body)


def _page(title: str, body: str, head: str = "") -> bytes:
    return _PAGE.format(title=escape(title), body=body, head=head, style=STYLE).encode()
