"""A luigi pipeline of a task that talks to whoever looks at it, and of one that fails."""

from __future__ import annotations

import os
from pathlib import Path

import luigi


class Noted(luigi.Task):
    """A task whose output is a file in TALKING_DIRECTORY."""

    day = luigi.Parameter(default="2026-03-01")

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(Path(os.environ["TALKING_DIRECTORY"]) / f"{self.task_id}.txt")

    def note(self, text: str) -> None:
        with self.output().open("w") as file:
            file.write(text)


class Prepare(Noted):
    """A task that just ends."""

    def run(self) -> None:
        self.note("ready")


class Talk(Noted):
    """A task that says how far it is, and goes on when it is told to."""

    accepts_messages = True
    resources = {"voice": 1}  # noqa: RUF012 - as Luigi has it

    def requires(self) -> Prepare:
        return Prepare(day=self.day)

    def run(self) -> None:
        self.set_tracking_url("https://example.com/talk")
        self.set_status_message("waiting for a <b>word</b>")
        self.set_progress_percentage(30)
        while True:
            message = self.scheduler_messages.get()
            message.respond(f"heard: {message}")
            self.set_progress_percentage(60)
            if message == "go on":
                break
        self.note("told")


class Broken(Noted):
    """A task that fails in a function of its own."""

    def run(self) -> None:
        load({"day": self.day})


def load(row: dict[str, str]) -> str:
    """Raise KeyError: there is no amount."""
    return row["amount"]


class All(luigi.WrapperTask):
    """Both of them."""

    def requires(self) -> list[luigi.Task]:
        return [Talk(), Broken()]
