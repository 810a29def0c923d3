"""The password of a user whom the URL names alone comes from the environment, or from a file."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from broker_sched import RemoteScheduler
from broker_sched.errors import ConfigurationError
from tests.client.script import Script
from tests.programs import Ended, Program, environment_with

OK = (200, b'{"response": {"paused": false}}')


def login_sent(server: Script) -> str | None:
    sent = server.seen[-1][1].get("authorization")
    return base64.b64decode(sent.removeprefix("Basic ")).decode() if sent else None


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("s3cr@t: é \n", encoding="utf-8")
    return path


def test_it_may_come_from_the_environment(script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSCHED_PASSWORD", "s3cr@t:1")
    server = script(OK)
    remote = RemoteScheduler(f"http://etl@127.0.0.1:{server.port}", attempts=1)
    remote.is_paused()
    assert login_sent(server) == "etl:s3cr@t:1"
    assert b"s3cr" not in pickle.dumps(remote) and "s3cr" not in repr(remote) + remote.url


def test_it_may_come_from_a_file(
    script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch, secret_file: Path
) -> None:
    monkeypatch.setenv("BSCHED_PASSWORD_FILE", str(secret_file))
    server = script(OK)
    RemoteScheduler(f"http://etl@127.0.0.1:{server.port}", attempts=1).is_paused()
    assert login_sent(server) == "etl:s3cr@t: é "


@pytest.mark.parametrize(("login", "sent"), [("", None), ("etl:own@", "etl:own"), ("etl:@", "etl:")])
def test_it_goes_to_no_url_without_a_user_and_before_none_that_has_one(
    script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch, login: str, sent: str | None
) -> None:
    monkeypatch.setenv("BSCHED_PASSWORD", "s3cr@t")
    server = script(OK)
    RemoteScheduler(f"http://{login}127.0.0.1:{server.port}", attempts=1).is_paused()
    assert login_sent(server) == sent


def test_a_file_that_cannot_be_read_is_told_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BSCHED_PASSWORD_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match=r"BSCHED_PASSWORD_FILE is .*nowhere"):
        RemoteScheduler("http://etl@127.0.0.1:1")


def test_two_of_them_are_one_too_many(monkeypatch: pytest.MonkeyPatch, secret_file: Path) -> None:
    monkeypatch.setenv("BSCHED_PASSWORD_FILE", str(secret_file))
    monkeypatch.setenv("BSCHED_PASSWORD", "x")
    with pytest.raises(ConfigurationError, match="both"):
        RemoteScheduler("http://etl@127.0.0.1:1")


def test_the_program_takes_it_too(script: Callable[..., Script], secret_file: Path) -> None:
    server = script(OK)
    environment = environment_with(BSCHED_PASSWORD_FILE=str(secret_file))
    done = Ended(Program("call", "--url", f"http://etl@127.0.0.1:{server.port}", "is_paused", env=environment))
    assert done.returncode == 0, done
    assert login_sent(server) == "etl:s3cr@t: é "
