"""Every step of docs/migrating-from-luigi.md, run as it stands there (ports, hosts and Redis apart)."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_sched import Scheduler
from tests.conftest import running
from tests.harness import ROOT, ServerProcess
from tests.programs import Ended, Program, environment_with

PAGE = (ROOT / "docs" / "migrating-from-luigi.md").read_text()
NAMESPACE = f"moving-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A directory with the two modules of the page."""
    old, new = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (tmp_path / "pipeline.py").write_text(old)
    (tmp_path / "native_pipeline.py").write_text(new)
    shutil.copy(ROOT / "tests" / "luigi_state" / "luigi-3.0.3.pickle", tmp_path / "state.pickle")
    return tmp_path


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    process = ServerProcess("--namespace", NAMESPACE, environment={"BSCHED_REDIS": running("redis8").url})
    yield process.await_ready()
    process.stop()


def test_every_command_of_the_page_works(pipeline: Path, server: ServerProcess) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    assert lines.pop(0) == "bsched server --port 8082"  # it runs
    where = {"BSCHED_REDIS": running("redis8").url, "BSCHED_NAMESPACE": NAMESPACE}
    environment = environment_with(pipeline, **where, BSCHED_WORKER_WAIT_JITTER="0")
    for line in lines:
        line = line.replace("http://127.0.0.1:8082", server.url).replace("$BSCHED_REDIS", environment["BSCHED_REDIS"])
        words = shlex.split(line)
        namespace = f"{NAMESPACE}-state" if "import-luigi" in line else NAMESPACE  # it wants an empty one
        program = {"bsched": "bsched.main", "luigi": "luigi"}[words[0]]
        own = {**environment, "BSCHED_NAMESPACE": namespace}
        done = Ended(Program(*words[1:], program=program, cwd=pipeline, env=own))
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    dates = [f"report-2024-03-0{day}.txt" for day in range(1, 6)]
    assert sorted(each.name for each in pipeline.glob("report-*")) == dates
    assert {(pipeline / name).read_text() for name in dates} == {"30 EUR\n"}


def test_both_kinds_of_tasks_have_the_same_ids(pipeline: Path) -> None:
    code = (
        "import datetime, pipeline, native_pipeline\n"
        "day = datetime.date(2024, 3, 1)\n"
        "assert pipeline.Report(day).task_id == native_pipeline.Report(date=day).task_id\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(pipeline)])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=60).returncode == 0


def test_the_namespace_is_right_afterwards() -> None:
    assert Scheduler(running("redis8").url, NAMESPACE).verify() == []
