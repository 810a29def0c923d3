"""`bsched run` and `bsched worker` as real processes, with a module of the user's."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker_sched import Scheduler
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.interrupts import BOUNCE_SECONDS
from bsched.main import cli
from tests.conftest import running
from tests.harness import ROOT, ServerProcess
from tests.programs import BSCHED, PIPE, Program, environment_with
from tests.servers import until

BODY = """
import os, signal, sys, time

class Said:
    def output(self):
        return LocalTarget(f"{type(self).__name__}-{self.word}")

    def run(self):
        with self.output().open("w") as file:
            file.write(self.word * 2)
"""
NATIVE = (
    "from typing import Annotated\nfrom broker_sched import ExternalTask, LocalTarget, Parameter, Task\n"
    + BODY
    + """
class Say(Said, Task):
    word: str
    times: Annotated[int, Parameter(description="how often")] = 1
    loud: bool = False

class Fails(Task):
    word: str = "x"
    def run(self): raise ValueError("on purpose")

class Given(Said, ExternalTask):
    word: str = "x"
    run = None

class Needs(Said, Task):
    word: str = "y"
    def requires(self): return Given(word="x")

class Three(Said, Task):
    word: str = "t"
    def requires(self): return [Say(word=word) for word in "abc"]

class Prints(Task):
    def complete(self): return os.path.exists("printed")
    def run(self):
        print("chatter", flush=True)
        os.system("echo more chatter")
        with open("printed", "w") as file: file.write(type(sys.stdout).__name__)

class Stubborn(Task):
    def complete(self): return False
    def run(self):
        signal.signal(signal.SIGTERM, lambda number, frame: open("asked", "w").close())
        open("sleeping", "w").close()
        time.sleep(120)

class Sleeps(Said, Task):
    word: str = "z"
    def run(self):
        open("sleeping", "w").close()
        while not os.path.exists("wake"): time.sleep(0.02)
        super().run()
"""
)
LUIGI = (
    "import luigi\nfrom luigi import LocalTarget\n"
    + BODY
    + """
class Say(Said, luigi.Task):
    word = luigi.Parameter()
    times = luigi.IntParameter(default=1, description="how often")
    loud = luigi.BoolParameter()

class Fails(luigi.Task):
    word = luigi.Parameter(default="x")
    def run(self): raise ValueError("on purpose")

class Given(Said, luigi.ExternalTask):
    word = luigi.Parameter(default="x")
    run = None

class Needs(Said, luigi.Task):
    word = luigi.Parameter(default="y")
    def requires(self): return Given(word="x")

class Three(Said, luigi.Task):
    word = luigi.Parameter(default="t")
    def requires(self): return [Say(word=word) for word in "abc"]
"""
)
QUICK = ["--set", "wait_interval=0.05", "--set", "wait_jitter=0"]


ODD = """
import sys
from broker_sched import Task

class Priority(Task):
    @property
    def priority(self): raise ValueError("on purpose")

class Leaves(Task):
    def complete(self): sys.exit("on purpose")
    def run(self): pass

class Offset(Task):
    hours: int
"""


@pytest.fixture(params=["native", "luigi"])
def module(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The directory of the module `said`, of each kind."""
    (tmp_path / "said.py").write_text(NATIVE if request.param == "native" else LUIGI)
    return tmp_path


@pytest.fixture
def native(tmp_path: Path) -> Path:
    """The same with native tasks only, where the kind makes no difference."""
    (tmp_path / "said.py").write_text(NATIVE)
    return tmp_path


@pytest.fixture
def luigis(tmp_path: Path) -> Path:
    """The same with luigi's tasks only."""
    (tmp_path / "said.py").write_text(LUIGI)
    return tmp_path


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"cli-{uuid.uuid4().hex[:8]}"
    yield name
    scheduler = Scheduler(redis_url(), name)
    assert scheduler.verify() == []
    scheduler.close()


@pytest.fixture
def server(namespace: str) -> Iterator[ServerProcess]:
    process = ServerProcess("--redis", redis_url(), "--namespace", namespace).await_ready()
    yield process
    assert process.stop() == 0


def redis_url() -> str:
    return running("redis8").url


def start(directory: Path, *words: str, stderr: int = PIPE) -> Program:
    """The installed command, in a process group of its own, as a shell starts it."""
    environment = environment_with(BSCHED_REDIS=redis_url(), TERM="xterm")
    return Program(*words, program=BSCHED, cwd=directory, env=environment, stderr=stderr)


