"""A real mail server, a process of its own: keeps each mail that it takes in a file, and can misbehave.

    python -m tests.mails.mail_server --port 2525 --directory mails [--login user:password] [--certificate FILE] [--ssl]

--mode: take; refuse (no to every recipient); busy (not now); silent (takes connections, says nothing);
drip (a byte now and then, never a line); echo (answers a login with what it got).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import time
import uuid
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Keeper:
    """Writes each mail into a file: JSON of sender, recipients, login, TLS, the message as text."""

    def __init__(self, directory: Path, mode: str, has_tls: bool) -> None:
        self._directory = directory
        self._mode = mode
        self._has_tls = has_tls  # from the first byte on

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if self._mode == "refuse" or address.startswith("nobody"):
            return "550 5.1.1 no such user"
        if self._mode == "busy":
            return "451 4.7.1 not now"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "login": session.auth_data.decode() if session.authenticated else None,
            "tls": self._has_tls or session.ssl is not None,
            "message": content.decode("utf-8", "surrogateescape"),
        }
        name = f"{time.time_ns()}-{uuid.uuid4().hex}"
        part = self._directory / f"{name}.part"
        part.write_text(json.dumps(kept))
        part.rename(self._directory / f"{name}.json")
        return "250 OK"


async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mode: str) -> None:
    """Never say a whole line."""
    while mode == "drip":
        writer.write(b"2")
        await writer.drain()
        await asyncio.sleep(0.05)
    await reader.read()
    await asyncio.sleep(3600)


def smtp(arguments: argparse.Namespace) -> SMTP:
    """A session of the server."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if arguments.certificate else None
    if tls is not None:
        tls.load_cert_chain(arguments.certificate)

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        if f"{data.login.decode()}:{data.password.decode()}" == arguments.login:
            return AuthResult(success=True, auth_data=data.login)
        if arguments.mode == "echo":
            message = f"535 5.7.8 {data.login.decode()} with {data.password.decode()} may not"
            return AuthResult(success=False, handled=False, message=message)
        return AuthResult(success=False, handled=False)

    return SMTP(
        Keeper(arguments.directory, arguments.mode, arguments.ssl),
        hostname="mail.test",
        enable_SMTPUTF8=True,
        authenticator=authenticate if arguments.login else None,
        auth_required=bool(arguments.login),
        auth_require_tls=False,
        tls_context=None if arguments.ssl else tls,
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Until it is killed."""
    if arguments.mode in ("silent", "drip"):
        server = await asyncio.start_server(lambda r, w: misbehave(r, w, arguments.mode), "127.0.0.1", arguments.port)
    else:
        context = None
        if arguments.ssl:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(arguments.certificate)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: smtp(arguments), "127.0.0.1", arguments.port, ssl=context)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--mode", default="take")
    parser.add_argument("--login")
    parser.add_argument("--certificate")
    parser.add_argument("--ssl", action="store_true")
    asyncio.run(serve(parser.parse_args()))
