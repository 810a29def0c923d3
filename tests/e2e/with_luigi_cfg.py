"""Commands as processes of their own, in a directory with a pipeline of luigi's and a luigi.cfg."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.programs import Program, environment_with

PIPELINE = """
import logging, os, luigi

class settings(luigi.Config):
    bucket = luigi.Parameter(default="none")

class Sub(luigi.Task):
    size = luigi.IntParameter(default=1)
    date = luigi.DateParameter(default=luigi.DateParameter().parse("2024-01-01"))
    def output(self): return luigi.LocalTarget(f"sub-{self.size}-{self.date}")
    def run(self):
        with self.output().open("w") as file: file.write(settings().bucket)

class Report(luigi.Task):
    loud = luigi.BoolParameter()
    def requires(self): return Sub()
    def output(self): return luigi.LocalTarget("report")
    def run(self):
        logging.getLogger("luigi-interface").info("said by the task")
        with self.output().open("w") as file: file.write(f"{settings().bucket} {self.loud}")

class Two(luigi.Task):
    resources = {"db": 2}
    def output(self): return luigi.LocalTarget("two")
    def run(self): self.output().open("w").close()

class FailsOnce(luigi.Task):
    def output(self): return luigi.LocalTarget("once")
    def run(self):
        if not os.path.exists("failed"):
            open("failed", "w").close()
            raise ValueError("on purpose")
        self.output().open("w").close()

class Fails(luigi.Task):
    def run(self): raise ValueError("on purpose")

class Other(luigi.Task):
    def output(self): return luigi.LocalTarget("other")
    def run(self): self.output().open("w").close()

class Many(luigi.WrapperTask):
    def requires(self): return [Sub(), Two(), Other()]
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def namespace() -> str:
    return f"cfg-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `bsched` or `luigi` in a directory with the pipeline, a luigi.cfg, and nothing in the environment."""
    (tmp_path / "pipe.py").write_text(PIPELINE)

    def running_it(*words: str, cfg: str | None = None, name: str = "luigi.cfg", **environment: str) -> Done:
        if cfg is not None:
            (tmp_path / name).write_text(cfg)
        return started(tmp_path, words, environment)

    return running_it


def started(directory: Path, words: tuple[str, ...], environment: Mapping[str, str]) -> Done:
    """A command, to its end."""
    more = {"BSCHED_DATA_DIR": str(directory / "data"), "BSCHED_WORKER_WAIT_JITTER": "0", **environment}
    around = environment_with(directory)
    kept = {name: value for name, value in around.items() if not name.startswith(("BSCHED", "LUIGI"))}
    module = {"bsched": "bsched.main"}.get(words[0], words[0])
    program = Program(*words[1:], program=module, cwd=directory, env={**kept, **more}, is_quiet=True)
    out, err = program.communicate(120)
    assert "Traceback" not in err or words[0] == "luigi" or "on purpose" in err, err
    return Done(program.wait(), out, err)


def made(directory: Path) -> set[str]:
    """The names of what tasks have made."""
    return {path.name for path in directory.iterdir()} - {
        "pipe.py",
        "many.py",
        "luigi.cfg",
        "__pycache__",
        "luigi.toml",
    }
