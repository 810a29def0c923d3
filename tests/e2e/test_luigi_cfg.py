"""A real luigi.cfg: what luigi does with it, `bsched run`, `submit`, `worker` and `server` do, or they say so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_sched import Scheduler
from tests.conftest import running
from tests.e2e.with_luigi_cfg import PIPELINE, Run, made, namespace, run, started
from tests.harness import ServerProcess
from tests.programs import Ended, Program, environment_with
from tests.servers import free_port

__all__ = ["namespace", "run"]  # fixtures


@pytest.fixture
def server(namespace: str) -> Iterator[ServerProcess]:
    process = ServerProcess("--namespace", namespace, environment={"BSCHED_REDIS": running("redis8").url})
    yield process.await_ready()
    process.stop()


# Which scheduler


def dead() -> str:
    return f"http://127.0.0.1:{free_port()}/"


@pytest.mark.parametrize("words", [("run",), ("submit",)])
@pytest.mark.parametrize("how", ["url", "host and port"])
def test_a_configured_scheduler_that_is_away_is_an_error_and_no_other_takes_its_place(
    run: Run, tmp_path: Path, words: tuple[str, ...], how: str
) -> None:
    url = dead()
    address = f"default-scheduler-url = {url}"
    if how != "url":
        address = f"default_scheduler_host = 127.0.0.1\ndefault-scheduler-port = {url.split(':')[-1].strip('/')}"
    cfg = f"[core]\n{address}\nrpc-retry-attempts = 2\nrpc-retry-wait = 0\n"
    done = run("bsched", *words, "pipe", "Other", cfg=cfg)
    assert done.code == 3 and f"after 2 attempt(s) at {url.rstrip('/')}" in done.err, done
    assert made(tmp_path) == set(), "no task has run, and no private Redis has started"
    if words == ("run",):
        assert run("luigi", "--module", "pipe", "Other").code != 0 and made(tmp_path) == set()


def test_a_fleets_worker_works_for_the_configured_scheduler(run: Run, server: ServerProcess, namespace: str) -> None:
    cfg = f"[core]\nscheduler_url = {server.url}\nmodule = pipe\nworkers = 3\n"
    submitted = run("bsched", "submit", "Other", cfg=cfg)
    assert submitted.code == 0, submitted
    worker = run("bsched", "worker", "--burst")
    assert "runs up to 3 tasks" in worker.out and server.url in worker.out
    waited = run("bsched", "wait", submitted.out.strip())
    assert waited.code == 0, waited
    scheduler = Scheduler(running("redis8").url, namespace)
    assert len(scheduler.task_list("DONE")) == 1
    scheduler.close()


@pytest.mark.parametrize(
    "option", ["--scheduler-url", "--scheduler-host", "--redis", "--local-scheduler", "environment"]
)
def test_the_command_line_goes_before_the_environment_and_that_before_luigi_cfg(
    run: Run, server: ServerProcess, namespace: str, option: str
) -> None:
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    redis = running("redis8").url
    words = {
        "--scheduler-url": (option, server.url),
        "--scheduler-host": (option, host, "--scheduler-port", port),
        "--redis": (option, redis),
        "--local-scheduler": (option,),
        "environment": (),
    }[option]
    more = {"BSCHED_REDIS": redis} if option == "environment" else {}
    cfg = f"[core]\nscheduler-url = {dead()}\nlocal_scheduler = false\nrpc_retry_attempts = 1\n"
    done = run("bsched", "run", "pipe", "Other", *words, cfg=cfg, BSCHED_NAMESPACE=namespace, **more)
    assert done.code == 0, done
    assert ("is that of BSCHED_REDIS, and not the one of luigi.cfg, [core] scheduler-url" in done.err) == bool(more)
    scheduler = Scheduler(redis, namespace)
    assert len(scheduler.task_list("DONE")) == (option != "--local-scheduler")
    scheduler.close()


def test_a_local_scheduler_has_the_resources_and_options_of_luigi_cfg(run: Run, tmp_path: Path) -> None:
    cfg = "[core]\nlocal_scheduler = true\n[worker]\nkeep_alive = true\nwait_interval = 0.1\n"
    cfg += "[scheduler]\nretry_delay = 0.1\n[resources]\ndb = 2\n"
    done = run("bsched", "run", "pipe", "Two", cfg=cfg)
    assert done.code == 0 and "two" in made(tmp_path)
    assert "The scheduler's retry_delay is 0.1, from luigi.cfg, [scheduler] retry_delay." in done.err
    assert "The scheduler's resources.db is 2, from luigi.cfg, [resources] db." in done.err
    done = run("bsched", "run", "pipe", "FailsOnce", "--json")
    assert json.loads(done.out)["status"] == "SUCCESS_WITH_RETRY", done
    for name in ("two", "once", "failed"):
        (tmp_path / name).unlink()
    assert run("luigi", "--module", "pipe", "Two").code == 0 and "two" in made(tmp_path)
    assert run("luigi", "--module", "pipe", "FailsOnce").code == 0 and "once" in made(tmp_path)


def test_what_luigi_cfg_says_of_a_shared_scheduler_is_told_where_it_differs(run: Run, namespace: str) -> None:
    cfg = "[scheduler]\nretry_delay = 5\nretry_count = 999999999\n[resources]\ndb = 2\n"
    where = {"BSCHED_REDIS": running("redis8").url, "BSCHED_NAMESPACE": namespace}
    done = run("bsched", "run", "pipe", "Other", cfg=cfg, **where)
    assert "luigi.cfg, [scheduler] retry_delay is 5.0, but the namespace has 900.0." in done.err
    assert "bsched config set resources.db=2" in done.err and "retry_count is" not in done.err
    run("bsched", "config", "set", "retry_delay=5", "resources.db=2", **where)
    assert "but the namespace has" not in run("bsched", "run", "pipe", "Other", **where).err


# The other options


@pytest.mark.parametrize(
    ("cfg", "words", "code"),
    [
        ("[retcode]\ntask_failed = 7\n", (), 7),
        ("[retcode]\ntask-failed = 7\n", ("--retcode-task-failed", "8"), 8),
        ("[retcode]\ntask_failed = 7\n", ("--retcode", "task_failed=9"), 9),
        ("[core]\nworkers = 1\n", (), 30),
    ],
)
def test_exit_codes_are_those_of_luigi_cfg(run: Run, cfg: str, words: tuple[str, ...], code: int) -> None:
    done = run("bsched", "run", "pipe", "Fails", "--local-scheduler", *words, cfg=cfg)
    assert done.code == code, done
    if words and words[0] != "--retcode":
        assert run("luigi", "--module", "pipe", "Fails", "--local-scheduler", *words).code == code


def test_the_summary_is_as_long_as_luigi_cfg_says(run: Run, tmp_path: Path) -> None:
    cfg = "[resources]\ndb = 2\n[execution_summary]\nsummary_length = 1\n"
    done = run("bsched", "run", "pipe", "Many", "--local-scheduler", cfg=cfg)
    assert done.out.count("    - 1 ") == 1 and "    … and 3 more families\n" in done.out, done
    for name in ("two", "other", "sub-1-2024-01-01"):
        (tmp_path / name).unlink()
    words = ("--local-scheduler", "--execution-summary-summary-length", "3")
    done = run("bsched", "run", "pipe", "Many", *words)
    assert done.out.count("    - 1 ") == 3 and "    … and 1 more family\n" in done.out, done


LOGGING = """
[loggers]
keys = root
[handlers]
keys = file
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = file
[handler_file]
class = FileHandler
args = ("said.log",)
formatter = plain
[formatter_plain]
format = mine %(name)s %(message)s
"""
OF_LUIGIS_LOGGER = """
[logger_luigis]
qualname = luigi-interface
level = INFO
handlers = file
propagate = 0
"""
TABLE = """
[core]
local_scheduler = true
[logging]
version = 1
[logging.handlers.file]
class = "logging.FileHandler"
filename = "said.log"
[logging.root]
level = "INFO"
handlers = ["file"]
"""


@pytest.mark.parametrize("how", ["core", "option", "toml"])
def test_logging_is_configured_as_luigi_does_it(run: Run, tmp_path: Path, how: str) -> None:
    (tmp_path / "logging.conf").write_text(LOGGING)
    words = ("--logging-conf-file", "logging.conf") if how == "option" else ()
    more: dict[str, Any] = {"cfg": "[core]\nlocal_scheduler = true\n"}
    if how == "core":
        more["cfg"] += "logging_conf_file = logging.conf\n"
    if how == "toml":
        more = {"cfg": TABLE, "name": "luigi.toml", "LUIGI_CONFIG_PARSER": "toml"}
    done = run("bsched", "run", "pipe", "Report", *words, **more)
    said = (tmp_path / "said.log").read_text()
    assert done.code == 0 and "said by the task" in said and "running   Report" in said, done
    assert "said by the task" not in done.err and ("mine bsched.worker" in said) == (how != "toml")


@pytest.mark.parametrize("has_ours", [False, True])
def test_a_file_for_luigis_logger_is_for_our_worker_too_unless_it_names_ours(
    run: Run, tmp_path: Path, has_ours: bool
) -> None:
    conf = LOGGING.replace("level = INFO\nhandlers = file", "level = INFO\nhandlers =") + OF_LUIGIS_LOGGER
    conf = conf.replace("keys = root", "keys = root, luigis, ours" if has_ours else "keys = root, luigis")
    if has_ours:
        conf += "[logger_ours]\nqualname = bsched.worker\nlevel = ERROR\nhandlers =\n"
    (tmp_path / "logging.conf").write_text(conf)
    cfg = "[core]\nlocal_scheduler = true\nlogging_conf_file = logging.conf\n"
    assert run("bsched", "run", "pipe", "Report", cfg=cfg).code == 0
    said = (tmp_path / "said.log").read_text()
    assert "said by the task" in said and ("running   Report" in said) == (not has_ours)


@pytest.mark.parametrize(
    ("cfg", "words", "is_said", "is_told"),
    [
        ("", (), True, True),
        ("log_level = WARNING\n", (), False, False),
        ("log_level = WARNING\n", ("--log-level", "INFO"), True, True),
        ("no_configure_logging = true\n", (), False, False),
    ],
)
def test_the_log_level_is_that_of_luigi_cfg(
    run: Run, cfg: str, words: tuple[str, ...], is_said: bool, is_told: bool
) -> None:
    done = run("bsched", "run", "pipe", "Report", "--local-scheduler", *words, cfg=f"[core]\n{cfg}")
    assert ("said by the task" in done.err, "running   Report" in done.err) == (is_said, is_told), done.err


def test_parallel_scheduling_is_that_of_luigi_cfg(run: Run, tmp_path: Path) -> None:
    body = PIPELINE.replace("class Other(luigi.Task):", "class Other(luigi.Task):\n    asked = set()\n")
    body = body.replace(
        'return luigi.LocalTarget("other")',
        'open(f"asked-{os.getpid()}", "w").close(); return luigi.LocalTarget("other")',
    )
    (tmp_path / "pipe.py").write_text(body)
    run("bsched", "run", "pipe", "Other", "--local-scheduler")
    assert len(list(tmp_path.glob("asked-*"))) == 1
    (tmp_path / "other").unlink()
    cfg = "[core]\nparallel_scheduling = true\nparallel_scheduling_processes = 1\n"
    run("bsched", "run", "pipe", "Other", "--local-scheduler", cfg=cfg)
    assert len(list(tmp_path.glob("asked-*"))) == 3, "this process, and the one that was asked in"


# Parameters of other tasks and of Config classes


@pytest.mark.parametrize(
    "words",
    [
        ("Report", "--Sub-size", "7", "--settings-bucket", "b"),
        ("Report", "--Sub-size=7", "--Sub-date=2024-03-01", "--loud"),
        ("--Sub-size", "7", "Report"),
        ("Report", "--Report-loud"),
        ("Sub", "--size", "3", "--Sub-size", "4"),
        ("Sub", "--Sub-size", "4"),
        ("Report", "--settings-bucket", "100%${HOME}"),
        ("Report", "--settings-bucket", "", "--Sub-size", ""),
    ],
    ids=" ".join,
)
def test_parameters_of_other_tasks_and_config_classes_are_luigis(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    found = []
    for program in (("luigi",), ("bsched", "run")):
        done = run(*program, "--module", "pipe", "--local-scheduler", *words, cfg="[settings]\nbucket = cfg\n")
        assert done.code == 0, done
        found.append({name: (tmp_path / name).read_text() for name in made(tmp_path)})
        for name in found[-1]:
            (tmp_path / name).unlink()
    assert found[0] == found[1] and found[0]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_of_any_kind_knows_what_the_command_line_gave(run: Run, tmp_path: Path, method: str) -> None:
    words = ("--workers", "2", "--set", f"start_method={method}", "--Sub-size", "7", "--settings-bucket", "b")
    done = run("bsched", "run", "pipe", "Report", "--local-scheduler", "--parallel-scheduling", *words)
    assert done.code == 0 and (tmp_path / "sub-7-2024-01-01").read_text() == "b", done


def test_what_is_submitted_has_the_parameters_of_other_tasks_and_says_what_a_fleet_can_not_know(
    run: Run, tmp_path: Path, namespace: str
) -> None:
    where = {"BSCHED_REDIS": running("redis8").url, "BSCHED_NAMESPACE": namespace}
    done = run("bsched", "submit", "pipe", "Report", "--Sub-size", "7", "--settings-bucket", "b", **where)
    assert done.code == 0 and "Warning: what is given for settings holds while tasks are scheduled" in done.err, done
    assert "given for Sub" not in done.err
    run("bsched", "worker", "--burst", "--processes", "1", **where)
    assert (tmp_path / "sub-7-2024-01-01").read_text() == "none"


NATIVE = """
from broker_sched import LocalTarget, Task

