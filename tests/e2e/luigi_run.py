"""Three stock luigi processes at once on the layered pipeline, and what they left behind."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

from tests.e2e.pipelines.layered import WIDTH, fails_once
from tests.nightly import by_night
from tests.programs import STDOUT, Program
from tests.servers import until

LAYERS = by_night(13, 2)
TASKS = LAYERS * WIDTH + 1
FAILING = sum(fails_once(layer, number) for layer in range(LAYERS) for number in range(WIDTH))
PIPELINES = Path(__file__).parent / "pipelines"
RUN_SECONDS = 120.0

LUIGI_CFG = """
[core]
no_lock = true
log_level = WARNING
rpc_retry_attempts = 30
rpc_retry_wait = 1

[worker]
keep_alive = true
wait_interval = 0.1
wait_jitter = 0.1
ping_interval = 0.5

[retcode]
scheduling_error = 35
unhandled_exception = 40
"""


class LuigiRun:
    """`luigi --workers 2` several times over. Each process leads a session of its own, so that it can be killed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[Program] = []
        (directory / "luigi.cfg").write_text(LUIGI_CFG)

    def start(self, scheduler_url: str) -> None:
        """Start one more process of the pipeline."""
        with self._log(len(self.processes)).open("w") as log:
            process = Program(
                *("--module", "layered", "Root", "--scheduler-url", scheduler_url, "--workers", "2"),
                program="luigi",
                cwd=self.directory,
                env={
                    **os.environ,
                    "PYTHONPATH": str(PIPELINES),
                    "LUIGI_CONFIG_PATH": str(self.directory / "luigi.cfg"),
                    "LAYERED_DIRECTORY": str(self.directory),
                    "LAYERED_LAYERS": str(LAYERS),
                },
                stdout=log,
                stderr=STDOUT,
            )
        self.processes.append(process)

    def await_runs(self, count: int) -> None:
        """Wait until so many runs are noted: the pipeline is in the middle."""
        until(lambda: len(self.runs()) >= count, f"{count} runs are noted", RUN_SECONDS)

    def wait(self) -> list[int]:
        """Wait for all to end; their exit codes."""
        until(lambda: all(p.poll() is not None for p in self.processes), "the workers end", RUN_SECONDS)
        return [process.returncode for process in self.processes]

    def kill(self, number: int) -> None:
        """Kill a process and the tasks it is running, as if its machine were gone."""
        os.killpg(self.processes[number].pid, signal.SIGKILL)
        self.processes[number].wait()

    def close(self) -> None:
        """Kill what still runs."""
        for number, process in enumerate(self.processes):
            if process.poll() is None:
                self.kill(number)

    def runs(self) -> list[tuple[str, str]]:
        """(task_id, outcome) of every run, in the order they ended."""
        log = self.directory / "runs.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(line.split()[0], line.split()[1]) for line in lines]

    def counts(self, outcome: str) -> Counter[str]:
        """How often each task ended so."""
        return Counter(task_id for task_id, ended in self.runs() if ended == outcome)

    def logs(self) -> str:
        """The end of what each process wrote, for a failing test."""
        return "\n".join(
            f"--- luigi {number}\n{self._log(number).read_text()[-2000:]}" for number in range(len(self.processes))
        )

    def _log(self, number: int) -> Path:
        return self.directory / f"luigi-{number}.log"
