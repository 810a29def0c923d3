"""Traces by OpenTelemetry, where the program has set its SDK up. Else all here does nothing, and loads nothing.

The SDK is set up by `opentelemetry-instrument`, or by a module that `bsched worker --module` imports: docs/traces.md.
Contexts travel as W3C writes them, `traceparent`. Attributes have task ids, and neither parameters nor error texts.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, TypeAlias

VARIABLE = "TRACEPARENT"  # in the environment of what a task starts
FLUSH_MILLISECONDS = 2000
Span: TypeAlias = Any  # of opentelemetry-api, which may not be installed
_FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def is_on() -> bool:
    """Return whether spans go anywhere: a tracer provider was set. Costs a look into a dict where there is no API."""
    return _api() is not None


def current_traceparent() -> str | None:
    """Return the context of the current span; None where there is none, or tracing is off."""
    api = _api()
    return None if api is None else traceparent_of(api.get_current_span())


def traceparent_of(span: Span) -> str | None:
    """Return the context of a span, for others to refer to; None for one that has no valid context."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def ids_of(traceparent: str | None) -> dict[str, str]:
    """Return trace_id and span_id of a context, as lines of a log have them; {} for what is no traceparent."""
    found = _FORM.fullmatch(traceparent or "")
    return {} if found is None else {"trace_id": found[1], "span_id": found[2]}


def new_trace(name: str, kind: str, attributes: Mapping[str, Any]) -> Span | None:
    """Begin a span that is the root of a trace of its own; None where tracing is off. kind: of SpanKind, "CONSUMER"."""
    api = _api()
    if api is None:
        return None
    root = import_module("opentelemetry.context").Context()
    return _tracer(api).start_span(name, context=root, kind=api.SpanKind[kind], attributes=dict(attributes))


def link(span: Span, traceparent: str, relation: str) -> None:
    """Link a span to a context. relation: what that is to it, the link's attribute bsched.relation."""
    context = _context_from(traceparent)
    if context is not None:
        span.add_link(context, {"bsched.relation": relation})


def end(span: Span, has_failed: bool, attributes: Mapping[str, Any]) -> None:
    """End a span. has_failed: it gets the status ERROR, without a text, which might hold what is secret."""
    span.set_attributes(dict(attributes))
    api = _api()
    if has_failed and api is not None:
        span.set_status(api.StatusCode.ERROR)
    span.end()


@contextlib.contextmanager
def span(name: str, kind: str, attributes: Mapping[str, Any]) -> Iterator[str | None]:
    """Make what the block does a span below the current one. It is given its context; None while tracing is off."""
    api = _api()
    if api is None:
        yield None
        return
    with _tracer(api).start_as_current_span(
        name,
        kind=api.SpanKind[kind],
        attributes=dict(attributes),
        record_exception=False,  # its text may hold what is secret
        set_status_on_exception=False,
    ) as begun:
        try:
            yield traceparent_of(begun)
        except BaseException as error:
            begun.set_status(api.StatusCode.ERROR)
            begun.set_attribute("error.type", type(error).__qualname__)
            raise


@contextlib.contextmanager
def attached(traceparent: str | None) -> Iterator[None]:
    """Let spans of the block be below this context, and programs that it starts find it in TRACEPARENT."""
    if traceparent is None:
        yield
        return
    former = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = traceparent
    api, remote, token = _api(), _context_from(traceparent), None
    contexts = import_module("opentelemetry.context") if api is not None else None
    if api is not None and contexts is not None and remote is not None:
        token = contexts.attach(api.set_span_in_context(api.NonRecordingSpan(remote)))
    try:
        yield
    finally:
        if token is not None and contexts is not None:
            contexts.detach(token)
        if former is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = former


def flush() -> None:
    """Have the spans of this process exported, for 2 s at the most: a process that is forked ends without that."""
    api = _api()
    force = getattr(api.get_tracer_provider(), "force_flush", None) if api is not None else None
    if force is not None:
        with contextlib.suppress(Exception):  # of an exporter: a task does not fail for it
            force(FLUSH_MILLISECONDS)


def _api() -> Any:
    """Return opentelemetry.trace where somebody has imported it and set a provider; else None."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None or not hasattr(api, "get_tracer_provider"):
        return None
    provider = api.get_tracer_provider()
    return None if isinstance(provider, (api.ProxyTracerProvider, api.NoOpTracerProvider)) else api


def _tracer(api: Any) -> Any:
    return api.get_tracer("broker_sched")


def _context_from(traceparent: str) -> Any:
    api, found = _api(), _FORM.fullmatch(traceparent)
    if api is None or found is None:
        return None
    trace, span_id, flags = (int(part, 16) for part in found.groups())
    return api.SpanContext(trace, span_id, is_remote=True, trace_flags=api.TraceFlags(flags))