def bsched(directory: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    process = start(directory, *words)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err or "on purpose" in err or "can't be imported" in err, err
    return process.returncode, out, err


def submitted(directory: Path, namespace: str, task: str, *words: str) -> str:
    """Schedule a task and leave; returns the id of the first one that waits."""
    words = ("run", "said", task, *words, "--workers", "0", "--json", "--namespace", namespace)
    groups = json.loads(bsched(directory, *words)[1])["groups"]
    return str(groups["not_run"][0])


def sleeping(directory: Path, *words: str) -> Program:
    """A command that runs a task which has begun, and waits."""
    process = start(directory, *words)
    until(lambda: (directory / "sleeping").exists(), "the task runs")
    return process


def read_until(process: Program, text: str) -> None:
    """Read stderr up to the line with this text."""
    assert process.stderr
    assert any(text in line for line in iter(process.stderr.readline, "")), f"it never said: {text}"


# bsched run


@pytest.mark.parametrize("where", ["redis", "server", "local"])
def test_a_task_runs_wherever_the_scheduler_is(module: Path, server: ServerProcess, namespace: str, where: str) -> None:
    place = {"redis": [], "server": ["--scheduler-url", server.url], "local": ["--local-scheduler"]}[where]
    words = ("Say", "--word", "hi", "--workers", "2", "--namespace", namespace)
    code, out, err = bsched(module, "run", "said", *words, *place)
    assert (code, (module / "Say-hi").read_text()) == (0, "hihi"), err
    assert "1 ran successfully" in out and ":)" in out
    assert bool(Scheduler(redis_url(), namespace).task_list("DONE", "")) == (where != "local")


@pytest.mark.parametrize(
    ("task", "code", "text"), [("Fails", 30, "1 failed"), ("Needs", 20, "external, and not there")]
)
def test_the_exit_code_says_what_went_wrong(module: Path, task: str, code: int, text: str) -> None:
    found, out, _ = bsched(module, "run", "said", task, "--local-scheduler")
    assert found == code and text in out


def test_luigis_exit_codes_can_be_had(native: Path) -> None:
    zeros = ("--retcode", "task_failed=0", "--retcode", "not_run=0")
    assert bsched(native, "run", "said", "Fails", "--local-scheduler", *zeros)[0] == 0


def test_json_is_alone_on_stdout_whatever_tasks_print(native: Path) -> None:
    code, out, err = bsched(native, "run", "said", "Prints", "--local-scheduler", "--json")
    found = json.loads(out)
    assert (code, found["status"], found["exit_code"], len(found["groups"]["completed"])) == (0, "SUCCESS", 0, 1)
    assert "chatter" in err and "more chatter" in err


def test_without_json_what_tasks_print_is_on_stdout(native: Path) -> None:
    assert "chatter" in bsched(native, "run", "said", "Prints", "--local-scheduler")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("Say", "--wort", "x"), "Say has no option --wort. Did you mean --word?"),
        (("Sai",), "Did you mean Say"),
        (("Say", "--word", "x", "--set", "keep_alife=1"), "did you mean keep_alive"),
        (("Say", "--word", "x", "--retcode", "failed=1"), "task_failed"),
        (("Say", "--word", "x", "--scheduler-url", "localhost"), "http://"),
        (("Say", "--word", "x", "--scheduler-url", "http://x", "--redis", "redis://x"), "Give one of"),
    ],
)
def test_wrong_usage_is_named_and_exits_with_2(native: Path, words: tuple[str, ...], message: str) -> None:
    code, out, err = bsched(native, "run", "said", *words)
    assert (code, out) == (2, "")
    assert " ".join(message.split()) in " ".join(err.split())


@pytest.mark.parametrize(
    ("name", "message"),
    [("sayd", "no module sayd"), ("said.py", "Did you mean said?"), ("./said.py", "write it as `import` does")],
)
def test_a_module_that_is_not_there_is_said_so(native: Path, name: str, message: str) -> None:
    code, _, err = bsched(native, "run", name, "Say")
    assert code == 2 and message in err


@pytest.mark.parametrize(
    ("body", "trace"),
    [("import json\njson.loads('no')\n", "JSONDecodeError"), ("import sys\nsys.exit(0)\n", "SystemExit: 0")],
)
def test_a_module_that_cannot_be_imported_shows_its_own_trace(native: Path, body: str, trace: str) -> None:
    (native / "broken.py").write_text(body)
    code, _, err = bsched(native, "run", "broken", "Say")
    assert (code, err.splitlines()[0]) == (40, "The module broken can't be imported:")
    assert "broken.py" in err and trace in err


def test_a_scheduler_that_is_not_there_is_an_unhandled_exception_in_one_line(native: Path) -> None:
    where = ("--redis", "redis://:geheim@127.0.0.1:1")
    code, out, err = bsched(native, "run", "said", "Fails", *where, "--retcode", "unhandled_exception=77")
    assert (code, out) == (77, "")
    assert err.startswith("Error: Redis") and err.count("\n") == 1 and "geheim" not in err


