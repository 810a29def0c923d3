"""`RemoteScheduler`: the contract over HTTP, against `bsched server` or a stock luigid.

Source of its behaviour: luigi.rpc.RemoteScheduler, 3.8.1.
"""

from __future__ import annotations

import json
import logging
import os
import re
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import tenacity

from broker_sched import tracing
from broker_sched.client import environment
from broker_sched.client.logins import proof_for
from broker_sched.client.schemes import WANTS_TLS, wants_tls
from broker_sched.client.transport import Answer, Transport, Unanswered, WrongScheme
from broker_sched.contract.registry import Method
from broker_sched.contract.request_ids import HEADER, NAME_HEADER, Request, RequestIds, is_name
from broker_sched.contract.scheduler_api import METHODS, SchedulerAPI
from broker_sched.contract.wrong_arguments import no_such_argument
from broker_sched.errors import (
    ConfigurationError,
    InvalidArgument,
    LoginRefused,
    NameTaken,
    Refused,
    RPCError,
    Superseded,
    UnknownMethod,
)
from broker_sched.log_lines import field_here

log = logging.getLogger("bsched.client")

ATTEMPTS = 3
WAIT_SECONDS = 30.0  # between attempts
CONNECT_SECONDS = 10.0
REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")
MAY_PASS = (408, 425, 429)  # of the statuses from 400 to 499
FIXES = {  # of a login that is refused, by what the caller has
    "nothing": "put user:password@ into the URL. With user@ alone, the password is taken from BSCHED_PASSWORD. A token "
    "is taken from BSCHED_TOKEN, or from the file that BSCHED_TOKEN_FILE names.",
    "password": "user or password is wrong.",
    "token": "the token is wrong, or was revoked. `bsched token create` makes another one.",
}
UNREADABLE = (
    "The scheduler's URL can't be read. It is http://[user:password@]host[:port]/; "
    "in user and password write / as %2F, ? as %3F, # as %23, @ as %40, and a port is a number."
)


