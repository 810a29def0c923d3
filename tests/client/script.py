"""An HTTP server for tests that answers each request as it was given."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

GZIP = b"\x1f\x8b"


class Script:
    """An HTTP server that gives these answers in turn, the last one for ever; None hangs up in the middle."""

    def __init__(self, *answers: tuple[int, bytes] | None) -> None:
        self.seen: list[tuple[str, dict[str, str], Any]] = []  # path, headers, data
        answering = list(answers)
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                is_json = self.headers["Content-Type"] == "application/json"
                data = json.loads(body if is_json else parse_qs(body)["data"][0])
                script.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, data))
                answer = answering.pop(0) if len(answering) > 1 else answering[0]
                if answer is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(answer[0])
                if answer[1].startswith(GZIP):
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(answer[1])))
                self.end_headers()
                self.wfile.write(answer[1])

            def log_message(self, *args: Any) -> None:
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
