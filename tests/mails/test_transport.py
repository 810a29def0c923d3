"""Sending one mail, to mail servers of every temper."""

from __future__ import annotations

import dataclasses
import os
import stat
import string
import sys
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_sched.errors import ConfigurationError
from broker_sched.mails.message import Mail, cut, mail_from, subject_of
from broker_sched.mails.mime import email_message
from broker_sched.mails.settings import EmailSettings, MailSettings, SendgridSettings, SmtpSettings
from broker_sched.mails.transport import NotSent, transport_for
from tests.mails.conftest import StartMailServer
from tests.mails.mailbox import MailServer
from tests.nightly import by_night
from tests.servers import free_port

SECRET = "pa55-w0rd-of-ours"
MAIL = Mail(("ops@x.test", "tea@x.test"), "Zürich failed", "What happened:\nnothing — at all\n")


def settings_for(server: MailServer, **smtp: object) -> MailSettings:
    defaults = {"host": "127.0.0.1", "port": server.port, "timeout": 5.0}
    return MailSettings(
        EmailSettings(sender="luigi@x.test"),
        SmtpSettings(**{**defaults, **smtp}),  # type: ignore[arg-type]
    )


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """Files: of a server called localhost, and of who signed it."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "server.pem"), str(tmp_path / "ca.pem")


def test_a_mail_arrives_as_it_was_written(mail_server: MailServer) -> None:
    transport_for(settings_for(mail_server)).send(MAIL)
    (got,) = mail_server.mails
    assert (got.sender, got.recipients, got.subject) == ("luigi@x.test", list(MAIL.recipients), "Zürich failed")
    assert got.body == MAIL.body
    assert got.message["To"] == "ops@x.test, tea@x.test"
    assert got.message["Message-ID"] == f"<{MAIL.id}@x.test>"
    assert got.message.get_content_type() == "text/plain"


def test_a_login_is_made_over_tls_when_the_server_offers_it(
    start_mail_server: StartMailServer, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_mail_server("--login", f"me:{SECRET}", "--certificate", certificate[0])
    monkeypatch.setenv("SSL_CERT_FILE", certificate[1])
    transport_for(settings_for(server, host="localhost", username="me", password=SECRET)).send(MAIL)
    assert [(got.login, got.tls) for got in server.mails] == [("me", True)]


def test_tls_from_the_first_byte_on(
    start_mail_server: StartMailServer, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_mail_server("--ssl", "--certificate", certificate[0])
    monkeypatch.setenv("SSL_CERT_FILE", certificate[1])
    transport_for(settings_for(server, host="localhost", ssl=True)).send(MAIL)
    assert [got.tls for got in server.mails] == [True]


@pytest.mark.parametrize("starts_with_tls", [True, False])
def test_a_password_goes_to_no_server_that_cannot_show_who_it_is(
    start_mail_server: StartMailServer, certificate: tuple[str, str], starts_with_tls: bool
) -> None:
    more = ["--ssl"] if starts_with_tls else []
    server = start_mail_server("--login", f"me:{SECRET}", "--certificate", certificate[0], *more)
    login = {"host": "localhost", "username": "me", "password": SECRET, "ssl": starts_with_tls}
    with pytest.raises(NotSent, match=r"certificate can't be trusted.*SSL_CERT_FILE.*verify = false"):
        transport_for(settings_for(server, **login)).send(MAIL)
    assert server.mails == []
    transport_for(settings_for(server, **login, verify=False)).send(MAIL)
    assert [got.tls for got in server.mails] == [True]


def test_without_a_login_any_certificate_is_good_enough_as_with_luigi(
    start_mail_server: StartMailServer, certificate: tuple[str, str]
) -> None:
    server = start_mail_server("--certificate", certificate[0])
    transport_for(settings_for(server)).send(MAIL)
    transport_for(settings_for(server, no_tls=True)).send(MAIL)
    assert [got.tls for got in server.mails] == [True, False]


@pytest.mark.parametrize("mode", ["take", "echo"])
def test_a_refused_login_is_told_without_the_password(start_mail_server: StartMailServer, mode: str) -> None:
    server = start_mail_server("--login", "me:another", "--mode", mode)
    with pytest.raises(NotSent) as told:
        transport_for(settings_for(server, username="me", password=SECRET)).send(MAIL)
    assert "535" in str(told.value) and SECRET not in str(told.value)
    assert ("***" in str(told.value)) == (mode == "echo")
    assert SECRET not in repr(settings_for(server, username="me", password=SECRET))


def test_a_refused_recipient_is_named_and_the_others_get_it(mail_server: MailServer) -> None:
    mail = dataclasses.replace(MAIL, recipients=("nobody@x.test", "ops@x.test"))
    with pytest.raises(NotSent, match=r"nobody@x.test: 550 5.1.1 no such user") as told:
        transport_for(settings_for(mail_server)).send(mail)
    assert told.value.is_final and told.value.is_about_this_mail
    assert [got.recipients for got in mail_server.mails] == [["ops@x.test"]]


@pytest.mark.parametrize(("mode", "is_final"), [("refuse", True), ("busy", False)])
def test_no_for_ever_is_told_from_not_now(start_mail_server: StartMailServer, mode: str, is_final: bool) -> None:
    with pytest.raises(NotSent) as told:
        transport_for(settings_for(start_mail_server("--mode", mode))).send(MAIL)
    assert (told.value.is_final, told.value.is_about_this_mail) == (is_final, True)


@pytest.mark.parametrize("mode", ["silent", "drip"])
def test_a_server_that_hangs_costs_three_times_the_timeout_at_the_most(
    start_mail_server: StartMailServer, mode: str
) -> None:
    server = start_mail_server("--mode", mode)
    started = time.monotonic()
    with pytest.raises(NotSent) as told:
        transport_for(settings_for(server, timeout=0.5)).send(MAIL)
    assert time.monotonic() - started < 10
    assert not told.value.is_final and not told.value.is_about_this_mail


def test_a_server_that_is_not_there_is_told_by_name() -> None:
    port = free_port()
    nowhere = MailSettings(EmailSettings(sender="a@x.test"), SmtpSettings(host="127.0.0.1", port=port))
    with pytest.raises(NotSent, match=f"127.0.0.1:{port}: .*refused"):
        transport_for(nowhere).send(MAIL)


# sendmail, and the services


@pytest.fixture
def sendmail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that writes its arguments and stdin into files of this directory."""
    program = tmp_path / "sendmail"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys, time\nos.chdir({str(tmp_path)!r})\n"
        "open('arguments', 'w').write('\\n'.join(sys.argv[1:]))\nopen('mail', 'wb').write(sys.stdin.buffer.read())\n"
        "if os.path.exists('hang'): time.sleep(600)\n"
        "if os.path.exists('fail'): sys.exit('queue is full')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_sendmail_gets_the_mail_and_its_recipients(sendmail: Path) -> None:
    chosen = MailSettings(EmailSettings(sender="luigi@x.test", method="sendmail"), SmtpSettings(timeout=20.0))
    transport_for(chosen).send(MAIL)
    expected = ["-i", "-f", "luigi@x.test", "--", *MAIL.recipients]
    assert (sendmail / "arguments").read_text().splitlines() == expected
    assert b"From: luigi@x.test" in (sendmail / "mail").read_bytes()
    (sendmail / "fail").touch()
    with pytest.raises(NotSent, match=r"sendmail ended with 1: queue is full"):
        transport_for(chosen).send(MAIL)
    (sendmail / "hang").touch()
    hasty = dataclasses.replace(chosen, smtp=SmtpSettings(timeout=0.2))
    with pytest.raises(NotSent, match=r"has not ended within 0.6 s"):
        transport_for(hasty).send(MAIL)


