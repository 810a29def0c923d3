"""Sends a mail: by SMTP, by the program sendmail, or by SendGrid's or Amazon's own libraries.

Nothing here waits for ever: a mail has a time limit as a whole, whatever the other side does.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import importlib.util
import os
import shutil
import smtplib
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from broker_sched.child_environment import child_environment
from broker_sched.errors import BrokerSchedError, ConfigurationError
from broker_sched.interrupts import start_beside
from broker_sched.mails.addresses import is_usable
from broker_sched.mails.message import Mail, subject_of
from broker_sched.mails.mime import email_message
from broker_sched.mails.settings import MailSettings, SmtpSettings

PACKAGES = {"sendgrid": ("sendgrid", "sendgrid"), "ses": ("boto3", "boto3"), "sns": ("boto3", "boto3")}
SENDMAIL_PLACES = ("/usr/sbin", "/usr/lib", "/sbin")  # where it stands when the PATH lacks them
TRIES_IN_A_LIMIT = 3  # a mail takes so many times the time-out at the most
WITHOUT_TIMEOUT_SECONDS = 60.0  # where the time-out is 0
SERVICE_SECONDS = 60.0  # a service's library is waited for so long
MAX_SNS_SUBJECT = 100
TEMPORARY = range(400, 500)  # SMTP replies


class NotSent(BrokerSchedError):
    """A mail could not be sent. The message holds no secret.

    is_final: trying again would not help. is_about_this_mail: others may well be sent.
    """

    def __init__(self, reason: str, is_final: bool = False, is_about_this_mail: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final
        self.is_about_this_mail = is_about_this_mail


class Transport(Protocol):
    """Sends a mail in some way; there is one class for each [email] method."""

    def send(self, mail: Mail) -> None:
        """Send the mail, and return once it is handed over. Raises NotSent."""


def transport_for(settings: MailSettings) -> Transport:
    """Make the transport that the settings name.

    Raises ConfigurationError when this machine lacks the program or package for it.
    """
    method = settings.email.method
    for address in (settings.sender, *settings.email.receivers):
        if not is_usable(address):
            raise ConfigurationError(f"[email] sender and receiver: {address!r} is no mail address.")
    if method == "smtp":
        return Smtp(settings)
    if method == "sendmail":
        return Sendmail(settings)
    module, package = PACKAGES[method]
    if importlib.util.find_spec(module) is None:
        raise ConfigurationError(
            f"[email] method is {method}, which needs the package {package}: pip install {package}, "
            "or use the method smtp."
        )
    made: dict[str, Callable[[MailSettings], Transport]] = {"sendgrid": Sendgrid, "ses": Ses, "sns": Sns}
    return made[method](settings)


class Smtp:
    """Sends mails to a mail server. Each mail has a connection of its own."""

    def __init__(self, settings: MailSettings) -> None:
        self._sender = settings.sender
        self._smtp = settings.smtp

    def send(self, mail: Mail) -> None:
        """Send the mail to the mail server.

        Raises NotSent, which names recipients that are refused while others are not.
        """
        try:
            with self._connection() as connection:
                refused = connection.send_message(
                    email_message(mail, self._sender), self._sender, list(mail.recipients)
                )
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise self._not_sent(_refusals(error.recipients), not any(c in TEMPORARY for c in codes), True) from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            text = f"{error.smtp_code} {_decoded(error.smtp_error)}"
            raise self._not_sent(text, error.smtp_code not in TEMPORARY, True) from None
        except smtplib.SMTPNotSupportedError as error:
            raise self._not_sent(str(error), is_final=True, is_about_this_mail=True) from None
        except smtplib.SMTPResponseException as error:  # the login, the greeting
            raise self._not_sent(f"{error.smtp_code} {_decoded(error.smtp_error)}") from None
        except ssl.SSLCertVerificationError as error:
            hint = "Name the CA's file in SSL_CERT_FILE, or set [smtp] verify = false."
            raise self._not_sent(f"its certificate can't be trusted: {error.verify_message}. {hint}") from None
        except (smtplib.SMTPException, OSError, EOFError) as error:
            raise self._not_sent(str(error) or type(error).__name__) from None
        if refused:
            raise self._not_sent(f"all but these got it: {_refusals(refused)}", True, True)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[smtplib.SMTP]:
        smtp = self._smtp
        seconds = smtp.timeout or WITHOUT_TIMEOUT_SECONDS / TRIES_IN_A_LIMIT
        cls: Any = smtplib.SMTP_SSL if smtp.ssl else smtplib.SMTP
        more = {"context": self._tls()} if smtp.ssl else {}
        connection: smtplib.SMTP = cls(local_hostname=smtp.local_hostname, timeout=seconds, **more)
        # SMTP_SSL and starttls() check the certificate against this name, which connect() does not note.
        connection._host = smtp.host  # type: ignore[attr-defined]
        with _limited(connection, TRIES_IN_A_LIMIT * seconds):
            try:
                code, text = connection.connect(smtp.host, smtp.port)
                if code != 220:
                    raise smtplib.SMTPConnectError(code, text)
                connection.ehlo_or_helo_if_needed()
                if not smtp.ssl and not smtp.no_tls and connection.has_extn("starttls"):
                    connection.starttls(context=self._tls())
                    connection.ehlo_or_helo_if_needed()
                if smtp.username and smtp.password:
                    connection.login(smtp.username, smtp.password)
                yield connection
                with contextlib.suppress(smtplib.SMTPException, OSError):  # it has the mail already
                    connection.quit()
            finally:
                connection.close()

    def _tls(self) -> ssl.SSLContext:
        """A password goes only to a server that can show who it is, unless the settings say otherwise."""
        smtp = self._smtp
        context = ssl.create_default_context()
        if not (smtp.verify if smtp.verify is not None else smtp.ssl or smtp.username is not None):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _not_sent(self, reason: str, is_final: bool = False, is_about_this_mail: bool = False) -> NotSent:
        port = f":{self._smtp.port}" if self._smtp.port else ""
        text = f"The mail server {self._smtp.host}{port}: {_without_secrets(reason, self._smtp)}"
        return NotSent(text, is_final, is_about_this_mail)


@contextlib.contextmanager
def _limited(connection: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """End the connection when the time is over: a server that sends a byte now and then never times out by itself."""

    def end() -> None:
        if connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(2)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Sendmail:
    """Sends mails by the program sendmail of this machine's own mail server."""

    def __init__(self, settings: MailSettings) -> None:
        self._sender = settings.sender
        self._seconds = TRIES_IN_A_LIMIT * settings.smtp.timeout or WITHOUT_TIMEOUT_SECONDS
        places = os.pathsep.join([os.environ.get("PATH", os.defpath), *SENDMAIL_PLACES])
        found = shutil.which("sendmail", path=places)
        if found is None:
            raise ConfigurationError("[email] method is sendmail, but there is no such program on the PATH.")
        self._program = found

    def send(self, mail: Mail) -> None:
        """Hand the mail to the program, and wait for its end. Raises NotSent."""
        command = [self._program, "-i", "-f", self._sender, "--", *mail.recipients]
        try:
            done = subprocess.run(
                command,
                input=email_message(mail, self._sender).as_bytes(),
                capture_output=True,
                timeout=self._seconds,
                env=child_environment(),
            )
        except subprocess.TimeoutExpired:
            raise NotSent(f"{self._program} has not ended within {self._seconds:g} s.") from None
        except OSError as error:
            raise NotSent(f"{self._program} can't be started: {error.strerror}.") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[-500:]
            raise NotSent(f"{self._program} ended with {done.returncode}: {said}", is_about_this_mail=True)


class Sendgrid:
    """Sends mails by SendGrid's library, which must be installed."""

    def __init__(self, settings: MailSettings) -> None:
        self._sender = settings.sender
        self._apikey = settings.sendgrid.apikey

    def send(self, mail: Mail) -> None:
        """Send the mail with one request to SendGrid. Raises NotSent."""
        sendgrid = importlib.import_module("sendgrid")  # here, since few have it
        made = sendgrid.Mail(from_email=self._sender, to_emails=list(mail.recipients), subject=subject_of(mail.subject))
        made.add_content(mail.body, "text/html" if mail.is_html else "text/plain")
        _asked("SendGrid", lambda: sendgrid.SendGridAPIClient(self._apikey).send(made), self._apikey)


class Ses:
    """Sends mails by Amazon SES; boto3 finds the login and the region, as everywhere."""

    def __init__(self, settings: MailSettings) -> None:
        self._sender = settings.sender

    def send(self, mail: Mail) -> None:
        """Send the mail with one request to Amazon SES. Raises NotSent."""
        boto3 = importlib.import_module("boto3")
        content = {
            "Source": self._sender,
            "Destinations": list(mail.recipients),
            "RawMessage": {"Data": email_message(mail, self._sender).as_string()},
        }
        _asked("Amazon SES", lambda: boto3.client("ses").send_raw_email(**content))


class Sns:
    """Publishes mails to a topic of Amazon SNS, whose ARN is the first recipient."""

    def __init__(self, settings: MailSettings) -> None:
        del settings  # a topic knows the rest

    def send(self, mail: Mail) -> None:
        """Publish the mail with one request to Amazon SNS. Raises NotSent."""
        subject = subject_of(mail.subject).encode("ascii", "replace").decode()
        if len(subject) > MAX_SNS_SUBJECT:
            subject = f"{subject[: MAX_SNS_SUBJECT - 3]}..."
        boto3 = importlib.import_module("boto3")
        content = {"Subject": subject, "Message": mail.body}
        _asked("Amazon SNS", lambda: boto3.resource("sns").Topic(mail.recipients[0]).publish(**content))


def _asked(service: str, request: Callable[[], object], *secrets: str) -> None:
    """Carry out a request by a library, for SERVICE_SECONDS at the most: some would wait for ever.

    Whatever it raises becomes NotSent, without the secrets.
    """
    raised: list[Exception] = []

    def carry_out() -> None:
        try:
            request()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=carry_out, name="mail service", daemon=True)
    start_beside(thread)
    thread.join(SERVICE_SECONDS)
    if thread.is_alive():
        raise NotSent(f"{service} has not answered within {SERVICE_SECONDS:g} s.")
    for error in raised:
        raise NotSent(f"{service}: {type(error).__name__}: {_hidden(str(error), secrets)}") from None


def _refusals(refused: Any) -> str:
    return "; ".join(f"{address}: {code} {_decoded(text)}" for address, (code, text) in refused.items())


def _decoded(text: bytes | str) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else text


def _without_secrets(text: str, smtp: SmtpSettings) -> str:
    """A mail server may answer with what it was sent, as it was sent."""
    if not smtp.password:
        return text
    plain = f"\0{smtp.username or ''}\0{smtp.password}"
    coded = [base64.b64encode(each.encode()).decode() for each in (smtp.password, plain)]
    return _hidden(text, (smtp.password, *coded))


def _hidden(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text