class Sub(Task):
    size: int = 1
    def output(self): return LocalTarget(f"sub-{self.size}")
    def run(self): self.output().open("w").close()

class Report(Task):
    def requires(self): return Sub()
    def output(self): return LocalTarget("report")
    def run(self):
        assert Sub().size == 7
        self.output().open("w").close()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_native_tasks_take_parameters_of_others_too(run: Run, tmp_path: Path, method: str) -> None:
    (tmp_path / "native.py").write_text(NATIVE)
    words = ("--workers", "2", "--set", f"start_method={method}", "--Sub-size", "7")
    done = run("bsched", "run", "native", "Report", "--local-scheduler", *words)
    assert done.code == 0 and {"sub-7", "report"} <= made(tmp_path), done


WRONG = {
    ("--Sub-sise", "7"): "no option --Sub-sise. Did you mean --Sub-size?",
    ("--Sub-size", "many"): "--Sub-size 'many' can't be used",
    ("--settings-bukcet", "b"): "Did you mean --settings-bucket?",
    ("--worker-keep-alife",): "Did you mean --worker-keep-alive?",
    ("--worker-timeout", "soon"): "timeout is 'soon'",
    ("--scheduler-record-task-history",): "--scheduler-record-task-history is without effect: no task history",
    ("--scheduler-state-path", "x"): "--scheduler-state-path is without effect: Redis keeps the state",
    ("--retcode-task-failed", "256"): "the command line, [retcode] task_failed is 256",
    ("--lock-size", "2"): "flock(1)",
    ("--take-lock",): "flock(1)",
    ("--lock-pid-dir", "x"): "flock(1)",
    ("--scheduler-host", "a"): "Give one of",
}
WITHOUT_EFFECT_ON_SUBMIT = {
    ("--execution-summary-summary-length", "3"): "has no effect on bsched submit; it is for bsched run.",
    ("--batch-email-error-lines", "3"): "it is for bsched server and bsched run --local-scheduler.",
    ("--scheduler-retry-delay", "3"): "bsched config set retry_delay=3",
    ("--workers", "2"): "bsched submit only schedules",
    ("--assistant",): "bsched submit only schedules",
}
TAKEN = (
    ("--no-lock",),
    ("--worker-keep-alive", "--worker-wait-interval", "0.1"),
    ("--scheduler-retry-delay", "1.5"),
    ("--assistant",),
    ("--workers", "2", "--parallel-scheduling", "--parallel-scheduling-processes", "1"),
    ("--log-level", "CRITICAL"),
    ("--retcode-task-failed", "1", "--retcode-not-run", "2"),
)
HELPING = {
    ("-h",): "MODULE TASK [--name value]",
    ("pipe", "-h"): "MODULE TASK [--name value]",
    ("pipe", "Report", "-h"): "--loud  [default: False]",
    ("pipe", "Report", "--help"): "--loud  [default: False]",
    ("--module", "pipe", "Report", "--help-all"): "--Sub-size INT",
}
MANY = """
import json, os, sys
from click.testing import CliRunner
from bsched.main import cli
results = []
for number, words in enumerate(json.loads(sys.argv[1])):
    found = CliRunner().invoke(cli, [*words, "--namespace", f"of-{number}"])  # the schedulers are in this process
    results.append([found.exit_code, found.output])
    for name in ("report", "sub-1-2024-01-01"):
        if os.path.exists(name):
            os.unlink(name)
print(json.dumps(results))
"""


@pytest.fixture
def run_many(tmp_path: Path) -> Callable[[list[list[str]]], list[tuple[int, str]]]:
    """Run many commands, one after the other in one process, which takes a tenth of the time: (code, output) each."""
    (tmp_path / "pipe.py").write_text(PIPELINE)
    (tmp_path / "many.py").write_text(MANY)

    def running_them(commands: list[list[str]]) -> list[tuple[int, str]]:
        done = started(tmp_path, ("many", json.dumps(commands)), {})
        return [(code, output) for code, output in json.loads(done.out.splitlines()[-1])]

    return running_them


def test_an_option_that_can_not_be_taken_is_told_and_nothing_runs(run_many: Any, tmp_path: Path) -> None:
    results = run_many([["run", "pipe", "Report", "--local-scheduler", *words] for words in WRONG])
    more = ["--redis", running("redis8").url]
    results += run_many([["submit", "pipe", "Report", *more, *words] for words in WITHOUT_EFFECT_ON_SUBMIT])
    for (words, told), (code, output) in zip({**WRONG, **WITHOUT_EFFECT_ON_SUBMIT}.items(), results, strict=True):
        assert code == 2 and told in output, (words, output)
    assert made(tmp_path) == set()


NAMED_ALIKE = """
import luigi
class Alike(luigi.Task):
    namespace = luigi.Parameter(default="dev")
    json = luigi.BoolParameter()
    def output(self): return luigi.LocalTarget("alike")
    def run(self):
        with self.output().open("w") as file: file.write(f"{self.namespace} {self.json}")
"""


@pytest.mark.parametrize("words", [("--namespace", "prod"), ("--json",), ("--namespace=prod", "--param", "json=true")])
@pytest.mark.parametrize("command", ["run", "submit"])
def test_an_option_that_the_task_has_too_is_not_taken_from_it_silently(
    run: Run, tmp_path: Path, command: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "alike.py").write_text(NAMED_ALIKE)
    done = run("bsched", command, "alike", "Alike", "--redis", running("redis8").url, *words)
    name = words[0][2:].partition("=")[0]
    assert done.code == 2 and f"Give the parameter as --param {name}=VALUE" in done.err, done
    assert not (tmp_path / "alike").exists()


@pytest.mark.parametrize(
    "words", [("--param", "namespace=prod", "--param", "json=true"), ("--Alike-namespace", "prod")]
)
def test_beside_a_parameter_of_its_name_an_option_is_the_commands(
    run: Run, tmp_path: Path, namespace: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "alike.py").write_text(NAMED_ALIKE)
    done = run("bsched", "run", "alike", "Alike", "--local-scheduler", "--namespace", namespace, *words)
    assert done.code == 0, done
    assert (tmp_path / "alike").read_text() == f"prod {len(words) == 4}"


def test_luigis_own_options_are_taken(run_many: Any) -> None:
    results = run_many([["run", "--module", "pipe", "--local-scheduler", "Report", *words] for words in TAKEN])
    for words, (code, output) in zip(TAKEN, results):
        assert code == 0 and "1 Report(loud=False)" in output, (words, output)