def test_sendmail_that_is_not_there_is_found_out_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("broker_sched.mails.transport.SENDMAIL_PLACES", ())
    with pytest.raises(ConfigurationError, match="no such program"):
        transport_for(MailSettings(EmailSettings(method="sendmail")))


@pytest.mark.parametrize(("method", "package"), [("sendgrid", "sendgrid"), ("ses", "boto3"), ("sns", "boto3")])
def test_a_service_without_its_package_is_refused_by_the_packages_name(
    method: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    chosen = MailSettings(EmailSettings(method=method), sendgrid=SendgridSettings("key"))
    with pytest.raises(ConfigurationError, match=f"pip install {package}"):
        transport_for(chosen)


class SendgridMail:
    """Stands in for sendgrid.Mail."""

    def __init__(self, **arguments: object) -> None:
        assert arguments["to_emails"] == ["ops@x.test", "tea@x.test"]

    def add_content(self, content: str, mime: str) -> None:
        assert (content, mime) == (MAIL.body, "text/plain")


def with_sendgrid(monkeypatch: pytest.MonkeyPatch, send: Callable[[str], None]) -> MailSettings:
    """As if the package were there; its client calls send(key)."""

    class Client:
        def __init__(self, key: str) -> None:
            self.send = lambda mail: send(key)

    fake = types.ModuleType("sendgrid")
    fake.__dict__.update(SendGridAPIClient=Client, Mail=SendgridMail, __spec__=types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "sendgrid", fake)
    return MailSettings(EmailSettings(method="sendgrid"), sendgrid=SendgridSettings(SECRET))


def test_a_services_error_is_told_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(key: str) -> None:
        raise RuntimeError(f"401 for {key}")

    chosen = with_sendgrid(monkeypatch, refuse)
    with pytest.raises(NotSent, match=r"SendGrid: RuntimeError: 401 for \*\*\*"):
        transport_for(chosen).send(MAIL)
    assert SECRET not in repr(chosen)


def test_a_service_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_sched.mails.transport.SERVICE_SECONDS", 0.2)
    answer = threading.Event()
    chosen = with_sendgrid(monkeypatch, lambda key: answer.wait(60) and None)
    with pytest.raises(NotSent, match=r"SendGrid has not answered within 0.2 s"):
        transport_for(chosen).send(MAIL)
    answer.set()


# The message


@settings(max_examples=by_night(300, 60))
@given(
    st.text(max_size=300),
    st.text(alphabet=st.sampled_from(string.ascii_letters + "\r\n\x0b\x85\u2028\ud800 :"), max_size=80),
)
def test_no_text_makes_a_header_of_its_own(body: str, subject: str) -> None:
    mail = Mail(("ops@x.test",), f"T{subject}\nBcc: thief@x.test\r\n\r\nX", body)
    raw = email_message(mail, "luigi@x.test").as_bytes()
    head = raw.split(b"\r\n\r\n", 1)[0]
    names = [line.split(b":")[0].lower() for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    known = b"subject from to date message-id auto-submitted content-type content-transfer-encoding mime-version"
    assert sorted(names) == sorted(known.split())
    assert mail_from(mail.as_json()) == mail


@given(st.text(max_size=200), st.integers(0, 250))
def test_a_text_is_cut_to_its_length_and_keeps_its_end(text: str, length: int) -> None:
    shorter = cut(text, length)
    assert len(shorter) <= length or shorter == text
    assert shorter == text if len(text) <= length else text.endswith(shorter[-min(length, 10) :] if length else "")


@given(st.text(max_size=500), st.text(max_size=30))
def test_a_subject_is_one_short_line(text: str, prefix: str) -> None:
    subject = subject_of(text, prefix)
    assert len(subject.splitlines()) <= 1 and len(subject) <= 200


@pytest.mark.parametrize("address", ["a@x\nBcc: b@x", "-oQ/tmp@x", "a\x00@x"])
def test_a_sender_that_is_no_address_is_refused(address: str) -> None:
    for email in (EmailSettings(sender=address), EmailSettings(receiver=f"ops@x.test,{address}")):
        with pytest.raises(ConfigurationError, match="no mail address"):
            transport_for(MailSettings(email))
