"""`bsched run` and `bsched worker` as real processes, with a module of the user's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_sched import Scheduler
from tests.conftest import running
from tests.http.harness import ROOT, ServerProcess
from tests.servers import die_with_parent, until

BODY = """
import os, time

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

class Sleeps(Said, luigi.Task):
    word = luigi.Parameter(default="z")
    def run(self):
        open("sleeping", "w").close()
        while not os.path.exists("wake"): time.sleep(0.02)
        super().run()
"""
)
QUICK = ["--set", "wait_interval=0.05", "--set", "wait_jitter=0"]


@pytest.fixture(params=["native", "luigi"])
def module(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The directory of the module `said`, of each kind."""
    (tmp_path / "said.py").write_text(NATIVE if request.param == "native" else LUIGI)
    return tmp_path


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"cli-{uuid.uuid4().hex[:8]}"
    yield name
    scheduler = Scheduler(redis_url(), name)
    assert scheduler.verify() == []
    scheduler.close()


def redis_url() -> str:
    return running("redis8").url


def start(directory: Path, *words: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    return subprocess.Popen(
        [sys.executable, "-m", "bsched.main", *words],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": path, "BSCHED_REDIS": redis_url()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    )


def bsched(directory: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    process = start(directory, *words)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err or "on purpose" in err or "can't be imported" in err, err
    return process.returncode, out, err


def submitted(directory: Path, namespace: str, task: str, word: str) -> str:
    """Schedule a task and leave; returns its id."""
    words = ("run", "said", task, "--word", word, "--workers", "0", "--json", "--namespace", namespace)
    groups = json.loads(bsched(directory, *words)[1])["groups"]
    return str(groups["not_run"][0])


@pytest.mark.parametrize("where", ["redis", "server", "local"])
def test_a_task_runs_wherever_the_scheduler_is(module: Path, namespace: str, where: str) -> None:
    server = None
    place = ["--namespace", namespace]
    if where == "server":
        server = ServerProcess("--redis", redis_url(), "--namespace", namespace).await_ready()
        place = ["--scheduler-url", server.url]
    elif where == "local":
        place = ["--local-scheduler"]
    code, out, err = bsched(module, "run", "said", "Say", "--word", "hi", "--workers", "2", *place)
    assert (code, (module / "Say-hi").read_text()) == (0, "hihi"), err
    assert "1 ran successfully" in out and ":)" in out
    if server is not None:
        server.stop()


@pytest.mark.parametrize(
    ("task", "code", "text"), [("Fails", 30, "1 failed"), ("Needs", 20, "external, and not there")]
)
def test_the_exit_code_says_what_went_wrong(module: Path, namespace: str, task: str, code: int, text: str) -> None:
    found, out, _ = bsched(module, "run", "said", task, "--namespace", namespace)
    assert found == code and text in out


def test_luigis_exit_codes_can_be_had(module: Path) -> None:
    zeros = ("--retcode", "task_failed=0", "--retcode", "not_run=0")
    assert bsched(module, "run", "said", "Fails", "--local-scheduler", *zeros)[0] == 0


def test_json_is_one_object_on_stdout(module: Path) -> None:
    code, out, _ = bsched(module, "run", "said", "Say", "--word", "w", "--local-scheduler", "--json")
    found = json.loads(out)
    assert (code, found["status"], found["exit_code"], len(found["groups"]["completed"])) == (0, "SUCCESS", 0, 1)


def test_flags_and_other_types_are_read(module: Path) -> None:
    words = ("--word", "w", "--loud", "--times=3", "--local-scheduler", "--json")
    found = json.loads(bsched(module, "run", "said", "Say", *words)[1])
    (task_id,) = found["groups"]["completed"]
    assert task_id.startswith("Say_True_3_w_")


def test_a_parameter_can_be_given_by_its_plain_name(module: Path) -> None:
    assert bsched(module, "run", "said", "Say", "--param", "word=w", "--local-scheduler")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("Say", "--wort", "x"), "Say has no option --wort. Did you mean --word?"),
        (("Say",), "word"),
        (("Say", "--word", "x", "--times", "many"), "--times 'many' can't be used"),
        (("Say", "x"), "stands alone"),
        (("Say", "--word"), "--word needs a value"),
        (("Say", "--word", "a", "--word", "b"), "given twice"),
        (("Sai",), "Did you mean Say"),
        (("Say", "--word", "x", "--set", "keep_alife=1"), "did you mean keep_alive"),
        (("Say", "--word", "x", "--retcode", "failed=1"), "task_failed"),
        (("Say", "--word", "x", "--scheduler-url", "localhost"), "http://"),
        (("Say", "--word", "x", "--scheduler-url", "http://x", "--redis", "redis://x"), "Give one of"),
    ],
)
def test_wrong_usage_is_named_and_exits_with_2(module: Path, words: tuple[str, ...], message: str) -> None:
    place = () if "--scheduler-url" in words else ("--local-scheduler",)
    code, _, err = bsched(module, "run", "said", *words, *place)
    assert code in (1, 2) and " ".join(message.split()) in " ".join(err.split())
    assert code == 2 or "http://" in message


