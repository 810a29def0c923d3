"""Real programs before a server that says no: a wrong URL and a refused login end them at once, with the fix."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.programs import Ended, Program

pytestmark = pytest.mark.timeout(90)
LARGE = """
from broker_sched import LocalTarget, Task

class Small(Task):
    def output(self): return LocalTarget("small")
    def run(self): open("small", "w").close()

class Large(Task):
    text: str
    def output(self): return LocalTarget("large")
    def run(self): pass

class Both(Task):
    def requires(self): return [Large(text=33 * 2**20 * "x"), Small()]
    def output(self): return LocalTarget("both")
    def run(self): pass
"""
MODULE = "from broker_sched import Task\nclass One(Task):\n    def run(self): pass\n"


@contextlib.contextmanager
def answering(status: int) -> Iterator[str]:
    """The URL of a server that gives this answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(status)

        def log_message(self, *args: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "refuses the login (401): put user:password@ into the URL."),
        (403, "does not let this caller in (403)"),
        (404, "There is no scheduler at"),
    ],
)
@pytest.mark.parametrize(
    ("words", "code"),
    [(["run", "my", "One"], 40), (["submit", "my", "One"], 40), (["worker"], 1), (["wait", "s-1"], 1)],
)
def test_a_program_ends_at_once_and_says_what_to_change(
    tmp_path: Path, words: list[str], code: int, status: int, told: str
) -> None:
    (tmp_path / "my.py").write_text(MODULE)
    with answering(status) as url:
        where = ["--url" if words[0] == "wait" else "--scheduler-url", url]
        ended = Ended(Program(*words, *where, cwd=tmp_path))
    assert (ended.returncode, told in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", by_night(["run", "submit"], ["run"]))
def test_a_task_that_is_too_large_for_the_server_is_named_and_the_others_go_on(tmp_path: Path, command: str) -> None:
    (tmp_path / "my.py").write_text(LARGE)
    own = RedisProcess(tmp_path)
    server = ServerProcess("--redis", own.url).await_ready()
    try:
        ended = Ended(Program(command, "my", "Both", "--json", "--scheduler-url", server.url, cwd=tmp_path))
        assert ended.returncode == 35, ended.stderr[-3000:]
        (large,) = server.call("task_list", status="UNKNOWN")
        told = json.loads(ended.stdout)
        if command == "run":
            assert told["groups"]["scheduling_error"] == [large]
            assert len(told["groups"]["completed"]) == 1 and (tmp_path / "small").exists()
        else:
            assert (told["complete"], told["scheduled"]) == (False, 3)
            assert len(server.call("task_list", status="PENDING")) == 2
        assert f"{large} is not scheduled" in ended.stderr and "32 MB" in ended.stderr
        assert "Traceback" not in ended.stderr and len(ended.stderr) < 10_000
    finally:
        server.stop()
        own.kill()