class RemoteScheduler(SchedulerAPI):
    """A scheduler behind HTTP. Safe to use from many threads, and after a fork.

    url: http, https, or http+unix://%2Fpath%2Fto.sock/; it may have a path, and user:password@ for HTTP Basic;
        with user@ the password is BSCHED_PASSWORD's, or what stands in the file that BSCHED_PASSWORD_FILE names.
    connect_timeout: seconds until a connection must stand; 10 where not given.
    attempts, wait_seconds: how often a call is tried while the server can't be reached, and the pause between.
        `ping` and `await_work` are tried once. When all attempts failed, the call raises RPCError.
    log_retries: whether each failed attempt that another one follows is logged.
    token: logs in, instead of user and password, as `bsched token create` prints it; token_file: the file that holds
        it, which is read again when it changes. Without both, and without user@, BSCHED_TOKEN has it, or the file that
        BSCHED_TOKEN_FILE names.

    The environment holds as with curl and requests: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY;
    BSCHED_CA, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE for the authorities that are trusted, and
    BSCHED_CLIENT_CERT and BSCHED_CLIENT_KEY for a certificate of one's own; .netrc for a login that the URL does not
    have.

    What the server refuses is tried once, too, and raises Refused: LoginRefused for 401 and 403. A 404 or a
    redirect counts as refused until the server has answered a call; later it is a proxy whose server is away.
    """

    def __init__(
        self,
        url: str = "http://localhost:8082/",
        connect_timeout: float | None = None,
        *,
        attempts: int = ATTEMPTS,
        wait_seconds: float = WAIT_SECONDS,
        log_retries: bool = True,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self._given = url
        self._settings = (connect_timeout, attempts, wait_seconds, log_retries, token, token_file)
        self._base, login = _parsed(url)
        self._proof = proof_for(urlsplit(self._base).hostname or "", login, token, token_file)
        self._connect_seconds = CONNECT_SECONDS if connect_timeout is None else float(connect_timeout)
        self._attempts = attempts
        self._wait_seconds = wait_seconds
        self._log_retries = log_retries
        self._kept: tuple[int, Transport] | None = None  # and the process whose connections these are
        self._has_answered = False
        self._ids = RequestIds()

    @property
    def url(self) -> str:
        """Where the server is, without the login."""
        return self._base

    def __repr__(self) -> str:
        return f"RemoteScheduler({self._base!r})"

    def _invoke(self, method: Method, arguments: dict[str, Any]) -> Any:
        body = _body(method, arguments)
        attempts = 1 if method.attempts == 1 else self._attempts
        request = None if method.reads_only else self._ids.begin(method.name, arguments)
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_fixed(self._wait_seconds),
            retry=tenacity.retry_if_exception_type(Unanswered),
            before_sleep=lambda state: self._log_failure(method.name, state, attempts) if self._log_retries else None,
            reraise=True,
        )
        try:
            return retrying(self._ask, method, body, request)
        except Unanswered as error:
            if request is not None:
                self._ids.note_unanswered(method.name, arguments, request)
            raise RPCError(f"{method.name} failed after {attempts} attempt(s) at {self._base}: {error}") from error

    def _ask(self, method: Method, body: str, request: Request | None) -> Any:
        """One attempt. All of one call have the same id, so that `bsched server` carries it out once."""
        seconds = (self._connect_seconds, method.answered_within_seconds)
        headers = {} if request is None else {HEADER: str(request)}
        if (name := field_here("request_id")) is not None and is_name(name):
            headers[NAME_HEADER] = name
        sent = (f"/api/{method.name}", body, seconds, headers, method.in_luigi)  # a luigid knows forms only
        try:
            if tracing.current_traceparent() is None:
                return self._answer(method, self._transport().post(*sent))
            with tracing.span(f"POST /api/{method.name}", "CLIENT", {"http.request.method": "POST"}) as context:
                headers["traceparent"] = context or ""
                return self._answer(method, self._transport().post(*sent))
        except Unanswered as error:
            if isinstance(error, WrongScheme) and not self._has_answered:
                raise Refused(f"There is no scheduler at {self._base}: {error}.") from None
            self._ids.note_loss()
            if request is not None:
                request.is_repetition = True
            raise

    def _answer(self, method: Method, answer: Answer) -> Any:
        """The response in an answer. Raises what any other answer means."""
        if answer.status != 200:
            raise self._error_for(method, answer)
        try:
            response = json.loads(answer.body)["response"]
        except (ValueError, KeyError, TypeError):
            raise Unanswered(f"the answer is no JSON with a response: {answer.body[:100]!r}") from None
        if response is None and not method.allow_null:
            raise Unanswered("the answer is null")
        self._has_answered = True
        return response

    def _error_for(self, method: Method, answer: Answer) -> Exception:
        """What an answer other than 200 means. Only what may pass is Unanswered, and tried again."""
        status, (told, field) = answer.status, _told(answer)
        if status == 400 and WANTS_TLS.search(answer.body):
            return Refused(f"There is no scheduler at {self._base}: {wants_tls(self._base)}.")
        if status == 400 and field:
            return InvalidArgument(field, told.removeprefix(f"{field}: "))
        if status == 404 and not method.in_luigi:
            if not self._has_answered:  # a wrong URL has no method of Luigi's, either
                self._ask(METHODS["is_paused"], "{}", None)
            return UnknownMethod(method.name, self._base)
        if status == 404 or 300 <= status < 400:
            if self._has_answered:  # a proxy whose server is away
                return Unanswered(f"{self._base} has no scheduler now ({status}): {told}")
            return _wrong_url(self._base, method, status)
        if status == 409 and b'"Superseded"' in answer.body:
            return Superseded(told)
        if status == 409 and b'"NameTaken"' in answer.body:
            return NameTaken(told)
        if status in (401, 403):
            return _login_refused(self._base, self._proof.kind, status, told)
        if 400 <= status < 500 and status not in MAY_PASS:
            why = told or "it does not say why"
            return Refused(f"{self._base} refuses {method.name} ({status}){_named(answer)}: {why}")
        return Unanswered(f"the server answered {status}{_named(answer)}: {told}")

    def _transport(self) -> Transport:
        """This process's connections; new ones after a fork."""
        kept = self._kept
        if kept is None or kept[0] != os.getpid():
            self._kept = kept = (os.getpid(), Transport(self._base, self._proof.header))
        return kept[1]

    def _log_failure(self, name: str, state: tenacity.RetryCallState, attempts: int) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning(
            "%s at %s failed, attempt %d of %d: %s. The next one follows in %g s.",
            *(name, self._base, state.attempt_number, attempts, error, self._wait_seconds),
        )

    def close(self) -> None:
        """Close this process's connections; a later call opens new ones."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == os.getpid():
            kept[1].close()

    def __enter__(self) -> RemoteScheduler:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self._given, "settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        connect_timeout, *others = state["settings"]
        names = ("attempts", "wait_seconds", "log_retries", "token", "token_file")
        RemoteScheduler.__init__(self, state["url"], connect_timeout, **dict(zip(names, others)))


def _parsed(url: str) -> tuple[str, tuple[str, str] | None]:
    """The URL without login and final slash, and the login. Raises ConfigurationError, without the password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else ""
    except ValueError:  # its text has the password in it when that has an unescaped character
        raise ConfigurationError(UNREADABLE) from None
    if parts.scheme not in ("http", "https", "http+unix"):
        raise ConfigurationError(_wrong_scheme(url, parts.scheme))
    if not host and parts.scheme != "http+unix":
        raise ConfigurationError("The scheduler's URL names no host.")
    netloc = parts.netloc.rpartition("@")[2]
    login = None
    if parts.username:
        login = (unquote(parts.username), environment.password() if parts.password is None else unquote(parts.password))
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")), login


