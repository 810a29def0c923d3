"""Sends mails beside whatever else is done: a queue of mails, and a thread that sends them."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque

from broker_sched.interrupts import start_beside
from broker_sched.mails.message import Mail
from broker_sched.mails.transport import NotSent, Transport

log = logging.getLogger("bsched.mails")

MAX_WAITING = 1000  # mails; of more, only their number is kept
WAITS_SECONDS = (2.0, 10.0, 30.0, 60.0)  # after the first failure, the second …; the last one from then on
MAX_AGE_SECONDS = 3600.0  # then a mail is given up
LAST_ATTEMPTS = 2  # while somebody waits for the end, a mail server that can't be reached is tried so often
LAST_WAIT_SECONDS = 0.5  # between these
AT_EXIT_SECONDS = 10.0  # for mails that wait when the program ends, and nobody has closed this


class Sender:
    """A thread that lives while mails wait.

    A mail that can't be sent is tried again for an hour, or until await_sending().
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._waiting: deque[Mail] = deque()  # the first one stays here until it is sent
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._is_closing = False
        self._failures = 0  # in a row
        self._reason = ""  # of the latest failure
        self._too_many = 0  # mails that were not kept

    def queue_mail(self, mail: Mail) -> None:
        """Have the mail sent soon.

        Returns at once; of more than MAX_WAITING mails that wait only the number is kept.
        """
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                self._too_many += 1
                if self._too_many == 1:
                    log.error("%d mails wait to be sent; more are not kept until some are.", MAX_WAITING)
                return
            self._waiting.append(mail)
            if self._thread is None:
                self._start()

    def await_sending(self, seconds: float) -> None:
        """Wait so many seconds until all is sent.

        What is not is given up, and logged. A later queue_mail() starts anew.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            while self._waiting and self._thread is not None and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            unsent = len(self._waiting) + self._too_many
            self._waiting.clear()
            self._too_many, self._is_closing = 0, False
        if unsent:
            reason = self._reason or f"the mail server did not take them within {seconds:g} s."
            log.error("%d mail(s) were not sent: %s", unsent, reason)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="mails", daemon=True)
        atexit.register(self._at_exit)
        start_beside(self._thread)

    def _at_exit(self) -> None:
        if os.getpid() == self._pid:  # not in a fork, where the thread does not run
            self.await_sending(AT_EXIT_SECONDS)

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._waiting or (self._is_closing and self._failures >= LAST_ATTEMPTS):
                    self._thread, self._failures = None, 0
                    atexit.unregister(self._at_exit)
                    self._changed.notify_all()
                    return
                mail = self._waiting[0]
            error = self._attempt(mail)
            with self._changed:
                if self._waiting and self._waiting[0] is mail:  # nobody has given it up meanwhile
                    self._after(mail, error)

    def _attempt(self, mail: Mail) -> NotSent | None:
        try:
            self._transport.send(mail)
        except NotSent as error:
            return error
        except Exception as error:  # whatever it is, the others are to be sent
            log.exception("The mail %r failed", mail.subject)
            return NotSent(f"{type(error).__name__}: {error}", is_final=True, is_about_this_mail=True)
        return None

    def _after(self, mail: Mail, error: NotSent | None) -> None:
        if error is None:
            if self._failures:
                log.info("Mails can be sent again.")
            self._failures, self._reason = 0, ""
            self._waiting.popleft()
            return
        if error.is_final or time.time() - mail.made > MAX_AGE_SECONDS:
            self._waiting.popleft()
            log.error("The mail %r was not sent: %s", mail.subject, error)
        elif error.is_about_this_mail:
            self._waiting.rotate(-1)  # the others need not wait for it
        if error.is_final and error.is_about_this_mail:
            return
        self._failures += 1
        if self._failures == 1 and not error.is_final:
            log.warning("A mail could not be sent, and is tried again: %s", error)
        self._reason = str(error)
        wait = WAITS_SECONDS[min(self._failures, len(WAITS_SECONDS)) - 1]
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0 and not self._is_closing:
            self._changed.wait(left)
        if self._is_closing and self._failures < LAST_ATTEMPTS:
            self._changed.wait(LAST_WAIT_SECONDS)