def test_a_module_that_is_not_there_is_said_so(module: Path) -> None:
    code, _, err = bsched(module, "run", "sayd", "Say")
    assert code == 2 and "no module sayd" in err


def test_a_module_that_cannot_be_imported_shows_its_own_trace(module: Path) -> None:
    (module / "broken.py").write_text("import json\njson.loads('no')\n")
    code, _, err = bsched(module, "run", "broken", "Say")
    assert code == 40 and "broken.py" in err and "JSONDecodeError" in err


def test_help_after_a_task_lists_its_options(module: Path) -> None:
    code, out, _ = bsched(module, "run", "said", "Say", "--help")
    assert code == 0
    assert "--word TEXT  [required]" in out and "--times TEXT  how often [default: 1]" in out and "--loud  " in out


def test_a_fleets_worker_runs_what_others_schedule(module: Path, namespace: str) -> None:
    submitter = start(
        module, "run", "said", "Say", "--word", "far", "--workers", "0", "--namespace", namespace,
        "--set", "keep_alive=true", *QUICK,
    )  # fmt: skip
    scheduler = Scheduler(redis_url(), namespace)
    until(lambda: scheduler.task_list("PENDING", ""), "it is scheduled")
    code, out, err = bsched(module, "worker", "--burst", "--processes", "2", "--namespace", namespace, *QUICK)
    assert (code, (module / "Say-far").read_text()) == (0, "farfar"), err
    assert "runs up to 2 tasks at once" in out and "1 task(s) run, leaving" in out
    assert submitter.wait(30) in (10, 25)  # Luigi: what others run is not what this worker ran


def test_a_worker_loads_only_what_it_may(module: Path, namespace: str) -> None:
    task_id = submitted(module, namespace, "Say", "x")
    bsched(module, "worker", "--burst", "--allow-module", "pipelines.*", "--namespace", namespace, *QUICK)
    assert "may not load" in Scheduler(redis_url(), namespace).fetch_error(task_id)["error"]
    assert not (module / "Say-x").exists()


def test_a_task_that_is_another_here_fails_with_the_reason(module: Path, namespace: str) -> None:
    scheduler = Scheduler(redis_url(), namespace)
    scheduler.add_task(worker="w", task_id="Say_old", family="Say", module="said", params={"word": "x"})
    bsched(module, "worker", "--burst", "--namespace", namespace, *QUICK)
    assert "another version" in scheduler.fetch_error("Say_old")["error"]


def test_a_worker_leaves_after_as_many_tasks_as_it_may_run(module: Path, namespace: str) -> None:
    for word in "abc":
        submitted(module, namespace, "Say", word)
    bsched(module, "worker", "--max-tasks", "2", "--processes", "1", "--namespace", namespace, *QUICK)
    assert len(list(module.glob("Say-*"))) == 2


@pytest.mark.parametrize("signals", [["SIGUSR1"], ["SIGTERM"], ["SIGTERM", "SIGTERM"]])
def test_signals_drain_a_worker_and_a_second_sigterm_ends_it(module: Path, namespace: str, signals: list[str]) -> None:
    submitted(module, namespace, "Sleeps", "z")
    process = start(module, "worker", "--processes", "1", "--namespace", namespace, *QUICK)
    until(lambda: (module / "sleeping").exists(), "the task runs")
    for name in signals:
        process.send_signal(getattr(signal, name))
        if len(signals) > 1:
            time.sleep(0.3)  # two at once would be one
    if len(signals) == 1:
        (module / "wake").touch()
    _out, err = process.communicate(timeout=30)
    assert (process.returncode, (module / "Sleeps-z").exists()) == ((130, False) if len(signals) > 1 else (0, True)), (
        err
    )


def test_ctrl_c_ends_a_run_without_a_trace(module: Path) -> None:
    process = start(module, "run", "said", "Sleeps", "--local-scheduler", "--workers", "2")
    until(lambda: (module / "sleeping").exists(), "the task runs")
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Interrupted" in err
    assert "Traceback" not in err, err
