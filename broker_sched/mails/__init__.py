"""Mails about tasks that failed: what is in them, whom they go to, and how they are sent."""

from __future__ import annotations

from broker_sched.mails.failures import FailureMails
from broker_sched.mails.settings import MailSettings

__all__ = ["FailureMails", "MailSettings"]
