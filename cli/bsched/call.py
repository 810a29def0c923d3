"""`bsched call`: one call of any method, straight to Redis or to a server."""

from __future__ import annotations

import base64
import difflib
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import click

from broker_sched.api import METHODS
from bsched.namespace import namespace_options, open_scheduler

TIMEOUT_SECONDS = 60


@click.command()
@click.argument("method")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@namespace_options
@click.option("--url", metavar="URL", help="Ask the server there instead, such as http://127.0.0.1:8082.")
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON on one line.")
def call(
    method: str, arguments: tuple[str, ...], redis_url: str | None, namespace: str, url: str | None, as_json: bool
) -> None:
    """Call METHOD. A VALUE is JSON where it can be read as such, else text.

    \b
    bsched call get_work worker=me current_tasks='[]'
    bsched call --url http://127.0.0.1:8082 task_list status=PENDING
    """
    if method not in METHODS:
        close = difflib.get_close_matches(method, METHODS, 1)
        hint = f" Did you mean {close[0]}?" if close else f" Known: {', '.join(sorted(METHODS))}."
        raise click.UsageError(f"There is no method {method!r}.{hint}")
    given = dict(_pair(argument) for argument in arguments)
    if url is not None:
        result = _over_http(url, method, given)
    else:
        scheduler = open_scheduler(redis_url, namespace)
        result = getattr(scheduler, method)(**given)
        scheduler.close()
    click.echo(json.dumps(result, ensure_ascii=False, indent=None if as_json else 2))


def _pair(argument: str) -> tuple[str, Any]:
    name, equals, text = argument.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{argument!r} is not KEY=VALUE.")
    try:
        return name, json.loads(text)
    except (ValueError, RecursionError):
        return name, text


def _over_http(url: str, method: str, arguments: dict[str, Any]) -> Any:
    request, shown = _request(url, method, arguments)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:
            return json.load(reply)["response"]
    except urllib.error.HTTPError as error:
        message = _reason(error)
        if error.code == 400:
            raise click.UsageError(message) from None
        raise click.ClickException(f"{shown} answered {error.code}: {message}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", error)
        raise click.ClickException(f"No scheduler answers at {shown}: {reason}. Is `bsched server` running?") from None


def _request(url: str, method: str, arguments: dict[str, Any]) -> tuple[urllib.request.Request, str]:
    """The request, and the URL without user and password."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError(f"--url starts with http:// or https:// and names a host; got {parts.scheme!r}.")
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    headers = {"Content-Type": "application/json"}
    if parts.username is not None:
        login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    body = json.dumps(arguments).encode()
    return urllib.request.Request(f"{shown.rstrip('/')}/api/{method}", body, headers), shown


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return error.reason
