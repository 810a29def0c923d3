"""The commands in a document's sh blocks, and how to run one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.programs import BSCHED, Ended, Program
from tests.servers import found_redis_cli

SHELL = "$|&;<>*?`~"  # what a shell makes something else of
ROOT = Path(__file__).resolve().parents[1]


def commands_of(document: Path) -> list[str]:
    """The lines of all sh blocks, comments off."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(), re.S)
    return [line.partition("   #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def environment_of(directory: Path, **more: str) -> dict[str, str]:
    """Modules of a directory can be imported, `bsched` can be called, and `redis-cli` where there is one."""
    programs = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if redis_cli := found_redis_cli():
        programs.append(str(Path(redis_cli).parent))
    modules = [str(ROOT), str(ROOT / "cli"), str(directory)]
    return {**os.environ, "PATH": os.pathsep.join(programs), "PYTHONPATH": os.pathsep.join(modules), **more}


def run_line(line: str, environment: dict[str, str], directory: Path) -> str:
    """As a shell runs it. Its output; it must succeed."""
    program, *words = shlex.split(line)
    if program == "bsched" and not set(line) & set(SHELL):
        ended: Any = Ended(Program(*words, program=BSCHED, env=environment, cwd=directory))
    else:
        shell = ["bash", "-c", line]
        ended = subprocess.run(shell, capture_output=True, text=True, timeout=120, env=environment, cwd=directory)
    assert ended.returncode == 0, (line, ended.stdout, ended.stderr)
    return ended.stdout
