"""Real programs before a server that says no: a wrong URL and a refused login end them at once, with the fix."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.http.harness import ROOT

pytestmark = pytest.mark.timeout(90)
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
        ended = subprocess.run(
            [sys.executable, "-m", "bsched.main", *words, *where],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli")])},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (ended.returncode, told in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr
