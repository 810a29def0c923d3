"""A worker's mails, one for each task that failed or could not be scheduled. Source: luigi.worker.Worker, 3.8.1."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from broker_sched import luigi_config
from broker_sched.interrupts import open_in_whole
from broker_sched.mails.addresses import addresses_in, is_usable
from broker_sched.mails.message import Mail, cut, subject_of
from broker_sched.mails.settings import MailSettings, parse_settings, why_silent
from broker_sched.mails.texts import MAX_NAME, Section, how_to_see_more, public_name, rendered
from broker_sched.tasks.protocol import TaskLike, owners_of
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.run_task import is_external

if TYPE_CHECKING:
    from broker_sched.mails.sending import Sender

log = logging.getLogger("bsched.mails")

LAST_SECONDS = 20.0  # mails that wait when a worker's run() ends are waited for so long
HURRIED_SECONDS = 5.0  # the same when somebody wants the worker to end


class FailureMails:
    """Mails about a worker's tasks, to the receiver of the settings and to each task's owner_email.

    Nothing here delays whoever tells of a failure: another thread sends.
    config: of the worker: its send_failure_email. url: of the server, for the command that shows more.
    Raises ConfigurationError for settings that can't be used.
    """

    def __init__(self, settings: MailSettings, worker_id: str, config: WorkerConfig, url: str | None = None) -> None:
        self._settings = settings
        self._worker_id = worker_id
        self._config = config
        self._url = url
        self._host = socket.gethostname()
        self._silent = why_silent(settings)
        self._is_said = False
        self._warned: set[str] = set()  # owners that are no addresses
        self._sender = None if self._silent else _sender(settings)

    @classmethod
    def of(cls, settings: MailSettings | None, worker_id: str, config: WorkerConfig, scheduler: Any) -> FailureMails:
        """Make the mails of a worker. settings: None for those of luigi's configuration and the environment."""
        url = getattr(scheduler, "url", None)  # of a RemoteScheduler, without a login
        settings = settings or parse_settings(luigi_config.read())
        return cls(settings, worker_id, config, url if isinstance(url, str) else None)

    def failed(self, task: TaskLike, expl: str) -> None:
        """Mail that a task failed where it ran. expl: JSON of what on_failure returned, or the reason.

        Luigi: an external task that is asked again and again does not count.
        """
        if self._config.send_failure_email and not (self._config.retry_external_tasks and is_external(task)):
            self._mail(task, "failed", "It failed while it ran, or was ended.", _text_of(expl), is_known=True)

    def not_scheduled(self, task: TaskLike, trace: str) -> None:
        """Mail that complete() or deps() of a task raised, or that the scheduler refuses it.

        trace: the stack trace or reason.
        """
        if self._config.send_failure_email:
            what = "It was not scheduled, and what it needs may not have been."
            self._mail(task, "could not be scheduled", what, trace, is_known=False)

    def broke(self, task: TaskLike, trace: str) -> None:
        """Mail that scheduling ended with an error that is not the task's own.

        Luigi: sent whatever send_failure_email is.
        """
        what = "Scheduling ended with this error. What it needs may not have been scheduled."
        self._mail(task, "broke scheduling", what, trace, is_known=False)

    def not_loaded(self, family: str, task_ids: Sequence[str], reason: str) -> None:
        """Mail that tasks of other workers were handed out that can't be made here.

        Luigi: sent whatever send_failure_email is.
        """
        recipients = self._usable(self._settings.email.receivers, family)
        if recipients and self._may_send(recipients):
            about = (*(("Id", task_id) for task_id in task_ids), *self._where())
            what = f"{family} can't be loaded, and failed"
            sections = [Section(what), Section(rows=about), Section("Error", text=self._cut(reason))]
            self._put(recipients, f"{what} on {self._host}", sections)

    @open_in_whole
    def await_sending(self, is_hurried: bool = False) -> None:
        """Wait for a while until all mails are sent, and log those that are not.

        is_hurried: somebody wants the worker to end.
        """
        if self._sender is not None:
            self._sender.await_sending(HURRIED_SECONDS if is_hurried else LAST_SECONDS)

    def _mail(self, task: TaskLike, what: str, headline: str, error: str, is_known: bool) -> None:
        try:
            found = addresses_in([*self._settings.email.receivers, *owners_of(task)])
            recipients = self._usable(found, task.task_family)
            if recipients and self._may_send(recipients):
                name = public_name(task)
                sections = self._sections(task, f"{name} {what}", headline, error, is_known)
                self._put(recipients, f"{name} {what} on {self._host}", sections)
        except Exception as problem:  # the user's owner_email, or a parameter that can't be shown: no reason to stop
            log.error("No mail about %s: %s: %s", task.task_id, type(problem).__name__, problem)

    def _may_send(self, recipients: list[str]) -> bool:
        if self._sender is None and not self._is_said:
            self._is_said = True
            log.info("No mails about failures are sent to %s: %s.", ", ".join(recipients), self._silent)
        return self._sender is not None

    def _usable(self, addresses: Iterable[str], family: str) -> list[str]:
        usable = []
        for address in addresses:
            if is_usable(address):
                usable.append(address)
            elif address not in self._warned:
                self._warned.add(address)
                log.warning("owner_email of %s: %r is no mail address; it gets no mail.", family, address)
        return usable

    def _sections(self, task: TaskLike, what: str, headline: str, error: str, is_known: bool) -> list[Section]:
        about = (("Task", task.task_family), ("Id", task.task_id), *self._where())
        sections = [Section(what, text=headline), Section(rows=about)]
        if shown := task.to_str_params(only_public=True):
            sections.append(
                Section("Parameters", rows=tuple((name, cut(value, MAX_NAME)) for name, value in shown.items()))
            )
        sections.append(Section("Error", text=self._cut(error)))
        if is_known:
            sections.append(Section("To see more", text=how_to_see_more(task.task_id, self._url)))
        return sections

    def _where(self) -> tuple[tuple[str, str], ...]:
        return ("Worker", self._worker_id), ("Host", self._host), ("Time", time.strftime("%Y-%m-%d %H:%M:%S %z"))

    def _cut(self, error: str) -> str:
        return cut(error, self._settings.email.traceback_max_length)

    def _put(self, recipients: list[str], subject: str, sections: list[Section]) -> None:
        email = self._settings.email
        is_html = email.format == "html"
        mail = Mail(tuple(recipients), subject_of(subject, email.prefix), rendered(sections, is_html), is_html)
        if self._sender is not None:
            self._sender.queue_mail(mail)


def _sender(settings: MailSettings) -> Sender:
    from broker_sched.mails.sending import Sender  # here: slow to import, and most workers send no mails
    from broker_sched.mails.transport import transport_for

    return Sender(transport_for(settings))


def _text_of(expl: str) -> str:
    """Return what on_failure returned as text for people. expl: its JSON, or plain text."""
    try:
        found: Any = json.loads(expl)
    except ValueError:
        return expl
    return found if isinstance(found, str) else "" if found is None else json.dumps(found, indent=2)
