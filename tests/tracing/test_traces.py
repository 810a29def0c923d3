"""One trace for each attempt, linked to the submission and to the attempts of its deps; nothing without an SDK."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from broker_sched import Scheduler, Worker, tracing
from tests.harness import RedisProcess
from tests.programs import Ended, Program, environment_with
from tests.tracing.pipeline import Step

QUICK: dict[str, Any] = {"wait_interval": 0.05, "wait_jitter": 0.0}
ROOT = Path(__file__).resolve().parents[2]


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [each for each in exporter.get_finished_spans() if each.name == name]


def of_step(exporter: InMemorySpanExporter, letter: str) -> ReadableSpan:
    """The attempt of the step of this letter."""
    (inside,) = named(exporter, f"inside {letter}")
    assert inside.parent is not None
    (found,) = (each for each in named(exporter, "process Step") if each.context.span_id == inside.parent.span_id)
    return found


def links(span: ReadableSpan, relation: str) -> set[int]:
    return {each.context.trace_id for each in span.links if (each.attributes or {})["bsched.relation"] == relation}


def test_links_lead_from_each_attempt_to_those_of_its_deps_and_to_the_submission(
    spans: InMemorySpanExporter, own_redis: RedisProcess, tmp_path: Path
) -> None:
    scheduler = Scheduler(own_redis.url, "traced")
    with trace.get_tracer("users").start_as_current_span("nightly"), Worker(scheduler, **QUICK) as worker:
        worker.add(Step(name="d", needs="bc", directory=str(tmp_path)))
    with Worker(scheduler, assistant=True, **QUICK) as other:
        assert other.run()
    (nightly,), (created,) = named(spans, "nightly"), named(spans, "create Step")
    assert created.parent is not None and created.parent.span_id == nightly.context.span_id
    a, b, c, d = (of_step(spans, letter) for letter in "abcd")
    trace_ids = [each.context.trace_id for each in (a, b, c, d, created)]
    assert len(set(trace_ids)) == 5, "each attempt is a trace of its own"
    assert {each.parent for each in (a, b, c, d)} == {None}
    assert [links(each, "dep") for each in (a, b, c, d)] == [set(), {trace_ids[0]}, {trace_ids[0]}, set(trace_ids[1:3])]
    assert {frozenset(links(each, "submission")) for each in (a, b, c, d)} == {frozenset(trace_ids[4:])}
    assert d.kind is trace.SpanKind.CONSUMER and created.kind is trace.SpanKind.PRODUCER
    assert (d.attributes or {})["messaging.operation.name"] == "process"
    assert (d.attributes or {})["bsched.status"] == "DONE"
    assert (tmp_path / "d").read_text().strip() == tracing.traceparent_of(trace.NonRecordingSpan(d.context))
    assert scheduler.verify() == []


def test_a_failed_attempt_has_the_status_error_and_no_text(
    spans: InMemorySpanExporter, own_redis: RedisProcess, tmp_path: Path
) -> None:
    with Worker(Scheduler(own_redis.url, "traced-failing", retry_delay=1000), **QUICK) as worker:
        worker.add(Step(name="missing/secret", directory=str(tmp_path)))
        (tmp_path / "missing").write_text("no directory")
        worker.run()
    (attempt,) = named(spans, "process Step")
    assert attempt.status.status_code is trace.StatusCode.ERROR
    assert attempt.status.description is None
    assert not attempt.events


def test_a_trace_goes_by_itself_and_is_kept_of_tasks_that_are_there(own_redis: RedisProcess) -> None:
    scheduler = Scheduler(own_redis.url, "kept")
    scheduler.add_task(worker="w", task_id="a")
    first, second = (f"00-{digit * 32}-{digit * 16}-01" for digit in "12")
    scheduler.note_submission_trace(task_ids=["a", "gone"], traceparent=first)
    scheduler.begin_trace(task_ids=["a"], traceparent=second)
    scheduler.add_task(worker="w", task_id="b", deps=["a"])
    assert scheduler.begin_trace(task_ids=["b"], traceparent=first) == {"submissions": [], "deps": {"a": second}}
    assert scheduler.begin_trace(task_ids=["a", "gone"], traceparent=first) == {"submissions": [first], "deps": {}}
    client, key = own_redis.client, scheduler.namespace.key
    assert 0 < client.ttl(key("trace", "a")) <= 7 * 86400
    assert not client.exists(key("trace", "gone"))
    with pytest.raises(ValueError, match="traceparent"):
        scheduler.begin_trace(task_ids=["a"], traceparent="00-x")


def test_spans_of_real_processes_meet_over_http_and_hold_no_parameter(own_redis: RedisProcess, tmp_path: Path) -> None:
    (tmp_path / "traced.py").write_text("import tests.tracing.pipeline\nfrom bsched.main import main\nmain()\n")
    env = environment_with(SPANS=str(tmp_path / "spans"), BSCHED_LOG_FORMAT="json")
    place = ("--redis", own_redis.url, "--namespace", "processes")
    server = Program("server", "--port", "0", *place, program=str(tmp_path / "traced.py"), env=env)
    assert server.stdout is not None
    url = server.stdout.readline().split("listening on ")[1].split(",")[0]
    words = ("tests.tracing.pipeline", "Step", "--name", "d", "--needs", "bc", "--directory", str(tmp_path))
    submitted = Ended(Program("submit", *words, "--scheduler-url", url, env=env))
    assert submitted.returncode == 0, submitted.stderr
    where = ("--scheduler-url", url, "--module", "tests.tracing.pipeline")
    worker = Ended(Program("worker", "--burst", "--processes", "2", *where, env=env))
    with_secret = f"{url.rstrip('/')}/api/task_list?data=%7B%22search%22%3A%22PLANTED%22%7D"
    subprocess.run([sys.executable, "-c", f"import urllib.request as u; u.urlopen({with_secret!r}).read()"], check=True)
    server.terminate()
    server.wait(60)
    found = [json.loads(line) for line in (tmp_path / "spans").read_text().splitlines()]
    attempts = {each["context"]["span_id"]: each for each in found if each["name"] == "process Step"}
    inside = {each["name"][-1]: attempts[each["parent_id"]] for each in found if each["name"].startswith("inside ")}
    assert sorted(inside) == list("abcd"), worker.stderr

    def critical_path(letter: str) -> set[str]:
        seen, left = {letter}, [letter]
        by_trace = {each["context"]["trace_id"]: name for name, each in inside.items()}
        while left:
            for each in inside[left.pop()]["links"]:
                name = by_trace.get(each["context"]["trace_id"])
                if name is not None and name not in seen:
                    seen.add(name)
                    left.append(name)
        return seen

    assert critical_path("d") == set("abcd")
    assert critical_path("b") == set("ab")
    (created,) = (each["context"]["trace_id"] for each in found if each["name"] == "create Step")
    of_submission = {(each["name"], each["kind"]) for each in found if each["context"]["trace_id"] == created}
    for kind in ("CLIENT", "SERVER"):
        assert ("POST /api/note_submission_trace", f"SpanKind.{kind}") in of_submission
    assert any(each["name"] == "GET /api/task_list" for each in found)
    assert "PLANTED" not in json.dumps(found)
    logged = [json.loads(line) for line in worker.stderr.splitlines()]
    told = {each["trace_id"] for each in logged if "trace_id" in each}
    assert told <= {each["context"]["trace_id"].removeprefix("0x") for each in attempts.values()}


def test_a_worker_and_a_server_do_without_opentelemetry() -> None:
    """What redis-py imports of it, where it is installed, is its own matter."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None  # as if it were not installed\n"
        "from broker_sched import RemoteScheduler, Scheduler, Task, Worker, tracing\n"
        "from broker_sched.server import create_app, serve\n"
        "ran = []\n"
        "class T(Task):\n"
        "    def complete(self): return bool(ran)\n"
        "    def run(self): ran.append(1)\n"
        "with Worker(Scheduler('memory:')) as worker:\n"
        "    worker.add(T()); worker.run()\n"
        "print(tracing.is_on(), ran, [m for m in sys.modules if m.startswith('opentelemetry.')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "False [1] []\n", done.stderr


def test_what_needs_no_redis_client_loads_nothing_of_opentelemetry() -> None:
    code = "import sys\nfrom broker_sched import RemoteScheduler, Task, Worker, submit, tracing\ntracing.is_on()\n"
    code += "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr


def test_an_api_without_an_sdk_makes_no_trace_and_no_call(own_redis: RedisProcess, tmp_path: Path) -> None:
    assert "opentelemetry.trace" in sys.modules
    assert not tracing.is_on()
    scheduler = Scheduler(own_redis.url, "no-sdk")
    with Worker(scheduler, **QUICK) as worker:
        worker.add(Step(name="a", directory=str(tmp_path)))
        assert worker.run()
    assert not own_redis.client.keys(scheduler.namespace.key("trace", "*"))
    assert (tmp_path / "a").read_text() == "\n", "no TRACEPARENT"
