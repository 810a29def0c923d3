"""Mail servers, and what a test's environment must not have from whoever runs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mails.mailbox import MailServer
from tests.worker.conftest import luigid_url

__all__ = ["luigid_url"]

StartMailServer = Callable[..., MailServer]


@pytest.fixture(autouse=True)
def no_mail_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("BSCHED_EMAIL_", "BSCHED_SMTP_", "BSCHED_SENDGRID_", "BSCHED_BATCH_NOTIFIER_", "LUIGI_")):
            monkeypatch.delenv(name)


@pytest.fixture
def start_mail_server(tmp_path: Path) -> Iterator[StartMailServer]:
    """start_mail_server("--mode", "silent")."""
    started: list[MailServer] = []

    def start(*arguments: str, port: int | None = None) -> MailServer:
        directory = started[0].directory if port else tmp_path / f"mails{len(started)}"
        started.append(MailServer(directory, *arguments, port=port))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def mail_server(start_mail_server: StartMailServer) -> MailServer:
    return start_mail_server()
