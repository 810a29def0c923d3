"""The mails of a scheduler inside this process, which no server sends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import broker_sched
from broker_sched.mails.settings import MailSettings, why_silent
from broker_sched.worker.failure_mails import LAST_SECONDS


@contextlib.contextmanager
def mails_of_local(scheduler: broker_sched.Scheduler, is_local: bool, settings: MailSettings) -> Iterator[None]:
    """Send a local scheduler's mails meanwhile, and at the end those still being collected.

    Nothing is done for a scheduler that is not local: a server sends its mails.
    """
    if not is_local or why_silent(settings):
        yield
        return
    from broker_sched.scheduler.mailing import Mailing  # here: slow to import, and seldom wanted

    mailing = Mailing.of(scheduler, settings)
    mailing.start(at_once=True)
    try:
        yield
    finally:
        mailing.finish(LAST_SECONDS)
