"""One mail: plain values that can be kept in Redis, and the message that is sent for it."""

from __future__ import annotations

import dataclasses
import email.policy
import email.utils
import json
import time
import uuid
from dataclasses import dataclass, field
from email.message import EmailMessage

from broker_sched.mails.addresses import one_line

MAX_SUBJECT = 200  # characters


@dataclass(frozen=True)
class Mail:
    """A mail that is to be sent, and to whom.

    `id` makes its Message-ID, by which a copy that is sent again can be known.
    """

    recipients: tuple[str, ...]
    subject: str
    body: str
    is_html: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    made: float = field(default_factory=time.time)  # s

    def as_json(self) -> str:
        """Return the mail as JSON, which mail_from() reads."""
        return json.dumps(dataclasses.asdict(self))

    def message(self, sender: str) -> EmailMessage:
        """Make the message with its headers. Whatever the subject holds, it stays one line of them."""
        message = EmailMessage(email.policy.SMTP)
        message["Subject"] = subject_of(self.subject)
        message["From"] = sender
        message["To"] = ", ".join(self.recipients)
        message["Date"] = email.utils.formatdate(self.made, localtime=True)
        message["Message-ID"] = f"<{self.id}@{_domain(sender)}>"
        message["Auto-Submitted"] = "auto-generated"  # so that nobody's holiday notice answers
        message.set_content(without_surrogates(self.body), subtype="html" if self.is_html else "plain", charset="utf-8")
        return message


def mail_from(text: str) -> Mail:
    """Read a mail that Mail.as_json() wrote; fields of another version are left out."""
    found = json.loads(text)
    known = {each.name: found[each.name] for each in dataclasses.fields(Mail) if each.name in found}
    return Mail(**{**known, "recipients": tuple(known["recipients"])})


def subject_of(text: str, prefix: str = "") -> str:
    """Make a subject of a text: one line of at most MAX_SUBJECT characters, after the prefix."""
    line = " ".join(one_line(f"{prefix} {text}").split())
    return line if len(line) <= MAX_SUBJECT else f"{line[: MAX_SUBJECT - 1]}…"


def cut(text: str, length: int) -> str:
    """Return the text in at most `length` characters: its beginning and, more of that, its end; not its middle."""
    if len(text) <= length:
        return text
    note = f"\n… {len(text) - length:,} or more characters are left out here …\n"
    room = length - len(note)
    if room < 20:  # no room for a note, either
        return text[len(text) - length :]
    end = room - room // 4
    return f"{text[: room - end]}{note}{text[len(text) - end :]}"


def without_surrogates(text: str) -> str:
    """Return the text with a `?` for each character that UTF-8 can't carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _domain(sender: str) -> str:
    _, address = email.utils.parseaddr(sender)
    domain = address.rpartition("@")[2]
    return domain if domain.isascii() and domain else "localhost"
