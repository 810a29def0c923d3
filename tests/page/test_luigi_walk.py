"""A walk through the page while a stock luigi runs a pipeline: one looks at its tasks, and talks to one of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from broker_sched import Scheduler
from tests.harness import ServerProcess
from tests.programs import STDOUT, Program
from tests.servers import until

PIPELINES = Path(__file__).parent / "pipelines"
LUIGI_CFG = "[core]\nno_lock = true\nlog_level = WARNING\n[worker]\nwait_interval = 0.1\nping_interval = 0.3\n"


@pytest.fixture
def luigi(page_server: ServerProcess, tmp_path: Path) -> Iterator[Program]:
    """luigi, which runs the pipeline with two processes."""
    (tmp_path / "luigi.cfg").write_text(LUIGI_CFG)
    with (tmp_path / "luigi.log").open("w") as log:
        program = Program(
            *("--module", "talking", "All", "--scheduler-url", page_server.url, "--workers", "2"),
            program="luigi",
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(PIPELINES),
                "LUIGI_CONFIG_PATH": str(tmp_path / "luigi.cfg"),
                "TALKING_DIRECTORY": str(tmp_path),
            },
            stdout=log,
            stderr=STDOUT,
        )
    yield program
    if program.poll() is None:
        program.kill()
        program.wait()


def test_one_looks_at_a_running_pipeline_and_talks_to_a_task(
    page: Page, page_server: ServerProcess, page_scheduler: Scheduler, luigi: Program
) -> None:
    def ids(family: str, state: str | None = None) -> list[str]:
        return [each["task_id"] for each in page_scheduler.tasks(family=family, status=state)["tasks"]]

    (all_,) = until(lambda: ids("All"), "luigi has scheduled its tasks")
    page.goto(f"{page_server.url}/?view=task&id={all_}")
    task = page.locator(".task")
    causes = task.locator(".causes > li")
    expect(causes.filter(has_text="KeyError: 'amount'")).to_be_visible()
    talks = causes.filter(has_text="Talk_")
    expect(talks).to_have_attribute("data-code", "running")
    talks.get_by_role("link", name=re.compile("^Talk_")).click()
    expect(task.locator("h2")).to_contain_text("running")
    expect(task.get_by_role("img", name="30 % done, as the task says")).to_be_visible()
    expect(task.get_by_label("What the task says")).to_have_text("waiting for a <b>word</b>")
    expect(task.get_by_role("link", name="https://example.com/talk")).to_be_visible()
    expect(page.get_by_label("Facts about the task")).to_contain_text("holds 1")
    expect(page.get_by_role("region", name="What it needs").first).to_contain_text("Prepare(day=2026-03-01)")
    # It takes messages, which luigi's scheduler forgets when a task sets its tracking URL.
    task.get_by_text("Send one all the same").click()
    for content in ("how far?", "go on"):
        page.get_by_label("Message to the task").fill(content)
        page.get_by_role("button", name="Send").click()
        expect(task.get_by_text(f"heard: {content}")).to_be_visible()
    expect(task.locator("h2")).to_contain_text("done")
    expect(page.get_by_role("table", name="Runs of the task").locator("tbody tr")).to_contain_text("done")
    (broken,) = ids("Broken", "FAILED")
    page.goto(f"{page_server.url}/?view=task&id={broken}")
    error = page.get_by_role("region", name="Error")
    expect(error.locator(".frame.own")).to_have_count(2)
    expect(error.locator(".frame.own").last).to_contain_text("in load")
    expect(error.locator(".error-said")).to_have_text("KeyError: 'amount'")
    expect(error.get_by_text(re.compile("frames? of luigi"))).to_be_visible()
