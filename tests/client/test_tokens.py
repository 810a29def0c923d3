"""A token for a server: where it comes from, that a new one is taken, and that it goes nowhere else."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from broker_sched import LoginRefused, Refused, RemoteScheduler
from broker_sched.errors import ConfigurationError, RPCError
from tests.client.script import Script
from tests.programs import Ended, Program, environment_with

OK = (200, b'{"response": {"paused": false}}')
SECRET = "bst_s3cret-of-these-tests"


@pytest.fixture(autouse=True)
def without_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BSCHED_TOKEN", "BSCHED_TOKEN_FILE", "BSCHED_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def sent_to(server: Script, url: str = "http://127.0.0.1:{}", **options: Any) -> str | None:
    with RemoteScheduler(url.format(server.port), attempts=1, **options) as remote:
        remote.is_paused()
        assert SECRET not in repr(remote) + remote.url + str(vars(remote)["_proof"])
    return server.seen[-1][1].get("authorization")


def test_a_token_comes_from_an_argument_a_file_or_the_environment(
    script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server, file = script(OK), tmp_path / "token"
    file.write_text(f"{SECRET}1\n")
    assert sent_to(server) is None
    assert sent_to(server, token=SECRET) == f"Bearer {SECRET}"
    assert sent_to(server, token_file=file) == f"Bearer {SECRET}1"
    monkeypatch.setenv("BSCHED_TOKEN_FILE", str(file))
    assert sent_to(server) == f"Bearer {SECRET}1"
    assert sent_to(server, token=SECRET) == f"Bearer {SECRET}", "what is given goes before the environment"
    assert str(sent_to(server, "http://me:own@127.0.0.1:{}")).startswith("Basic "), "and so does the URL"
    monkeypatch.setenv("BSCHED_TOKEN", SECRET)
    with pytest.raises(ConfigurationError, match="BSCHED_TOKEN and BSCHED_TOKEN_FILE are both set"):
        RemoteScheduler()
    monkeypatch.delenv("BSCHED_TOKEN_FILE")
    assert sent_to(server) == f"Bearer {SECRET}"


def test_a_file_that_changes_is_read_again_and_one_that_goes_is_not_missed(
    script: Callable[..., Script], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server, file, new = script(OK), tmp_path / "token", tmp_path / "new"
    file.write_text("bst_1")
    remote = RemoteScheduler(f"http://127.0.0.1:{server.port}", attempts=1, token_file=file)

    def sent() -> str:
        remote.is_paused()
        return server.seen[-1][1]["authorization"]

    assert sent() == "Bearer bst_1"
    new.write_text("bst_2\n")
    os.replace(new, file)
    assert sent() == "Bearer bst_2"
    file.unlink()
    assert [sent(), sent()] == 2 * ["Bearer bst_2"]
    assert caplog.text.count("former token is used on") == 1 and "bst_" not in caplog.text
    file.write_text("bst_33")
    assert sent() == "Bearer bst_33"


def test_what_cannot_be_a_token_is_refused_without_showing_it(tmp_path: Path) -> None:
    for wrong in ("two words", "ümlaut", "a\r\nX-Injected: 1", ""):
        (tmp_path / "token").write_bytes(wrong.encode())
        for options in ({"token": wrong}, {"token_file": tmp_path / "token"}):
            with pytest.raises(ConfigurationError, match="can't be a token") as raised:
                RemoteScheduler(**options)  # type: ignore[arg-type]  # either is right
            assert not wrong or wrong not in str(raised.value)
    with pytest.raises(ConfigurationError, match="nowhere, which can't be read: No such file"):
        RemoteScheduler(token_file=tmp_path / "nowhere")
    for options in ({"url": "http://a:b@h", "token": SECRET}, {"token": SECRET, "token_file": "f"}):
        with pytest.raises(ConfigurationError, match="both given") as raised:
            RemoteScheduler(**options)  # type: ignore[arg-type]  # as above
        assert SECRET not in str(raised.value)


def test_a_token_from_the_environment_stays_out_of_a_pickle_and_a_given_one_comes_along(
    script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = script(OK)
    url = f"http://127.0.0.1:{server.port}"
    monkeypatch.setenv("BSCHED_TOKEN", SECRET)
    assert SECRET.encode() not in pickle.dumps(RemoteScheduler(url))
    monkeypatch.delenv("BSCHED_TOKEN")
    pickle.loads(pickle.dumps(RemoteScheduler(url, attempts=1, token=SECRET))).is_paused()
    assert server.seen[-1][1]["authorization"] == f"Bearer {SECRET}"


def test_a_redirect_takes_no_token_to_another_server(script: Callable[..., Script]) -> None:
    other = script(OK)

    class Redirect(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{other.port}/api/is_paused")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirect)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        with pytest.raises(Refused, match="redirects"):
            RemoteScheduler(f"http://127.0.0.1:{server.server_port}", attempts=1, token=SECRET).is_paused()
    finally:
        server.shutdown()
        server.server_close()
    assert other.seen == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((401, b""), "the token is wrong, or was revoked"),
        ((401, b'{"error": {"message": "This token has expired, 2026-01-01."}}'), "has expired, 2026-01-01"),
        ((403, b'{"error": {"message": "needs the role operator"}}'), "needs the role operator"),
    ],
)
def test_a_refused_token_is_told_with_what_to_do(
    script: Callable[..., Script], caplog: pytest.LogCaptureFixture, answer: tuple[int, bytes], told: str
) -> None:
    caplog.set_level(logging.DEBUG)
    remote = RemoteScheduler(f"http://127.0.0.1:{script(answer).port}", attempts=1, token=SECRET)
    with pytest.raises(LoginRefused, match=told) as raised:
        remote.is_paused()
    assert SECRET not in str(raised.value) + repr(raised.value.__cause__) + caplog.text


def test_who_is_to_wait_is_told_so_and_may_try_again(script: Callable[..., Script]) -> None:
    answer = (429, b'{"error": {"message": "Too many logins have failed from this address. Try again in 8 s."}}')
    remote = RemoteScheduler(f"http://127.0.0.1:{script(answer).port}", attempts=1, token=SECRET)
    with pytest.raises(RPCError, match=r"429.*Try again in 8 s") as raised:  # which a worker waits out, as an outage
        remote.is_paused()
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("how", ["BSCHED_TOKEN", "BSCHED_TOKEN_FILE", "--token-file"])
def test_a_command_takes_it_too_and_shows_it_nowhere(script: Callable[..., Script], tmp_path: Path, how: str) -> None:
    server, file = script((401, b"")), tmp_path / "token"
    file.write_text(SECRET)
    given = {"BSCHED_TOKEN": SECRET, "BSCHED_TOKEN_FILE": str(file)}
    option = ["--token-file", str(file)] if how == "--token-file" else []
    environment = environment_with(BSCHED_TRACE="1", **{n: v for n, v in given.items() if n == how})
    done = Ended(Program("status", "--url", f"http://127.0.0.1:{server.port}", *option, env=environment))
    assert done.returncode == 1 and "the token is wrong" in done.stderr, done
    assert SECRET not in done.stdout + done.stderr
    assert server.seen[-1][1]["authorization"] == f"Bearer {SECRET}"
