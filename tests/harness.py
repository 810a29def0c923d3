"""Real processes for tests: a Redis that can be killed, a `bsched server`, and plain HTTP to it."""

from __future__ import annotations

import http.client
import json
import queue
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote_plus, urlsplit

import redis

from tests.programs import Program, environment_with
from tests.redis_users import AS_USERS, for_server
from tests.servers import any_server, die_with_parent, free_port, until

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 20.0
FORM = "application/x-www-form-urlencoded"


class RedisProcess:
    """A Redis of our own on a fixed port, without persistence: killed, it comes back empty, but for its users."""

    def __init__(self, directory: Path, *arguments: str, password: str = "") -> None:
        self.port = free_port()
        self.url = f"redis://:{password}@127.0.0.1:{self.port}" if password else f"redis://127.0.0.1:{self.port}"
        self._command = [
            str(any_server()),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory)),
            *("--save", "", "--appendonly", "no", *arguments),
            *(("--requirepass", password) if password else ()),
        ]
        if AS_USERS and not password:
            users = directory / "users.acl"
            users.touch()
            self._command += ["--aclfile", str(users)]
        self.client: Any = redis.Redis.from_url(self.url, decode_responses=True)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
        until(self._answers, "Redis answers")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.client.close()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class ServerProcess:
    """A `bsched server` of our own."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.trusting: ssl.SSLContext | None = None  # with what requests to one that speaks TLS are made
        self.process = Program(
            "server", "--port", "0", *for_server(arguments), env=environment_with(**(environment or {}))
        )
        self.said: list[str] = []  # lines of its log and errors
        self._lines: queue.Queue[str] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._lines.put), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.said.append), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def await_ready(self) -> ServerProcess:
        """Wait for the line that says where it listens."""
        try:
            self.ready_line = self._lines.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            raise AssertionError(f"no server: {self.said}") from None
        self.url = self.ready_line.split("listening on ")[1].split(", namespace")[0]
        return self

    def request(
        self, verb: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request on a connection of its own."""
        connection = self._connection()
        try:
            connection.request(verb, path, body, dict(headers or {}))
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def post(self, method: str, data: str | bytes, content_type: str = FORM) -> Reply:
        """POST a form with this text in the field `data`."""
        body = b"data=" + quote_plus(data).encode()
        return self.request("POST", f"/api/{method}", body, {"Content-Type": content_type})

    def call(self, method: str, **arguments: Any) -> Any:
        """The response of a call that works."""
        reply = self.post(method, json.dumps(arguments))
        assert reply.status == 200, reply
        return reply.json()["response"]

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        code = self.process.wait(PATIENCE_SECONDS)
        for reader in self._readers:
            reader.join(PATIENCE_SECONDS)
        return code

    def _connection(self) -> http.client.HTTPConnection:
        if self.url.startswith("unix socket "):
            return _UnixConnection(self.url.removeprefix("unix socket "))
        parts = urlsplit(self.url)
        assert parts.hostname
        if parts.scheme == "https":
            return http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=PATIENCE_SECONDS, context=self.trusting
            )
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_SECONDS)

    def _read(self, stream: IO[str], take: Callable[[str], None]) -> None:
        for line in stream:
            take(line.rstrip("\n"))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.connect(self._path)
