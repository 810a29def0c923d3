"""The options of mails, by their names in luigi.cfg. Source: luigi.notifications, luigi.batch_notifier, 3.8.1."""

from __future__ import annotations

import dataclasses
import math
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from broker_sched.errors import ConfigurationError
from broker_sched.luigi_config import LuigiConfig
from broker_sched.mails.addresses import addresses_in
from broker_sched.truth_words import truth_of

METHODS = ("smtp", "sendmail", "sendgrid", "ses", "sns")
FORMATS = ("plain", "html", "none")
BATCH_MODES = ("unbatched_params", "family", "all")
CHOICES = {"method": METHODS, "format": FORMATS, "batch_mode": BATCH_MODES}
PORTS = 65535


def own_address() -> str:
    """Return the sender's address where none is given: broker_sched at this host."""
    return f"broker_sched@{socket.gethostname()}"


@dataclass(frozen=True)
class EmailSettings:
    """Whom mails go to, and what they look like: [email] of luigi.cfg. docs/mails.md has every option."""

    receiver: str = ""  # addresses, with commas between them; besides them, a task's owner_email gets mails about it
    sender: str = ""  # broker_sched@<this host> when empty
    method: str = "smtp"  # smtp, sendmail, sendgrid, ses; sns: the receiver is the ARN of a topic
    format: str = "plain"  # plain, html; none: no mails
    prefix: str = ""  # put before each subject
    force_send: bool = False  # send from a terminal, too
    traceback_max_length: int = 5000  # characters of an error in a mail; its middle is left out

    @property
    def receivers(self) -> list[str]:
        """The addresses that are named in `receiver`, each once."""
        return addresses_in(self.receiver)


@dataclass(frozen=True)
class SmtpSettings:
    """The mail server that the method smtp sends to: [smtp] of luigi.cfg."""

    host: str = "localhost"
    port: int = 0  # 0: 25, or with ssl 465
    local_hostname: str | None = None  # what this host calls itself; None: its full name
    timeout: float = 10.0  # seconds without an answer; a mail takes three times as long at the most
    ssl: bool = False  # TLS from the first byte on
    no_tls: bool = False  # no STARTTLS, though the mail server offers it
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    verify: bool | None = None  # not in Luigi: whether the certificate must be good; None: with ssl or a username


@dataclass(frozen=True)
class SendgridSettings:
    """The key that the method sendgrid needs: [sendgrid] of luigi.cfg."""

    apikey: str = field(default="", repr=False)


@dataclass(frozen=True)
class BatchSettings:
    """How a server with batch_emails collects failures into one mail: [batch_notifier] of luigi.cfg."""

    email_interval: int = 60  # minutes from the first failure to the mail
    batch_mode: str = "unbatched_params"  # tasks in one entry: same family and unbatched parameters; same family; each
    error_lines: int = 20  # of each error, the last ones; 0: all
    error_messages: int = 1  # different errors of each entry, the latest ones
    group_by_error_messages: bool = True  # entries with the same errors stand together


@dataclass(frozen=True)
class MailSettings:
    """All options of mails, as `Worker(mails=…)` takes them.

    Without it, a worker reads luigi.cfg and the environment.
    """

    email: EmailSettings = EmailSettings()
    smtp: SmtpSettings = SmtpSettings()
    sendgrid: SendgridSettings = SendgridSettings()
    batch_notifier: BatchSettings = BatchSettings()

    @property
    def sender(self) -> str:
        """The address that mails are sent from."""
        return self.email.sender or own_address()


# The sections; the last one has the name of luigi's documentation, and beside it that of luigi's code.
SECTIONS: dict[str, type] = {
    "email": EmailSettings,
    "smtp": SmtpSettings,
    "sendgrid": SendgridSettings,
    "batch_notifier": BatchSettings,
}
ALSO_CALLED = {"batch_notifier": "batch_email"}


def parse_settings(config: LuigiConfig, environment: Mapping[str, str] = os.environ) -> MailSettings:
    """Read the settings from luigi's configuration; the environment's BSCHED_<SECTION>_<OPTION> goes before them.

    Raises ConfigurationError, which names the file or the variable, the option and what is allowed, and no secret.
    """
    made = {}
    for section, cls in SECTIONS.items():
        values = {}
        for option in dataclasses.fields(cls):
            source, text = _find(config, environment, section, option.name)
            if text is not None:
                values[option.name] = _parsed(source, option, text)
        made[section] = cls(**values)
    settings = MailSettings(**made)
    _check(settings)
    return settings


def why_silent(settings: MailSettings) -> str | None:
    """Return why no mails are sent, as far as settings and terminal decide it; None when they are."""
    if settings.email.format == "none":
        return "[email] format is none"
    if not settings.email.force_send and sys.stdout is not None and sys.stdout.isatty():
        return "stdout is a terminal ([email] force_send = true sends all the same)"
    return None


def variable_of(section: str, option: str) -> str:
    """Return the name that an option of mails has in the environment."""
    return f"BSCHED_{section}_{option}".upper()


def _find(config: LuigiConfig, environment: Mapping[str, str], section: str, option: str) -> tuple[str, str | None]:
    """Where the option is set, and its text there; None where it is not."""
    variable = variable_of(section, option)
    if variable in environment:
        return variable, environment[variable]
    for name in (section, ALSO_CALLED.get(section, section)):
        text = config.section(name).get(option)
        if text is not None:
            return config.where(name, option), text
    return "", None


def _parsed(source: str, option: dataclasses.Field[Any], text: str) -> Any:
    kind = str(option.type)
    text = text.strip()
    if "None" in kind and text == "":
        return None
    if kind.startswith("bool"):
        return _truth(source, text)
    if kind in ("int", "float"):
        return _number(source, text, is_whole=kind == "int")
    if option.name in CHOICES and text not in CHOICES[option.name]:
        raise ConfigurationError(f"{source} is {text!r}; it must be one of {', '.join(CHOICES[option.name])}.")
    return text


def _truth(source: str, text: str) -> bool:
    try:
        return bool(text) and truth_of(text)
    except ValueError:
        raise ConfigurationError(f"{source} is {text!r}; it must be true or false.") from None


def _number(source: str, text: str, is_whole: bool) -> float:
    try:
        number: float = int(text) if is_whole else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise ConfigurationError(f"{source} is {text!r}; it must be a {'whole ' * is_whole}number, not negative.")
    return number


def _check(settings: MailSettings) -> None:
    if settings.smtp.port > PORTS:
        raise ConfigurationError(f"[smtp] port is {settings.smtp.port}; a port is at most {PORTS}.")
    if settings.email.method == "sendgrid" and settings.email.receiver and not settings.sendgrid.apikey:
        raise ConfigurationError("[email] method is sendgrid, which needs [sendgrid] apikey.")
