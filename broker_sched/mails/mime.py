"""The message that is sent for a mail: headers and body, as mail servers take them."""

from __future__ import annotations

import email.policy
import email.utils
from email.message import EmailMessage

from broker_sched.mails.message import Mail, subject_of, without_surrogates


def email_message(mail: Mail, sender: str) -> EmailMessage:
    """Make the message with its headers. Whatever the subject holds, it stays one line of them."""
    message = EmailMessage(email.policy.SMTP)
    message["Subject"] = subject_of(mail.subject)
    message["From"] = sender
    message["To"] = ", ".join(mail.recipients)
    message["Date"] = email.utils.formatdate(mail.made, localtime=True)
    message["Message-ID"] = f"<{mail.id}@{_domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"  # so that nobody's holiday notice answers
    message.set_content(without_surrogates(mail.body), subtype="html" if mail.is_html else "plain", charset="utf-8")
    return message


def _domain(sender: str) -> str:
    _, address = email.utils.parseaddr(sender)
    domain = address.rpartition("@")[2]
    return domain if domain.isascii() and domain else "localhost"