def _wrong_scheme(url: str, scheme: str) -> str:
    forms = "it must be http://…, https://… or http+unix://%2Fpath%2Fto.sock/"
    if "://" not in url:
        example = (
            f", such as http://{url}" if re.fullmatch(r"[\w.\-]+(:\d+)?/?", url) else ""
        )  # else it may hold a secret
        return f"The scheduler's URL has no scheme; {forms}{example}."
    if scheme in REDIS_SCHEMES:
        return (
            f"The scheduler's URL begins with {scheme}://: it leads to Redis; give it with --redis or to Scheduler(…)."
        )
    return f"The scheduler's URL begins with {scheme}://; {forms}."


def _body(method: Method, arguments: dict[str, Any]) -> str:
    """The arguments that differ from their defaults, as JSON: a stock luigid knows no others than its own."""
    defaults = {p.name: p.default for p in method.parameters}
    for name, default in defaults.items():
        if default is method.parameters[0].empty and name not in arguments:
            raise InvalidArgument(name, f"is missing; {method.name} needs it")
    kept = {}
    for name, value in arguments.items():
        if name in defaults and not method.collects and type(value) is type(defaults[name]) and value == defaults[name]:
            continue
        if name not in defaults and not (method.takes_any or method.collects):
            raise no_such_argument(method, name)
        kept[name] = value
    try:
        return json.dumps(kept)
    except (TypeError, ValueError, RecursionError):
        for name, value in kept.items():
            _refuse_what_is_no_json(name, value)
        raise


def _refuse_what_is_no_json(name: str, value: Any) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(name, f"can't be written as JSON: {error}") from None


def _named(answer: Answer) -> str:
    """How the log of the server calls the request; "" for a server without such ids, such as luigid."""
    return f" to request {answer.request_id}" if is_name(answer.request_id) else ""


def _told(answer: Answer) -> tuple[str, str]:
    """What an answer says about an error, and the field that it names."""
    try:
        error = json.loads(answer.body)["error"]
        return str(error["message"]), str(error.get("field") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.body[:200].decode(errors="replace").strip(), ""


def _wrong_url(base: str, method: Method, status: int) -> Refused:
    what = f"answers {status} to /api/{method.name}" if status == 404 else f"redirects to elsewhere ({status})"
    return Refused(
        f"There is no scheduler at {base}: it {what}. Look at the URL: host and port, https, and the path before /api/."
    )


def _login_refused(base: str, proof: str, status: int, told: str) -> LoginRefused:
    if status == 403:
        return LoginRefused(f"{base} does not let this caller in (403): {told or 'it does not say why'}")
    if proof == "token" and "expired" in told:  # ours says since when
        return LoginRefused(f"{base} refuses the login (401): {told}")
    return LoginRefused(f"{base} refuses the login (401): {FIXES[proof]}")
