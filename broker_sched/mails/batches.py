"""A server's mails: of disabled tasks, and of many failures together. Source: luigi.batch_notifier, 3.8.1."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from broker_sched.mails.addresses import is_usable
from broker_sched.mails.message import Mail, cut, subject_of
from broker_sched.mails.notes import Note
from broker_sched.mails.settings import BatchSettings, MailSettings
from broker_sched.mails.texts import Section, count, rendered

MAX_SINGLE_MAILS = 20  # more tasks that were disabled at once share a mail
MAX_GROUPS = 200  # in one mail; of the others only their number


def disable_mails(notes: Iterable[Note], settings: MailSettings, namespace: str) -> list[Mail]:
    """Make one mail to the receivers for each task that was disabled; of many at once a single one."""
    recipients = tuple(filter(is_usable, settings.email.receivers))
    if not recipients:
        return []
    disabled = [note for note in notes if note.is_disabled]
    if len(disabled) > MAX_SINGLE_MAILS:
        return batch_mails([replace(note, owners=()) for note in disabled], 0, settings, namespace)
    return [_disable_mail(note, recipients, settings, namespace) for note in disabled]


def batch_mails(notes: Sequence[Note], unlisted: int, settings: MailSettings, namespace: str) -> list[Mail]:
    """Make a mail for each receiver, with everything, and for each owner, with what is theirs.

    unlisted: how many failures more there were than notes.
    """
    email, batch = settings.email, settings.batch_notifier
    mails = []
    for recipient, of_recipient in _by_recipient(notes, settings).items():
        is_receiver = recipient in email.receivers
        summary = _counted(of_recipient)
        minutes = count(batch.email_interval, "minute") or "a moment"
        subject = f"{'' if is_receiver else 'Your tasks: '}{summary} within {minutes} ({namespace})"
        sections = [Section(f"{summary} in the namespace {namespace}")]
        sections += _sections(_groups(of_recipient, batch), batch)
        if unlisted and is_receiver:
            sections.append(Section(text=f"{unlisted:,} more failures are not listed: there were too many at once."))
        sections.append(Section("To see more", text="bsched task list --status FAILED"))
        is_html = email.format == "html"
        body = rendered(sections, is_html)
        mails.append(Mail((recipient,), subject_of(subject, email.prefix), body, is_html))
    return mails


@dataclass
class Group:
    """The tasks that share an entry of a mail, and how often they failed."""

    label: str
    failures: int = 0
    disables: int = 0
    scheduling: int = 0
    latest_id: str = ""  # of a task of it that failed
    errors: dict[str, None] = field(default_factory=dict)  # different ones, the latest last

    def add(self, note: Note, errors: int) -> None:
        """Count a note, and keep its error as one of the latest."""
        self.failures += not note.is_scheduling
        self.disables += note.is_disabled
        self.scheduling += note.is_scheduling
        self.latest_id = note.task_id or self.latest_id
        self.errors.pop(note.error, None)
        self.errors[note.error] = None
        while len(self.errors) > max(errors, 0):
            del self.errors[next(iter(self.errors))]

    @property
    def order(self) -> tuple[int, int, str]:
        """The key to sort groups by: the one that failed most comes first."""
        return -self.failures - self.scheduling, -self.disables, self.label

    @property
    def row(self) -> tuple[str, str]:
        """The group's label, and how often its tasks failed with the command that shows the latest failure."""
        counts = _counts_text(self.failures, self.disables, self.scheduling)
        more = "\n" + _show(self.latest_id) if self.latest_id else ""
        return self.label, counts + more


def _by_recipient(notes: Iterable[Note], settings: MailSettings) -> dict[str, list[Note]]:
    found: dict[str, list[Note]] = {}
    for note in notes:
        for address in dict.fromkeys((*settings.email.receivers, *note.owners)):
            if is_usable(address):
                found.setdefault(address, []).append(note)
    return found


def _groups(notes: Iterable[Note], batch: BatchSettings) -> list[Group]:
    groups: dict[str, Group] = {}
    for note in notes:
        labels = {"family": note.family, "all": note.name, "unbatched_params": note.name_of_batch}
        label = labels[batch.batch_mode]
        groups.setdefault(label, Group(label)).add(note, batch.error_messages)
    return sorted(groups.values(), key=lambda group: group.order)


def _sections(groups: list[Group], batch: BatchSettings) -> list[Section]:
    """An entry for each group; groups with the same errors share one, where the settings say so."""
    together: dict[object, list[Group]] = {}
    for number, group in enumerate(groups[:MAX_GROUPS]):
        key: object = tuple(group.errors) if batch.group_by_error_messages else number
        together.setdefault(key, []).append(group)
    sections = []
    for same in together.values():
        errors = "\n\n".join(filter(None, (_last_lines(error, batch.error_lines) for error in same[0].errors)))
        sections.append(Section(rows=tuple(group.row for group in same), text=errors))
    if len(groups) > MAX_GROUPS:
        sections.append(Section(text=f"{len(groups) - MAX_GROUPS:,} more entries are left out here."))
    return sections


def _last_lines(error: str, lines: int) -> str:
    return "\n".join(error.rstrip().split("\n")[-lines:])


def _show(task_id: str) -> str:
    """The command that shows the error of a task, its last runs and what it needs."""
    return shlex.join(["bsched", "task", "show", task_id])


def _counted(notes: Sequence[Note]) -> str:
    scheduling = sum(note.is_scheduling for note in notes)
    return _counts_text(len(notes) - scheduling, sum(note.is_disabled for note in notes), scheduling)


def _counts_text(failures: int, disables: int, scheduling: int) -> str:
    parts = (count(failures, "failure"), count(disables, "disable"), count(scheduling, "scheduling failure"))
    return ", ".join(filter(None, parts))


def _disable_mail(note: Note, recipients: tuple[str, ...], settings: MailSettings, namespace: str) -> Mail:
    email = settings.email
    headline = f"{note.name} failed too often and is disabled"
    about = [
        ("Id", note.task_id),
        ("Worker", note.worker),
        ("Namespace", namespace),
        ("Time", time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(note.time))),
    ]
    commands = [_show(note.task_id), shlex.join(["bsched", "task", "enable", note.task_id])]
    sections = [
        Section(headline, text="It does not run again before disable_persist is over, or somebody re-enables it."),
        Section(rows=tuple(row for row in about if row[1])),
        Section("Its latest error", text=cut(note.error, email.traceback_max_length)),
        Section("To see more, and to have it run again now", text="\n".join(commands)),
    ]
    is_html = email.format == "html"
    return Mail(recipients, subject_of(headline, email.prefix), rendered(sections, is_html), is_html)
