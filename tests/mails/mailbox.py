"""Starts the mail server of mail_server.py, and reads what it got."""

from __future__ import annotations

import email
import email.policy
import json
import socket
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

from tests.programs import DEVNULL, Program
from tests.servers import free_port, until

ROOT = Path(__file__).resolve().parents[2]


class Got(NamedTuple):
    """A mail as it came in."""

    sender: str
    recipients: list[str]
    login: str | None
    tls: bool
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def body(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n")


class MailServer:
    """A process. `mails` are those that it has taken, in their order."""

    def __init__(self, directory: Path, *arguments: str, port: int | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = port or free_port()
        words = ("--port", str(self.port), "--directory", str(directory), *arguments)
        self._process = Program(*words, program="tests.mails.mail_server", stdout=DEVNULL)
        until(self._listens, "the mail server listens")

    def options(self, receiver: str = "ops@x.test", **more: Any) -> dict[str, dict[str, str]]:
        """Sections of a configuration that has mails sent here."""
        smtp = {"host": "127.0.0.1", "port": str(self.port), **more}
        return {"email": {"receiver": receiver, "sender": "luigi@x.test"}, "smtp": smtp}

    def environment(self, receiver: str = "ops@x.test", **more: Any) -> dict[str, str]:
        """The same as variables."""
        return {
            f"BSCHED_{section}_{name}".upper(): str(value)
            for section, options in self.options(receiver, **more).items()
            for name, value in options.items()
        }

    @property
    def mails(self) -> list[Got]:
        found = []
        for path in sorted(self.directory.glob("*.json")):
            kept = json.loads(path.read_text())
            raw = kept["message"].encode("utf-8", "surrogateescape")
            message = email.message_from_bytes(raw, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            found.append(Got(kept["from"], kept["to"], kept["login"], kept["tls"], message))
        return found

    def until_mails(self, count: int) -> list[Got]:
        """Wait until so many have come."""
        until(lambda: len(self.mails) >= count, f"{count} mails have come")
        return self.mails

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listens(self) -> bool:
        assert self._process.poll() is None, "the mail server has ended"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
