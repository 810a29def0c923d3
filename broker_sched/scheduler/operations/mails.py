"""What a server that sends mails asks of Redis. None of it is a method of the contract."""

from __future__ import annotations

import json
from typing import NamedTuple

from broker_sched.mails.message import Mail, mail_from
from broker_sched.mails.notes import Note, note_from
from broker_sched.redis_backend.commands import Argument, Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace

NOTES_AT_ONCE = 500


class Holder(NamedTuple):
    """A server that makes and sends mails, and for how long it has them to itself: longer than it takes to send one."""

    server: str
    seconds: float

    @property
    def milliseconds(self) -> str:
        """The time for which it has the mails to itself, as a script takes it."""
        return str(int(1000 * self.seconds))


class Due(NamedTuple):
    """The mails and notes that are to be dealt with now."""

    batch_emails: bool
    notes: int  # so many of the oldest are to be made into mails
    unlisted: int  # failures of which only the number was kept
    outbox: list[Mail]  # mails that wait to be sent, the oldest first


def are_collected(namespace: Namespace) -> Commands[bool]:
    """Return whether batch_emails is on, so that failures are collected. One read."""
    (text,) = yield Read([("HGET", namespace.key("config"), "batch_emails")])
    return bool(text == "1")


def take_due_mails(namespace: Namespace, holder: Holder, interval_seconds: float) -> Commands[Due]:
    """Return what is due, which this server then has to itself; nothing while another server has it. One script."""
    batch_emails, notes, unlisted, outbox = yield Call(
        "take_mails",
        server=holder.server,
        lock_ms=holder.milliseconds,
        interval_seconds=f"{interval_seconds:g}",
    )
    mails = sorted(map(mail_from, outbox), key=lambda mail: mail.made)
    return Due(bool(batch_emails), notes, unlisted, mails)


def read_notes(namespace: Namespace, count: int) -> Commands[list[Note]]:
    """Return the `count` oldest notes of what is to be mailed. Reads only."""
    found: list[Note] = []
    for start in range(0, count, NOTES_AT_ONCE):
        stop = min(start + NOTES_AT_ONCE, count) - 1
        (texts,) = yield Read([("LRANGE", namespace.key("mail:notes"), str(start), str(stop))])
        found.extend(note_from(json.loads(text)) for text in texts)
    return found


def post_mails(namespace: Namespace, holder: Holder, count: int, unlisted: int, mails: list[Mail]) -> Commands[bool]:
    """Put mails into the outbox in the place of the `count` oldest notes.

    Returns False when another server has taken over.
    """
    pairs: list[Argument] = [text for mail in mails for text in (mail.id, mail.as_json())]
    posted = yield Call(
        "post_mails", server=holder.server, note_count=str(count), unlisted_count=str(unlisted), mails=pairs
    )
    return bool(posted)


def begin_sending(namespace: Namespace, holder: Holder, mail: Mail) -> Commands[bool]:
    """Return whether the mail still waits, and this server may send it. One script."""
    return bool((yield _settle(holder, "begin", mail.id)))


def end_sending(namespace: Namespace, holder: Holder, mail: Mail) -> Commands[None]:
    """Take the mail out of the outbox, since it was sent or is given up. One script."""
    yield _settle(holder, "end", mail.id)


def give_up_turn(namespace: Namespace, holder: Holder) -> Commands[None]:
    """Let any server take what comes next, since this one has no more mails now. One script."""
    yield _settle(holder, "leave", "")


def _settle(holder: Holder, action: str, mail_id: str) -> Call:
    return Call("settle_mail", server=holder.server, lock_ms=holder.milliseconds, action=action, mail_id=mail_id)
