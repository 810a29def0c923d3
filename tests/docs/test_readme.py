"""Every command of the README, run as it stands there (ports and hosts apart)."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_sched import Scheduler
from broker_sched.server.page_files import SERVED
from tests.conftest import running
from tests.documents import ROOT, commands_of, environment_of
from tests.harness import ServerProcess
from tests.nightly import NIGHTLY
from tests.programs import Ended, Program
from tests.servers import free_port, redis_cli

README = (ROOT / "README.md").read_text()
LOOKING = ("bsched status", "bsched failures", "bsched task", "bsched config", "bsched verify")
TASK = "MyTask_2024_01_01_ab12cd34ef"


def commands() -> list[str]:
    """The lines of all sh blocks, comments off."""
    return commands_of(ROOT / "README.md")


def starting(*words: str) -> list[str]:
    """The commands that begin so."""
    return [line for line in commands() if line.startswith(words)]


@pytest.fixture
def url() -> Iterator[str]:
    """A Redis with one task in the namespace `default`."""
    server = running("redis8")
    scheduler = Scheduler(server.url, prune_interval_seconds=None)
    scheduler.add_task(worker="w", task_id=TASK, family="MyTask")
    yield server.url
    for key in list(scheduler._client.scan_iter(match="bsched:{default}:*")):
        scheduler._client.delete(key)


def run(command: str | list[str], **environment: str) -> str:
    """Its output; it must succeed."""
    env = {**environment_of(ROOT), **environment}
    words = shlex.split(command) if isinstance(command, str) else command
    if words[0] in ("bsched", "luigi"):
        program = {"bsched": "bsched.main"}.get(words[0], words[0])
        ended = Ended(Program(*words[1:], program=program, env=env))
        assert ended.returncode == 0, ended
        return ended.stdout
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=env, cwd=ROOT)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def test_no_command_of_the_readme_is_left_out() -> None:
    known = starting(
        "make demo", "make test", "pip install", *LOOKING, "bsched redis",
        "bsched server", "BSCHED_", "luigi ", "redis-cli ", "bsched run", "bsched worker", "bsched submi",
        "bsched wait",
    )  # fmt: skip
    assert known == commands()


def test_the_make_targets_exist_and_demo_and_test_are_the_first_two_commands() -> None:
    assert commands()[:2] == ["make demo", "make test"]
    for target in ("demo", "test", "check", "bench", "parity", "clean"):
        assert run(["make", "-n", "-C", str(ROOT), target])


def test_the_package_installs_the_program_and_its_page_and_neither_cli_nor_tests(tmp_path: Path) -> None:
    """The wheel is made of an sdist where there is no Node: the sdist brings the page."""
    assert starting("pip install") == ["pip install '.[embedded]'"]
    make = "import page_backend, sys; print(page_backend.build_sdist(sys.argv[1]))"
    backend = str(ROOT / "broker_sched" / "server" / "page")
    name = run([sys.executable, "-c", make, str(tmp_path)], PYTHONPATH=backend).splitlines()[-1]
    if NIGHTLY:
        offline = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path))
        run([sys.executable, "-m", "pip", "wheel", *offline, str(tmp_path / name)], PATH="/usr/sbin")
    else:  # as pip does, without the time that it takes besides
        unpacked = tmp_path / name.removesuffix(".tar.gz")
        with tarfile.open(tmp_path / name) as archive:
            # The archive is ours. An older Python has no filters.
            archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
            archive.extractall(tmp_path)
        make = "import os, sys; os.chdir(sys.argv[2]); import page_backend; page_backend.build_wheel(sys.argv[1])"
        backend = str(unpacked / "broker_sched" / "server" / "page")
        run([sys.executable, "-c", make, str(tmp_path), str(unpacked)], PYTHONPATH=backend, PATH="/usr/sbin")
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"broker_sched", "bsched"}
    package = ROOT / "broker_sched"
    modules = {*package.rglob("*.lua"), *package.rglob("*.py")} - {*(package / "server" / "page").rglob("*")}
    assert {path.relative_to(ROOT).as_posix() for path in modules} <= set(names)
    assert "broker_sched/py.typed" in names
    served = {path.relative_to(ROOT).as_posix() for path in SERVED.rglob("*") if path.is_file()}
    page = {name for name in names if name.startswith("broker_sched/server/page/")}
    assert page == {"broker_sched/server/page/index.html", *served}
    assert {"main.js.gz", "licenses.txt"} <= {name.partition("/built/served/")[2] for name in page}
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "Provides-Extra: embedded" in metadata


NETWORK = ("--port", "8082", "--host", "0.0.0.0")


@pytest.mark.parametrize("line", starting("bsched server", "BSCHED_"))
def test_a_server_starts_as_the_readme_says(line: str, url: str) -> None:
    words = shlex.split(line)
    environment = {"BSCHED_REDIS": url}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        if name != "BSCHED_REDIS":
            environment[name] = value
    assert words[:2] == ["bsched", "server"]
    options = [word for word in words[2:] if word not in (*NETWORK, "--users-file", "users")]
    server = ServerProcess(*options, environment=environment).await_ready()
    try:
        assert server.request("GET", "/healthz").status == 200
        assert server.request("GET", "/readyz").status == 200
        assert list(server.call("task_list")) == [TASK]
        if "60" in line:
            assert "60" in run("bsched config get retry_delay", BSCHED_REDIS=url)
    finally:
        assert server.stop() == 0


def write_pipeline(tmp_path: Path) -> None:
    (tmp_path / "my_pipeline.py").write_text(
        "import luigi\n"
        "class MyTask(luigi.Task):\n"
        f"    def output(self): return luigi.LocalTarget({str(tmp_path / 'out')!r})\n"
        "    def run(self):\n"
        "        with self.output().open('w') as out: out.write('done')\n"
    )


def test_a_pipeline_and_a_fleets_worker_run_from_the_command_line(url: str, tmp_path: Path) -> None:
    write_pipeline(tmp_path)
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli"), str(tmp_path)])
    lines = starting("bsched run", "bsched worker")
    assert len(lines) == 2
    for line in lines:
        run(line, BSCHED_REDIS=url, PYTHONPATH=path)
    assert (tmp_path / "out").read_text() == "done"


def test_what_is_submitted_is_run_by_the_fleet(url: str, tmp_path: Path) -> None:
    write_pipeline(tmp_path)
    places = {"BSCHED_REDIS": url, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli"), str(tmp_path)])}
    submit, listing, wait = starting("bsched submi", "bsched wait")
    submission = run(submit, **places).strip()
    assert submission in run(listing, **places)
    (worker,) = starting("bsched worker")
    run(worker, **places)
    assert (tmp_path / "out").read_text() == "done"
    assert "tasks: 1 DONE" in run(["bash", "-c", wait], **places)


def test_luigi_runs_against_the_server_with_only_the_url_changed(url: str, tmp_path: Path) -> None:
    (line,) = starting("luigi ")
    write_pipeline(tmp_path)
    server = ServerProcess(environment={"BSCHED_REDIS": url}).await_ready()
    try:
        changed = line.replace("http://127.0.0.1:8082", server.url)
        assert changed != line
        run(changed, PYTHONPATH=str(tmp_path), LUIGI_CONFIG_PATH=str(tmp_path / "none"))
        assert (tmp_path / "out").read_text() == "done"
        assert [task["name"] for task in server.call("task_list", status="DONE").values()] == ["MyTask"]
    finally:
        server.stop()


@pytest.mark.parametrize("line", starting(*LOOKING))
def test_a_command_that_looks_or_changes_works(line: str, url: str) -> None:
    run(line, BSCHED_REDIS=url)


def test_the_embedded_redis_is_shown(tmp_path: Path) -> None:
    (line,) = starting("bsched redis")
    environment = {"BSCHED_DATA_DIR": str(tmp_path)}
    run("bsched redis start", **environment)
    try:
        assert str(tmp_path) in run(line, **environment)
    finally:
        run("bsched redis stop", **environment)


@pytest.mark.parametrize("line", starting("redis-cli "))
def test_redis_cli_shows_what_the_readme_promises(line: str, url: str) -> None:
    shown = run([redis_cli(), "-s", url.removeprefix("unix://"), *shlex.split(line)[1:]])
    expected = {"HGETALL": "MyTask", "SCARD": "1", "ZRANGE": "w"}
    assert expected.get(shlex.split(line)[1], "") in shown


def pieces() -> list[str]:
    """The Python of the README: the worker, the worker as a context, the scheduler itself."""
    found = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(found) == 3
    return found


LUIGIS_SALES = """
import datetime, luigi
from luigi import LocalTarget
from broker_sched import RemoteScheduler, Worker


class Sales(luigi.Task):
    date = luigi.DateParameter()
    def output(self): return LocalTarget(f"/data/output/{self.date}.csv")
    def run(self):
        with self.output().open("w") as file: file.write("country,amount\\n")


"""


@pytest.mark.parametrize("kind", ["native", "luigi"])
def test_the_worker_examples_run(kind: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, as_context, _ = pieces()
    if kind == "luigi":
        worker = LUIGIS_SALES + worker[worker.index("scheduler = Remote") :]
    monkeypatch.setenv("BSCHED_REDIS", url)
    server = ServerProcess(environment={"BSCHED_REDIS": url}).await_ready()
    try:
        code = worker + as_context.replace("keep_alive=True", "keep_alive=True, wait_interval=0.1, wait_jitter=0")
        code = code.replace("http://localhost:8082", server.url).replace("/data/output", str(tmp_path))
        exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "readme"})
    finally:
        server.stop()
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["2024-03-01.csv", "2024-03-02.csv"]
    assert len(Scheduler(url).task_list("DONE", "")) == 2


def test_the_scheduler_example_runs(url: str) -> None:
    code = pieces()[2]
    assert "redis://127.0.0.1:6379/0" in code
    exec(code.replace("redis://127.0.0.1:6379/0", url), {})
    port = free_port()  # and says so clearly where no Redis is
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    wrong = code.replace(":6379", f":{port}")
    done = subprocess.run([sys.executable, "-c", wrong], capture_output=True, text=True, timeout=60, env=environment)
    assert "RedisUnavailable: Redis did not answer after 5 attempts" in done.stderr