@pytest.mark.parametrize(
    "options",
    [
        ("--workers", "1"),
        ("--workers", "2"),
        ("--workers", "2", "--set", "start_method=spawn"),
        ("--workers", "2", "--set", "start_method=forkserver"),
    ],
    ids=" ".join,
)
def test_ctrl_c_ends_a_run_and_its_task_processes_without_a_trace(native: Path, options: tuple[str, ...]) -> None:
    process = sleeping(native, "run", "said", "Sleeps", "--local-scheduler", *options)
    os.killpg(process.pid, signal.SIGINT)
    _out, err = process.communicate(timeout=30)  # ends only when no task process has stderr any more
    assert process.returncode == 130 and "Traceback" not in err, err
    assert err.splitlines()[-1].startswith("Interrupted") and not (native / "Sleeps-z").exists()


def test_luigis_own_configuration_holds_and_the_command_line_wins(luigis: Path) -> None:
    """A task_limit of 1 stops scheduling after the first of four tasks."""
    (luigis / "luigi.cfg").write_text(
        "[worker]\ntask_limit = 1\nwait_interval: 0.05\nmax_keep_alive_idle_duration = 1m\n"
    )
    code, _out, err = bsched(luigis, "run", "said", "Three", "--local-scheduler")
    assert code != 0 and not (luigis / "Three-t").exists(), err
    code, _out, err = bsched(luigis, "run", "said", "Three", "--local-scheduler", "--set", "task_limit=9")
    assert code == 0, err
    (luigis / "luigi.cfg").write_text("[worker]\ntask_limit = few\n")
    code, _out, err = bsched(luigis, "run", "said", "Three", "--local-scheduler")
    assert code == 2 and "[worker]" in err and "Traceback" not in err


def test_what_a_module_does_while_it_is_scheduled_ends_in_a_clear_way(native: Path) -> None:
    (native / "odd.py").write_text(ODD)
    code, _out, err = bsched(
        native, "run", "odd", "Priority", "--local-scheduler", "--retcode", "unhandled_exception=77"
    )
    assert code == 77 and "Error: ValueError: on purpose" in err
    code, out, _err = bsched(native, "run", "odd", "Leaves", "--local-scheduler")
    assert code == 35 and "Leaves()" in out
    code, _out, err = bsched(native, "run", "odd", "Offset", "--hours", "-1h", "--local-scheduler")
    assert code == 2 and "-1h" in err
    code, _out, err = bsched(native, "run", "odd", "Offset", "--hours", "-1", "--retcode", "task_failed=\u00b2")
    assert code == 2 and "task_failed=\u00b2" in err
    code, _out, err = bsched(native, "run", "odd", "Offset", "--hours", "postgres://me:geheim@host/db")
    assert code == 2 and "geheim" not in err


