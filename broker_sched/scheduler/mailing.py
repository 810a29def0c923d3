"""A scheduler's mails: about disabled tasks at once, or with batch_emails about all that fails, collected.

A thread of whoever serves the namespace sends them. What is to be mailed is in Redis, so nothing is lost when a process
ends, and of several each mail is sent by one.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from broker_sched.interrupts import start_beside
from broker_sched.mails.batches import batch_mails, disable_mails
from broker_sched.mails.message import Mail
from broker_sched.mails.settings import MailSettings
from broker_sched.mails.transport import NotSent, Transport, transport_for
from broker_sched.redis_backend.commands import Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations import mails as mail_operations
from broker_sched.scheduler.scheduler import Scheduler

log = logging.getLogger("bsched.mails")

TURN_SECONDS = 2.0  # between two looks at what is due
IDLE_SECONDS = 60.0  # the same while nobody is to get mails
LOCK_SECONDS = 90.0  # one server has the mails to itself so long, and longer by what a mail may take
MAX_TIMEOUTS = 4  # more than the time-outs that a mail may take
STOP_SECONDS = 5.0
WAITS_SECONDS = (15.0, 60.0, 300.0, 900.0)  # after the first failure to send, the second …; the last one from then on
MAX_AGE_SECONDS = 86400.0  # then a mail is given up
SECONDS_IN_MINUTE = 60


class Mailing:
    """Makes and sends the mails of a namespace, from start() to stop().

    drive: carries out the commands of an operation and returns its result; called by a thread of its own.
    Raises ConfigurationError for settings that can't be used.
    """

    def __init__(self, namespace: Namespace, settings: MailSettings, drive: Callable[[Commands[Any]], Any]) -> None:
        self._namespace = namespace
        self._settings = settings
        self._drive = drive
        self._holder = mail_operations.Holder(uuid.uuid4().hex, LOCK_SECONDS + MAX_TIMEOUTS * settings.smtp.timeout)
        self._transport: Transport = transport_for(settings)
        self._stopping = threading.Event()
        self._is_finishing = False
        self._thread = threading.Thread(target=self._work, name="mailing", daemon=True)
        self._trouble: str | None = None  # that was logged, and lasts
        self._failures = 0  # to send, in a row
        self._next_attempt = 0.0  # monotonic

    @classmethod
    def of(cls, scheduler: Scheduler, settings: MailSettings) -> Mailing:
        """Make the mailing of a scheduler that no server serves."""
        return cls(scheduler.namespace, settings, scheduler.drive)

    def start(self, at_once: bool = False) -> None:
        """Start the thread that makes and sends mails.

        at_once: what happens from now on is noted for the mails, even before the thread has begun.
        """
        if at_once:
            self._look()
        start_beside(self._thread)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End the thread; what waits is left to others, or to the next start.

        A mail that is being sent has so many seconds to end.
        """
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def finish(self, seconds: float) -> None:
        """End the thread, and send before that what is still being collected, as far as it can be sent in so many
        seconds."""
        self._is_finishing = True
        self.stop(seconds)
        if self._thread.is_alive() or self._trouble is not None or self._failures:
            log.error("Mails about failures were not sent within %g s.", seconds)

    def turn(self, is_last: bool = False) -> None:
        """Do what is due now. is_last: what is still being collected, too. Raises what `drive` raises."""
        interval = 0.0 if is_last else float(self._settings.batch_notifier.email_interval * SECONDS_IN_MINUTE)
        due: mail_operations.Due = self._drive(mail_operations.take_due_mails(self._namespace, self._holder, interval))
        outbox = [*due.outbox, *(self._posted(due) if due.notes else [])]
        if outbox and (is_last or time.monotonic() >= self._next_attempt):
            self._send(outbox)
        if outbox or due.notes:
            self._drive(mail_operations.give_up_turn(self._namespace, self._holder))

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._look())
        if self._is_finishing:
            self._look(is_last=True)

    def _look(self, is_last: bool = False) -> float:
        """Do what is due, whatever happens. Returns for how long to pause (s)."""
        pause = TURN_SECONDS
        try:
            if self._settings.email.receivers or self._drive(mail_operations.are_collected(self._namespace)):
                self.turn(is_last)
            else:
                pause = IDLE_SECONDS
        except Exception as error:  # Redis, or a mail that can't be read
            if self._trouble is None and not self._stopping.is_set():
                log.warning("Mails can't be looked after now, and are later: %s", error)
            self._trouble = str(error)
        else:
            if self._trouble is not None:
                log.info("Mails are looked after again.")
            self._trouble = None
        return pause

    def _posted(self, due: mail_operations.Due) -> list[Mail]:
        """The mails that the notes make, which are in the outbox now; none when another server has taken over."""
        noted = self._drive(mail_operations.read_notes(self._namespace, due.notes))
        namespace, settings = self._namespace.name, self._settings
        if due.batch_emails:
            mails = batch_mails(noted, due.unlisted, settings, namespace)
        else:  # and what was collected before batch_emails was turned off
            collected = [note for note in noted if not note.is_disabled]
            mails = disable_mails(noted, settings, namespace)
            mails += batch_mails(collected, due.unlisted, settings, namespace)
        is_posted = self._drive(
            mail_operations.post_mails(self._namespace, self._holder, due.notes, due.unlisted, mails)
        )
        return mails if is_posted else []

    def _send(self, outbox: list[Mail]) -> None:
        for mail in outbox:
            if self._must_stop() or not self._drive(mail_operations.begin_sending(self._namespace, self._holder, mail)):
                return
            try:
                self._sent(mail)
            except NotSent as error:
                is_over = error.is_final or time.time() > mail.made + MAX_AGE_SECONDS
                if is_over:
                    log.error("The mail %r to %s was not sent: %s", mail.subject, ", ".join(mail.recipients), error)
                    self._drive(mail_operations.end_sending(self._namespace, self._holder, mail))
                if error.is_about_this_mail and is_over:
                    continue
                self._wait_after(error)
                if not error.is_about_this_mail:
                    return  # the others would not be sent, either
            else:
                self._drive(mail_operations.end_sending(self._namespace, self._holder, mail))
                if self._failures:
                    log.info("Mails can be sent again.")
                self._failures = 0
                log.info("Sent the mail %r to %s", mail.subject, ", ".join(mail.recipients))

    def _sent(self, mail: Mail) -> None:
        try:
            self._transport.send(mail)
        except NotSent:
            raise
        except Exception as error:  # a mail that can't be written must not keep the others
            raise NotSent(f"{type(error).__name__}: {error}", is_final=True, is_about_this_mail=True) from error

    def _must_stop(self) -> bool:
        return self._stopping.is_set() and not self._is_finishing

    def _wait_after(self, error: NotSent) -> None:
        self._failures += 1
        wait = WAITS_SECONDS[min(self._failures, len(WAITS_SECONDS)) - 1]
        self._next_attempt = time.monotonic() + wait
        if self._failures == 1:
            log.warning("Mails could not be sent. They are kept, and tried again for a day: %s", error)
