"""Whatever is public is in the docs; that the pages are current is looked at in test_architecture.py."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

import broker_sched
from broker_sched.config import SchedulerConfig
from broker_sched.tasks.task import Task
from broker_sched.worker.config import WorkerConfig

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PYTHON = (DOCS / "python.md").read_text()
OPTIONS = (DOCS / "options.md").read_text()


@pytest.mark.parametrize("name", broker_sched.__all__)
def test_every_public_name_has_an_entry_that_says_what_it_is(name: str) -> None:
    heading = re.search(rf"^### {name}\n\n`{name}.*`\n\n\w.+", PYTHON, re.M)
    error = re.search(rf"^ *- `{name}`: \w.+", PYTHON, re.M)
    assert heading or error


@pytest.mark.parametrize("config", [WorkerConfig, SchedulerConfig])
def test_every_option_has_a_row_with_unit_and_meaning(config: type) -> None:
    for field in dataclasses.fields(config):
        assert re.search(rf"^\| `{field.name}` \| [a-z0 ,:()]+ \| (`.+`)? \| .{{8,}} \|$", OPTIONS, re.M), field.name


@pytest.mark.parametrize("name", sorted(Task.SETTINGS))
def test_every_setting_of_a_task_has_a_row(name: str) -> None:
    is_property = re.search(rf"^- `{name}`: \w.+", PYTHON, re.M)
    assert is_property or re.search(rf"^\| `{name}` \| (`.+`)? \| .{{8,}} \|$", PYTHON, re.M)


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        ("broker_sched.__all__.append('Task2'); broker_sched.Task2 = object", "say in SECTIONS where Task2"),
        ("broker_sched.Worker.shiny = lambda self: None", "Worker.shiny has no docstring"),
    ],
)
def test_what_is_new_and_not_described_is_refused(breaks: str, told: str) -> None:
    program = f"import sys; sys.path.insert(0, {str(DOCS)!r}); import broker_sched, python_page\n{breaks}\n"
    done = subprocess.run([sys.executable, "-c", program + "python_page.python('')"], capture_output=True, text=True)
    assert done.returncode == 1
    assert told in done.stderr


PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/README.md"))])
PLACES = (
    ".",
    "tests",
    "broker_sched",
    "broker_sched/scheduler",
    "broker_sched/lua",
    "broker_sched/worker",
    "broker_sched/worker/executors",
    "cli/bsched",
)


IN_FORCE = [page for page in PAGES if "superseded by" not in page.read_text()]  # others may name what is gone


@pytest.mark.parametrize("page", IN_FORCE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:\.?\w[\w.-]*/)+(?:\w[\w.-]*\.(?:py|lua|md))?)`", page.read_text())
    missing = [name for name in named if not any((ROOT / place / name).exists() for place in PLACES)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", page.read_text())  # in code, what looks like a link is none
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing
