"""`bsched worker --executor rq`: its options, and what is said when they can't be used."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker_sched.worker.executors.rq.failure_reasons import explain
from bsched.main import cli
from tests.servers import free_port

RQ = ("--executor", "rq")


def worker(*words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["worker", "--burst", *words], env={"BSCHED_REDIS": None, "BSCHED_RQ_REDIS": None})


@pytest.mark.parametrize("option", ["--rq-queue", "--rq-redis"])
def test_options_about_rq_need_the_executor(option: str) -> None:
    result = worker(option, "redis://host")
    assert result.exit_code == 2 and f"{option} is about RQ: give --executor rq with it." in result.output


@pytest.mark.parametrize(
    "where",
    [
        ("--local-scheduler",),
        ("--redis", "memory:"),
        ("--redis", "redis+cluster://a:1"),
        ("--scheduler-url", "http://a"),
        (),
    ],
    ids=" ".join,
)
def test_without_a_redis_that_rq_can_use_the_option_is_named(where: tuple[str, ...]) -> None:
    result = worker(*RQ, *where)
    assert result.exit_code == 2 and "--rq-redis redis://host" in result.output


@pytest.mark.parametrize("url", ["memory:", "redis+cluster://me:secret@a:1", "http://me:secret@a"])
def test_a_url_that_rq_can_not_use_is_refused_without_its_password(url: str) -> None:
    result = worker(*RQ, "--scheduler-url", "http://a", "--rq-redis", url)
    assert result.exit_code == 2 and "RQ can't use the Redis" in result.output
    assert "secret" not in result.output


def test_a_redis_that_does_not_answer_is_named_without_its_password() -> None:
    port = free_port()
    result = worker(*RQ, "--scheduler-url", "http://a", "--rq-redis", f"redis://me:secret@127.0.0.1:{port}")
    assert result.exit_code == 3 and f"127.0.0.1:{port}" in result.output
    assert "secret" not in result.output


def test_without_rq_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_rq(name: str, *more: Any) -> Any:
        if name == "rq":
            raise ModuleNotFoundError("No module named 'rq'", name="rq")
        return real(name, *more)

    for name in [each for each in sys.modules if each.startswith("broker_sched.worker.executors.rq")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_rq)
    result = worker(*RQ)
    assert result.exit_code == 2 and "pip install 'broker-sched[rq]'" in result.output


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        ("Work-horse terminated unexpectedly; waitpid returned 11 (signal 11); ", "work-horse crashed (SIGSEGV"),
        ("Work-horse terminated unexpectedly; waitpid returned 10 (signal 10); ", "was ended by signal 10"),
        ("Work-horse terminated unexpectedly; waitpid returned 768; ", "exited with code 3 before"),
        ("Traceback\nModuleNotFoundError: No module named 'broker_sched'", "Is broker-sched[rq] installed there"),
        ("Traceback\nValueError: Invalid attribute name: broker_sched.worker.executors.rq.job.run_job", "same version"),
        ("Traceback\nbroker_sched.errors.Unreachable: nobody answers", "failed on host: broker_sched.errors"),
        ("Traceback\nMemoryError: none left", "failed on host: MemoryError: none left"),
        ("", "was stopped through RQ"),
    ],
)
def test_why_a_job_failed_is_said_in_a_sentence(trace: str, said: str) -> None:
    assert said in explain(trace, "host")[0]
