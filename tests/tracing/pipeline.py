"""An SDK that writes spans to a file, and a diamond of tasks, which write down what they find of their trace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from broker_sched import LocalTarget, Task


class ToFile(SpanExporter):
    """Appends each span, as JSON on a line, to the file that SPANS names."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with open(os.environ["SPANS"], "a") as file:
            file.write("".join(each.to_json(indent=None) + "\n" for each in spans))
        return SpanExportResult.SUCCESS


if "SPANS" in os.environ:
    provider = TracerProvider(shutdown_on_exit=True)
    provider.add_span_processor(BatchSpanProcessor(ToFile()))  # what is not flushed at the end of a fork is lost
    trace.set_tracer_provider(provider)


class Step(Task):
    name: str
    needs: str = ""
    directory: str

    def requires(self) -> list[Task]:
        """The steps of these letters."""
        needs = {"b": "a", "c": "a", "d": "bc"}
        return [Step(name=each, needs=needs.get(each, ""), directory=self.directory) for each in self.needs]

    def output(self) -> LocalTarget:
        return LocalTarget(f"{self.directory}/{self.name}")

    def run(self) -> None:
        with trace.get_tracer("users").start_as_current_span(f"inside {self.name}"), self.output().open("w") as file:
            file.write(subprocess.run(["sh", "-c", "echo $TRACEPARENT"], capture_output=True, text=True).stdout)