def test_a_second_ctrl_c_kills_a_task_that_goes_on(native: Path) -> None:
    words = ("run", "said", "Stubborn", "--local-scheduler", "--workers", "2", "--set", "kill_after=100")
    process = sleeping(native, *words)
    os.killpg(process.pid, signal.SIGINT)
    until(lambda: (native / "asked").exists(), "the task is asked to end")
    time.sleep(2 * BOUNCE_SECONDS)
    os.killpg(process.pid, signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err, err


def test_a_terminal_has_a_live_line_and_tasks_have_their_own_stdout(native: Path) -> None:
    ours, theirs = pty.openpty()
    words = ("run", "said", "Prints", "--local-scheduler", "--workers", "2")
    process = start(native, *words, stderr=theirs)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # Linux: nobody has the other end any more
        while chunk := os.read(ours, 65536):
            seen += chunk
    os.close(ours)
    process.communicate(timeout=30)
    assert b"tasks done, " in seen and b" running, " in seen and b" pending, " in seen and b" failed" in seen
    # One of rich's has a lock that a fork can inherit locked: the task would hang at its first print().
    assert (native / "printed").read_text() == "TextIOWrapper"


# bsched worker


def test_a_fleets_worker_runs_what_others_schedule(module: Path, namespace: str) -> None:
    submitter = start(
        module, "run", "said", "Say", "--word", "far", "--workers", "0", "--namespace", namespace,
        "--set", "keep_alive=true", *QUICK,
    )  # fmt: skip
    scheduler = Scheduler(redis_url(), namespace)
    until(lambda: scheduler.task_list("PENDING", ""), "it is scheduled")
    words = ("--burst", "--processes", "2", "--name", "helper", "--namespace", namespace)
    code, out, err = bsched(module, "worker", *words, *QUICK)
    assert (code, (module / "Say-far").read_text()) == (0, "farfar"), err
    first, last = out.splitlines()
    assert f"helper runs up to 2 tasks at once for namespace {namespace}" in first
    assert last == "bsched worker: 1 task(s) run, leaving"
    submitter.communicate(timeout=30)
    assert submitter.returncode in (10, 25)  # Luigi: what others run is not what this worker ran


def test_a_worker_without_stdout_and_stderr_runs_tasks_all_the_same(native: Path, namespace: str) -> None:
    task = submitted(native, namespace, "Prints")
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    line = f"{sys.executable} -m bsched.main worker --burst --processes 1 --namespace {namespace} >&- 2>&-"
    env = {**os.environ, "PYTHONPATH": path, "BSCHED_REDIS": redis_url()}
    assert subprocess.run(["bash", "-c", line], cwd=native, env=env, timeout=60).returncode == 0
    scheduler = Scheduler(redis_url(), namespace)
    assert scheduler.task_log(task)["log"].count("chatter") == 2
    assert set(scheduler.task_list("DONE")) == {task}
    scheduler.close()


def test_help_is_on_stdout_also_with_json(native: Path) -> None:
    code, out, _ = bsched(native, "run", "said", "Say", "--help", "--json")
    assert code == 0 and "--word" in out


def test_a_worker_says_where_it_works_without_the_password(native: Path, server: ServerProcess) -> None:
    login = server.url.replace("http://", "http://me:geheim@")
    code, out, err = bsched(native, "worker", "--burst", "--scheduler-url", login)
    assert code == 0 and server.url.rstrip("/") in out and "geheim" not in out + err


def test_a_worker_loads_only_what_it_may(native: Path, namespace: str) -> None:
    task_id = submitted(native, namespace, "Say", "--word", "x")
    bsched(native, "worker", "--burst", "--allow-module", "pipelines.*", "--namespace", namespace, *QUICK)
    assert Scheduler(redis_url(), namespace).task_list(status="PENDING").keys() == {task_id}
    assert not (native / "Say-x").exists()


def test_a_task_that_is_another_here_goes_back_with_the_reason(module: Path, namespace: str) -> None:
    scheduler = Scheduler(redis_url(), namespace)
    scheduler.add_task(worker="w", task_id="Say_old", family="Say", module="said", params={"word": "x"})
    bsched(module, "worker", "--burst", "--namespace", namespace, *QUICK)
    assert "another version" in scheduler.fetch_error("Say_old")["error"]


def test_a_worker_leaves_after_as_many_tasks_as_it_may_run(native: Path, namespace: str) -> None:
    submitted(native, namespace, "Three")
    words = ("--max-tasks", "2", "--processes", "1", "--namespace", namespace)
    code, out, _ = bsched(native, "worker", *words, *QUICK)
    assert (code, len(list(native.glob("Say-*")))) == (0, 2) and "2 task(s) run" in out


@pytest.mark.parametrize(("body", "code", "message"), [(None, 2, "no module extra"), ("1 / 0", 1, "ZeroDivisionError")])
def test_a_worker_imports_its_modules_before_it_asks_for_work(
    native: Path, body: str | None, code: int, message: str
) -> None:
    if body is not None:
        (native / "extra.py").write_text(body)
    found, out, err = bsched(native, "worker", "--module", "said", "--module", "extra")
    assert (found, out) == (code, "") and message in err


@pytest.mark.parametrize("signals", [["SIGUSR1"], ["SIGTERM"], ["SIGUSR1", "SIGTERM"]])
def test_a_worker_that_is_asked_to_leave_lets_its_task_finish(native: Path, namespace: str, signals: list[str]) -> None:
    submitted(native, namespace, "Sleeps")
    process = sleeping(native, "worker", "--processes", "1", "--namespace", namespace, *QUICK)
    for name in signals:
        process.send_signal(getattr(signal, name))
    if "SIGTERM" in signals:
        read_until(process, "leaving when what runs has ended")
    (native / "wake").touch()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, (native / "Sleeps-z").exists()) == (0, True), err
    assert "1 task(s) run, leaving" in out


def test_a_second_sigterm_ends_a_worker_which_gives_its_task_back(native: Path, namespace: str) -> None:
    submitted(native, namespace, "Sleeps")
    process = sleeping(native, "worker", "--processes", "1", "--namespace", namespace, *QUICK)
    process.terminate()
    read_until(process, "leaving when what runs has ended")
    process.terminate()
    _out, err = process.communicate(timeout=30)
    assert (process.returncode, (native / "Sleeps-z").exists(), "Traceback" in err) == (0, False, False), err
    assert "Gave back to the scheduler" in err


# bsched call


def test_every_method_can_be_called_over_http(server: ServerProcess) -> None:
    for name, method in METHODS.items():
        needs_arguments = any(p.default is p.empty for p in method.parameters)
        needs_arguments |= name == "critical_path"  # which takes one of two
        result = CliRunner().invoke(cli, ["call", "--url", server.url, name])
        assert result.exit_code == (2 if needs_arguments else 0), (name, result.output)
