"""A server's mails: disabled tasks at once, all that fails together with batch_emails. Each once, none lost."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_sched import Scheduler
from broker_sched.mails.batches import batch_mails
from broker_sched.mails.message import Mail
from broker_sched.mails.notes import Note
from broker_sched.mails.settings import BatchSettings, EmailSettings, MailSettings, SmtpSettings
from broker_sched.scheduler.mailing import Mailing
from tests.conftest import FakeClock, SchedulerFactory
from tests.harness import RedisProcess, ServerProcess
from tests.mails.conftest import StartMailServer
from tests.mails.mailbox import MailServer
from tests.servers import until

TRACE = "Traceback:\n  line one\nValueError: the disk is full"
HOUR = 3600.0


def settings_to(
    server: MailServer | None, receiver: str = "ops@x.test", batch: BatchSettings | None = None, **email: Any
) -> MailSettings:
    smtp = SmtpSettings(host="127.0.0.1", port=server.port if server else 1, timeout=5.0)
    made = EmailSettings(receiver=receiver, sender="luigi@x.test", **email)
    return MailSettings(made, smtp, batch_notifier=batch or BatchSettings())


def mailing_of(scheduler: Scheduler, settings: MailSettings) -> Mailing:
    return Mailing.of(scheduler, settings)


def fail(scheduler: Scheduler, task_id: str, expl: str | None = None, **more: Any) -> None:
    scheduler.add_task(worker="w", task_id=task_id, **{"family": task_id.split("_")[0], **more})
    work = scheduler.get_work(worker="w")
    assert work["task_id"] == task_id
    scheduler.add_task(worker="w", task_id=task_id, status="FAILED", expl=expl or json.dumps(TRACE))


@pytest.fixture
def collecting(scheduler_factory: SchedulerFactory) -> Scheduler:
    return scheduler_factory(batch_emails=True, retry_count=2, retry_delay=HOUR * 100)


def test_failures_disables_and_scheduling_failures_come_in_one_mail_at_the_interval(
    collecting: Scheduler, clock: FakeClock, mail_server: MailServer
) -> None:
    mailing = mailing_of(collecting, settings_to(mail_server))
    mailing.turn()
    fail(collecting, "A_1", params={"day": "1"}, owners=["team@x.test"])
    fail(collecting, "B_1", params={"day": "1"})
    collecting.add_task(worker="w", task_id="B_1", status="FAILED", expl=json.dumps("again"))
    collecting.announce_scheduling_failure(
        worker="w",
        task_name="C(x=1)",
        family="C",
        params={"x": "1"},
        param_visibilities={"x": 0},
        expl=TRACE,
        owners=["team@x.test", "lead@x.test"],
    )
    clock.advance(HOUR - 1)
    mailing.turn()
    assert mail_server.mails == []
    clock.advance(2)
    mailing.turn()
    mailing.turn()
    by_recipient = {got.recipients[0]: got for got in mail_server.mails}
    assert sorted(by_recipient) == ["lead@x.test", "ops@x.test", "team@x.test"] and len(mail_server.mails) == 3
    assert by_recipient["ops@x.test"].subject.startswith("3 failures, 1 disable, 1 scheduling failure within 60 min")
    assert by_recipient["team@x.test"].subject.startswith("Your tasks: 1 failure, 1 scheduling failure within")
    body = by_recipient["ops@x.test"].body
    for text in ("A(day=1)", "B(day=1)", "2 failures, 1 disable", "C(x=1)", "ValueError: the disk is full", "again"):
        assert text in body
    assert "bsched task show B_1" in body and "B(day=1)" not in by_recipient["team@x.test"].body


def test_the_scheduler_notes_nothing_while_no_server_sends_mails(collecting: Scheduler) -> None:
    fail(collecting, "A_1")
    collecting.announce_scheduling_failure(task_name="C", family="C", params={}, expl="", owners=[], worker="w")
    assert not collecting._client.exists(collecting.namespace.key("mail:notes"))


def test_without_batch_emails_only_a_disabled_task_is_mailed_and_at_once(
    scheduler_factory: SchedulerFactory, mail_server: MailServer
) -> None:
    scheduler = scheduler_factory(retry_count=2, retry_delay=HOUR)
    mailing = mailing_of(scheduler, settings_to(mail_server))
    mailing.turn()
    fail(scheduler, "A_1", params={"day": "1", "key": "s3cret"}, param_visibilities={"key": 1}, owners=["a@x.test"])
    mailing.turn()
    assert mail_server.mails == []
    scheduler.add_task(worker="w", task_id="A_1", status="FAILED", expl=json.dumps(TRACE))
    mailing.turn()
    (got,) = mail_server.mails
    assert got.recipients == ["ops@x.test"] and got.subject == "A(day=1) failed too often and is disabled"
    assert "bsched task enable A_1" in got.body and "ValueError" in got.body
    assert "s3cret" not in str(got.message)
    assert scheduler.re_enable_task("A_1")
    mailing.turn()
    assert len(mail_server.mails) == 1


def test_hidden_parameters_are_in_no_mail_whoever_tells_them(
    collecting: Scheduler, clock: FakeClock, mail_server: MailServer
) -> None:
    mailing = mailing_of(collecting, settings_to(mail_server))
    mailing.turn()
    hidden = {"day": "1", "key": "s3cret"}
    fail(collecting, "A_1", params=hidden, param_visibilities={"day": 0, "key": 1})
    arguments = {"family": "C", "params": hidden, "expl": "no", "owners": []}
    collecting.announce_scheduling_failure(worker="w", task_name="C(day=1, key=s3cret)", **arguments)  # as luigi does
    collecting.announce_scheduling_failure(
        worker="w", task_name="C(day=1, key=s3cret)", param_visibilities={"key": 1}, **arguments
    )
    clock.advance(HOUR)
    mailing.turn()
    (got,) = mail_server.mails
    assert "s3cret" not in got.body and "C(day=1)" in got.body and "2 scheduling failures" in got.subject


def test_a_task_whose_worker_died_is_in_the_mail_with_that_reason(
    collecting: Scheduler, clock: FakeClock, mail_server: MailServer
) -> None:
    mailing = mailing_of(collecting, settings_to(mail_server))
    mailing.turn()
    fail(collecting, "A_1")
    collecting.forgive_failures("A_1")
    assert collecting.get_work(worker="w")["task_id"] == "A_1"
    clock.advance(61)
    collecting.prune()
    clock.advance(HOUR)
    mailing.turn()
    (got,) = mail_server.mails
    assert "2 failures" in got.subject and "was silent since" in got.body


def test_the_members_of_a_batch_are_counted_and_not_what_was_made_of_them(
    collecting: Scheduler, clock: FakeClock, mail_server: MailServer
) -> None:
    mailing = mailing_of(collecting, settings_to(mail_server))
    mailing.turn()
    collecting.add_task_batcher(worker="w", task_family="A", batched_args=["day"], max_batch_size=10)
    for day in "12":
        params = {"day": day, "kind": "x"}
        collecting.add_task(worker="w", task_id=f"A_{day}", family="A", params=params, batchable=True)
    work = collecting.get_work(worker="w")
    combined = {"worker": "w", "task_id": "A_1_2", "family": "A", "params": {"day": "1,2", "kind": "x"}}
    collecting.add_task(**combined, status="RUNNING", batch_id=work["batch_id"])
    collecting.add_task(**combined, status="FAILED", expl=json.dumps(TRACE))
    clock.advance(HOUR)
    mailing.turn()
    (got,) = mail_server.mails
    assert got.subject.startswith("2 failures within") and "A(kind=x)" in got.body


def test_what_is_given_back_has_not_failed(collecting: Scheduler, clock: FakeClock, mail_server: MailServer) -> None:
    mailing = mailing_of(collecting, settings_to(mail_server))
    mailing.turn()
    collecting.add_task_batcher(worker="w", task_family="A", batched_args=["day"], max_batch_size=10)
    for day in "12":
        collecting.add_task(worker="w", task_id=f"A_{day}", family="A", params={"day": day}, batchable=True)
    work = collecting.get_work(worker="w")
    combined = {"worker": "w", "task_id": "A_1_2", "family": "A", "params": {"day": "1,2"}}
    collecting.add_task(**combined, status="RUNNING", batch_id=work["batch_id"])
    collecting.release_task(task_id="A_1_2", worker="w")
    clock.advance(HOUR)
    mailing.turn()
    assert mail_server.mails == []


def test_an_explanation_of_any_kind_and_length_is_cut_to_its_end(
    collecting: Scheduler, clock: FakeClock, mail_server: MailServer
) -> None:
    mailing = mailing_of(collecting, settings_to(mail_server, batch=BatchSettings(error_lines=0, batch_mode="all")))
    mailing.turn()
    expls = [
        json.dumps("é" * 9000 + "1end"),
        "é" * 9000 + "2end",
        json.dumps({"a": [1]}),
        "null",
        '"' + "x" * 2_000_000,
    ]
    for number, expl in enumerate(expls):
        fail(collecting, f"A_{number}", expl, params={"n": str(number)})
    clock.advance(HOUR)
    mailing.turn()
    (got,) = mail_server.mails
    assert "5 failures" in got.subject and "1end" in got.body and "2end" in got.body and '{"a"' in got.body
    assert len(got.body) < 30_000


def test_more_failures_than_can_be_listed_are_counted(
    collecting: Scheduler, clock: FakeClock, mail_server: MailServer
) -> None:
    mailing = mailing_of(collecting, settings_to(mail_server))
    mailing.turn()
    fail(collecting, "A_1")
    key = collecting.namespace.key
    (note,) = collecting._client.lrange(key("mail:notes"), 0, -1)
    collecting._client.rpush(key("mail:notes"), *[note] * 9_999)
    fail(collecting, "B_1")
    assert collecting._client.llen(key("mail:notes")) == 10_000
    clock.advance(HOUR)
    mailing.turn()
    (got,) = mail_server.mails
    assert "10000 failures" in got.subject and "1 more failures are not listed" in got.body
    assert not collecting._client.exists(key("mail:notes"), key("mail:unlisted"), key("mail:outbox"))


def test_a_mail_that_cannot_be_sent_at_all_is_told_by_name_and_keeps_no_other_back(
    collecting: Scheduler, clock: FakeClock, mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    mailing = mailing_of(collecting, settings_to(mail_server))
    mailing.turn()
    key = collecting.namespace.key("mail:outbox")
    for number, recipient in enumerate(["nobody@x.test", "ops@x.test"]):
        mail = Mail((recipient,), f"mail {number}", "body", made=time.time() + number)
        collecting._client.hset(key, mail.id, mail.as_json())
    broken = Mail((), "not even a recipient", "body", made=time.time() - 10)
    collecting._client.hset(key, broken.id, broken.as_json())
    mailing.turn()
    assert [got.subject for got in mail_server.mails] == ["mail 1"]
    assert "'mail 0' to nobody@x.test was not sent" in caplog.text and "not even a recipient" in caplog.text
    assert not collecting._client.exists(key)


def test_a_mail_that_is_too_old_is_given_up_and_said(
    collecting: Scheduler, start_mail_server: StartMailServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_mail_server("--mode", "busy")
    mailing = mailing_of(collecting, settings_to(server))
    key = collecting.namespace.key("mail:outbox")
    for age in (0, 90_000):
        mail = Mail(("ops@x.test",), f"{age} s old", "body", made=time.time() - age)
        collecting._client.hset(key, mail.id, mail.as_json())
    mailing.turn()
    assert "'90000 s old' to ops@x.test was not sent" in caplog.text and "451" in caplog.text
    assert collecting._client.hlen(key) == 1


# What is said, by the settings


def note(number: int, family: str = "A", error: str = "boom", **more: Any) -> Note:
    params = {"day": str(number), "kind": "x"}
    return Note(family, 1.0, f"{family}_{number}", params, frozenset(["day"]), error, **more)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (BatchSettings(), ["A(kind=x) 3 failures", "B(kind=x) 1 failure"]),
        (BatchSettings(batch_mode="family"), ["A 3 failures", "B 1 failure"]),
        (
            BatchSettings(batch_mode="all"),
            ["A(day=1, kind=x) 2 failures", "A(day=2, kind=x) 1 failure", "B(day=3, kind=x) 1 failure"],
        ),
    ],
    ids=lambda batch: getattr(batch, "batch_mode", ""),
)
def test_failures_are_grouped_by_the_batch_mode(batch: BatchSettings, expected: list[str]) -> None:
    notes = [note(1), note(2), note(1), note(3, "B")]
    (mail,) = batch_mails(notes, 0, settings_to(None, batch=batch), "default")
    rows = re.findall(r"^  (\S.*\)|\w+)  +(\d+ failures?)", mail.body, re.M)
    assert [" ".join(row) for row in rows] == expected


def test_error_lines_and_error_messages_limit_what_is_shown() -> None:
    notes = [note(1, error=f"first {number}\nsecond {number}\nlast {number}") for number in range(4)]
    (mail,) = batch_mails(notes, 0, settings_to(None, batch=BatchSettings(error_lines=2, error_messages=2)), "x")
    assert "first" not in mail.body and "last 1" not in mail.body
    assert all(f"second {number}\nlast {number}" in mail.body for number in (2, 3))


@pytest.mark.parametrize("together", [True, False])
def test_the_same_error_is_shown_once_when_grouped(together: bool) -> None:
    batch = BatchSettings(group_by_error_messages=together)
    (mail,) = batch_mails([note(1), note(2, "B")], 0, settings_to(None, batch=batch), "x")
    assert mail.body.count("boom") == (1 if together else 2)


def test_a_batch_in_html_escapes_what_tasks_say() -> None:
    (mail,) = batch_mails([note(1, error="<b>&")], 0, settings_to(None, format="html"), "x")
    assert mail.is_html and "&lt;b&gt;&amp;" in mail.body and "<b>" not in mail.body


# Processes


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    (tmp_path / "redis").mkdir()
    process = RedisProcess(tmp_path / "redis")
    yield process
    process.kill()


@pytest.fixture
def start_server(redis: RedisProcess, tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """start_server(mail_server, BSCHED_BATCH_EMAILS="true")."""
    started: list[ServerProcess] = []

    def start(mails: MailServer, **more: str) -> ServerProcess:
        environment = {**mails.environment(), "BSCHED_SMTP_TIMEOUT": "2", **more}
        started.append(ServerProcess("--redis", redis.url, environment=environment).await_ready())
        return started[-1]

    yield start
    for process in started:
        process.stop()


def is_collecting(redis: RedisProcess) -> bool:
    return bool(redis.client.exists("bsched:{default}:mail:server"))


def disable(server: ServerProcess, task_id: str) -> None:
    server.call("add_task", worker="w", task_id=task_id, family="A", retry_policy_dict={"retry_count": 1})
    assert server.call("get_work", worker="w")["task_id"] == task_id
    policy = {"retry_count": 1}
    server.call("add_task", worker="w", task_id=task_id, status="FAILED", expl='"no"', retry_policy_dict=policy)


def test_of_several_servers_each_mail_is_sent_by_one(
    redis: RedisProcess, start_server: Callable[..., ServerProcess], mail_server: MailServer
) -> None:
    servers = [start_server(mail_server) for _ in range(3)]
    until(lambda: is_collecting(redis), "a server looks after the mails")
    for number in range(9):
        disable(servers[number % 3], f"A_{number}")
    mail_server.until_mails(9)
    until(lambda: not redis.client.exists("bsched:{default}:mail:outbox"), "nothing is left to be sent")
    assert len({got.message["Message-ID"] for got in mail_server.mails}) == len(mail_server.mails) == 9
    for server in servers:
        assert server.stop() == 0


def test_what_a_killed_server_has_not_mailed_its_successor_mails(
    redis: RedisProcess, start_server: Callable[..., ServerProcess], start_mail_server: StartMailServer
) -> None:
    silent = start_mail_server("--mode", "silent")
    first = start_server(silent, BSCHED_BATCH_EMAILS="true", BSCHED_BATCH_NOTIFIER_EMAIL_INTERVAL="0")
    until(lambda: is_collecting(redis), "a server looks after the mails")
    disable(first, "A_1")
    until(lambda: redis.client.exists("bsched:{default}:mail:outbox"), "the mail is written")
    first.process.kill()
    redis.client.delete("bsched:{default}:mail:lock")  # which would go by itself, in a minute
    working = start_mail_server()
    start_server(working)
    (got,) = working.until_mails(1)
    assert "1 failure, 1 disable" in got.subject


def test_a_mail_server_that_hangs_delays_no_call_and_is_told_once(
    redis: RedisProcess, start_server: Callable[..., ServerProcess], start_mail_server: StartMailServer
) -> None:
    server = start_server(start_mail_server("--mode", "silent"))
    until(lambda: is_collecting(redis), "a server looks after the mails")
    for number in range(3):
        disable(server, f"A_{number}")
    longest = 0.0
    deadline = time.monotonic() + 20

    def is_told() -> bool:
        nonlocal longest
        started = time.monotonic()
        server.call("ping", worker="w")
        longest = max(longest, time.monotonic() - started)
        return any("Mails could not be sent" in line for line in server.said)

    until(is_told, "the server has given up the first attempt", deadline - time.monotonic())
    assert longest < 1.5  # the time-out of the mail server is 2 s
    assert server.stop() == 0
    assert sum("Mails could not be sent" in line for line in server.said) == 1


def test_a_server_whose_mail_settings_are_wrong_does_not_start(redis: RedisProcess) -> None:
    server = ServerProcess(
        *("--redis", redis.url), environment={"BSCHED_EMAIL_METHOD": "ses", "BSCHED_EMAIL_RECEIVER": "a@x.test"}
    )
    assert server.wait() != 0
    assert "pip install boto3" in "\n".join(server.said) and "Traceback" not in "\n".join(server.said)