@pytest.mark.parametrize("command", ["run", "submit"])
def test_help_is_given_wherever_it_is_asked_for(run_many: Any, command: str) -> None:
    for (words, told), (code, output) in zip(HELPING.items(), run_many([[command, *words] for words in HELPING])):
        assert code == 0 and told in output, (words, output)


def test_help_all_shows_no_password_of_luigi_cfg(run: Run) -> None:
    done = run("bsched", "run", "pipe", "Report", "--help-all", cfg="[smtp]\npassword = geheim\n")
    assert "--smtp-password" in done.out and "geheim" not in done.out + done.err


# The server


def told_by(server: ServerProcess) -> str:
    return "\n".join(server.said)


def test_a_server_takes_scheduler_and_resources_and_says_so(tmp_path: Path, namespace: str) -> None:
    cfg = tmp_path / "luigi.cfg"
    cfg.write_text("[scheduler]\nretry_delay = 5\nretry-count = 6\ndisable_persist = 7\n[resources]\ndb = 2\nio = 3\n")
    environment = {
        "LUIGI_CONFIG_PATH": str(cfg),
        "BSCHED_REDIS": running("redis8").url,
        "BSCHED_RETRY_COUNT": "8",
        "BSCHED_DISABLE_PERSIST": "8",
    }
    words = ("--namespace", namespace, "--set", "disable_persist=9", "--set", "resources.io=4")
    server = ServerProcess(*words, environment=environment).await_ready()
    scheduler = Scheduler(running("redis8").url, namespace)
    config = scheduler.config()
    limits = {each["name"]: each["num_total"] for each in scheduler.resource_list()}
    scheduler.close()
    server.stop()
    assert (config.retry_delay, config.retry_count, config.disable_persist) == (5, 8, 9)
    assert limits == {"db": 2, "io": 4}
    assert f"retry_delay = 5.0, from {cfg}, [scheduler] retry_delay" in told_by(server)
    assert f"resources.db = 2, from {cfg}, [resources] db" in told_by(server)
    assert "retry_count" not in told_by(server) and "resources.io" not in told_by(server)


def test_luigids_options_work_or_say_what_to_use(run: Run, tmp_path: Path, namespace: str) -> None:
    background = run("bsched", "server", "--background")
    assert background.code == 2 and "systemd" in background.err and "nohup" in background.err
    state = run("bsched", "server", "--state-path", "x")
    assert state.code == 2 and "Redis keeps the state" in state.err
    pidfile = tmp_path / "pid"
    words = ("--namespace", namespace, "--pidfile", str(pidfile), "--logdir", str(tmp_path), "--address", "127.0.0.1")
    server = ServerProcess(*words, environment={"BSCHED_REDIS": running("redis8").url}).await_ready()
    assert pidfile.read_text() == str(server.process.pid)
    second = run("bsched", "server", "--port", "0", "--pidfile", str(pidfile), BSCHED_REDIS=running("redis8").url)
    assert second.code == 1 and f"process {server.process.pid}" in second.err
    assert pidfile.read_text() == str(server.process.pid)
    server.call("pause")
    server.stop()
    assert not pidfile.exists() and (tmp_path / "bsched-server.log").exists()


def test_what_no_encoding_has_is_logged_to_a_file_with_escapes(tmp_path: Path) -> None:
    program = """if True:
    import logging, sys
    from broker_sched import luigi_config
    from bsched.logs import start_logging
    start_logging(luigi_config.read(), None, "info", directory=sys.argv[1])
    logging.getLogger("bsched").warning("no caf\\udce9.csv")
    """
    (tmp_path / "script.py").write_text(program)
    ran = Ended(Program(str(tmp_path), program=str(tmp_path / "script.py")))
    assert "Logging error" not in ran.stderr
    assert (tmp_path / "bsched-server.log").read_text().endswith("WARNING bsched: no caf\\udce9.csv\n")


def test_a_pidfile_that_a_killed_server_left_stops_nobody(tmp_path: Path, namespace: str) -> None:
    pidfile = tmp_path / "pid"
    for _ in range(2):
        words = ("--namespace", namespace, "--pidfile", str(pidfile))
        server = ServerProcess(*words, environment={"BSCHED_REDIS": running("redis8").url}).await_ready()
        server.process.kill()
        server.process.wait()
        assert pidfile.read_text() == str(server.process.pid)


# A worker made in Python


SCRIPT = """
{first}
import sys
from broker_sched import Scheduler, Worker
worker = Worker({arguments})
scheduler = worker._scheduler.scheduler
print(type(scheduler).__name__, getattr(scheduler, "url", ""), worker._config.timeout)
"""


@pytest.mark.parametrize(
    ("first", "arguments", "environment", "expected"),
    [
        ("import luigi", "", {}, "RemoteScheduler http://127.0.0.1:9 5.0"),
        ("import luigi", "timeout=6", {}, "RemoteScheduler http://127.0.0.1:9 6.0"),
        ("import luigi", "Scheduler('memory:')", {}, "Scheduler  5.0"),
        ("import luigi", "", {"BSCHED_REDIS": "memory:"}, "Scheduler  5.0"),
        ("", "", {"BSCHED_REDIS": "memory:"}, "Scheduler  0.0"),
    ],
)
def test_a_worker_beside_luigi_takes_what_luigi_cfg_says_and_others_do_not(
    tmp_path: Path, first: str, arguments: str, environment: dict[str, str], expected: str
) -> None:
    (tmp_path / "luigi.cfg").write_text("[core]\ndefault-scheduler-url = http://127.0.0.1:9/\n[worker]\ntimeout = 5\n")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(first=first, arguments=arguments))
    kept = {name: value for name, value in environment_with().items() if not name.startswith(("BSCHED", "LUIGI"))}
    done = Ended(Program(program=str(script), cwd=tmp_path, env={**kept, **environment}, is_quiet=True))
    assert done.stdout.strip() == expected.strip(), done
