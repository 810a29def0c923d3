"""What a worker mails about its tasks: the mails that luigi sends, in our words, beside its loop."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from broker_sched import RemoteScheduler, Scheduler, Task, Worker
from broker_sched.mails.settings import EmailSettings, MailSettings, SmtpSettings
from broker_sched.tasks.protocol import owners_of
from tests.mails.conftest import StartMailServer
from tests.mails.failing import SECRET
from tests.mails.mailbox import Got, MailServer
from tests.programs import BSCHED, STDOUT, Program, environment_with
from tests.servers import die_with_parent, free_port, until

ROOT = Path(__file__).resolve().parents[2]
QUICK: dict[str, Any] = {"wait_interval": 0.05, "wait_jitter": 0.0, "ping_interval": 0.2}
RUN = (BSCHED, "run", "tests.mails.failing")


def write_config(directory: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    text = ""
    for name, options in sections.items():
        text += f"[{name}]\n" + "".join(f"{option} = {value}\n" for option, value in options.items())
    (directory / "luigi.cfg").write_text(text)


def started(directory: Path, program: str, *words: str, environment: Mapping[str, str] | None = None) -> Program:
    environment = environment_with(**(environment or {}))
    return Program(*words, program=program, cwd=directory, env=environment, stderr=STDOUT)


def told_by(directory: Path, *command: str, environment: Mapping[str, str] | None = None) -> str:
    """What a program says until it ends."""
    return started(directory, *command, environment=environment).communicate(timeout=120)[0]


def family(got: Got) -> str:
    names = ("Raises", "Dies", "Hangs", "GivesUp", "CannotTell", "NeedsNonsense", "IsMissing", "Everything")
    (found,) = [name for name in names if f"mails.{name}(" in got.subject or f"mails.{name}_" in got.subject]
    return found


def who_got_what(server: MailServer) -> list[tuple[str, list[str]]]:
    return sorted((family(got), got.recipients) for got in server.mails)


def test_the_same_pipeline_sends_the_mails_that_luigi_sends_to_the_same_people(
    start_mail_server: StartMailServer, tmp_path: Path
) -> None:
    sent = []
    luigi = ("luigi", "--module", "tests.mails.failing")
    for command in ([*luigi, "--workers", "2"], [*RUN, "--workers", "2"]):
        server = start_mail_server()
        write_config(tmp_path, server.options("ops@x.test,boss@x.test"))
        told = told_by(tmp_path, *command, "mails.Everything", "--local-scheduler")
        sent.append(who_got_what(server))
    assert sent[0] == sent[1], told
    expected = ["CannotTell", "Dies", "GivesUp", "GivesUp", "Hangs", "NeedsNonsense", "Raises"]  # one is disabled
    assert [name for name, _ in sent[1]] == expected


def test_a_mail_says_what_failed_where_and_why_and_nothing_hidden(mail_server: MailServer, tmp_path: Path) -> None:
    mail_server_options = mail_server.options()
    write_config(tmp_path, {**mail_server_options, "email": {**mail_server_options["email"], "prefix": "[etl]"}})
    told_by(tmp_path, *RUN, "mails.Everything", "--local-scheduler", "--workers", "2")
    by_family = {family(got): got for got in mail_server.mails}
    raised = by_family["Raises"]
    assert raised.subject.startswith("[etl] mails.Raises(day=2024-03-01) failed on ")
    assert raised.recipients == ["ops@x.test", "team@x.test", "lead@x.test"]
    for text in ("day", "ValueError: the <b>disk</b> & all is full", "bsched call fetch_error task_id=mails.Raises_"):
        assert text in raised.body
    assert "died" in by_family["Dies"].body or "SIGKILL" in by_family["Dies"].body
    assert "1 s" in by_family["Hangs"].body
    assert "complete() can't look" in by_family["CannotTell"].body
    assert "requires() fails" in by_family["NeedsNonsense"].body
    assert "fetch_error" not in by_family["CannotTell"].body  # the scheduler has nothing to show of it
    for got in mail_server.mails:
        assert SECRET not in str(got.message) and SECRET not in got.body


def test_a_mail_in_html_shows_what_tasks_say_and_takes_nothing_for_markup(
    mail_server: MailServer, tmp_path: Path
) -> None:
    environment = {**mail_server.environment(), "BSCHED_EMAIL_FORMAT": "html"}
    told_by(tmp_path, *RUN, "mails.Raises", "--day", "<script>1</script>", "--local-scheduler", environment=environment)
    (got,) = mail_server.mails
    assert got.message.get_content_type() == "text/html"
    assert "the &lt;b&gt;disk&lt;/b&gt; &amp; all is full" in got.body
    assert "&lt;script&gt;" in got.body and "<script" not in got.body


@pytest.mark.parametrize(
    "silence",
    [
        {"BSCHED_EMAIL_FORMAT": "none"},
        {"BSCHED_WORKER_SEND_FAILURE_EMAIL": "false"},
        {"BSCHED_EMAIL_RECEIVER": ""},
    ],
    ids=lambda silence: next(iter(silence)),
)
def test_what_silences_luigi_silences_us(mail_server: MailServer, tmp_path: Path, silence: dict[str, str]) -> None:
    environment = {**mail_server.environment(), **silence}
    told = told_by(tmp_path, *RUN, "mails.Dies", "--local-scheduler", "--workers", "2", environment=environment)
    assert "failed" in told
    assert mail_server.mails == []


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_terminal_gets_no_mails_unless_they_are_forced(
    mail_server: MailServer, tmp_path: Path, is_forced: bool
) -> None:
    environment = {**mail_server.environment(), "BSCHED_EMAIL_FORCE_SEND": str(is_forced)}
    terminal, other_end = os.openpty()
    process = subprocess.Popen(
        [*RUN, "mails.Dies", "--local-scheduler", "--workers", "2", "--no-progress", "--log-level", "info"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli")]), **environment},
        stdin=subprocess.DEVNULL,
        stdout=other_end,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    )
    os.close(other_end)
    told = process.communicate(timeout=120)[1]
    os.close(terminal)
    assert len(mail_server.mails) == is_forced
    assert ("stdout is a terminal" in told) != is_forced


def test_a_fleet_worker_mails_the_owners_that_the_class_names(
    mail_server: MailServer, tmp_path: Path, own_redis: Any
) -> None:
    place = ["--redis", own_redis.url, "--namespace", f"fleet-{time.time_ns()}"]
    told_by(tmp_path, BSCHED, "submit", "tests.mails.failing", "mails.Raises", *place)
    assert mail_server.mails == []
    told_by(tmp_path, BSCHED, "worker", "--burst", "--processes", "1", *place, environment=mail_server.environment())
    (got,) = mail_server.mails
    assert got.recipients == ["ops@x.test", "team@x.test", "lead@x.test"]


def test_submitting_mails_what_could_not_be_scheduled(mail_server: MailServer, tmp_path: Path, own_redis: Any) -> None:
    place = ["--redis", own_redis.url, "--namespace", f"submit-{time.time_ns()}"]
    command = [BSCHED, "submit", "tests.mails.failing", "mails.CannotTell", *place]
    told_by(tmp_path, *command, environment=mail_server.environment())
    assert [family(got) for got in mail_server.mails] == ["CannotTell"]


def test_what_a_luigid_hands_out_and_cannot_be_loaded_is_mailed_to_the_receiver(
    mail_server: MailServer, tmp_path: Path, luigid_url: str
) -> None:
    scheduler = RemoteScheduler(luigid_url)
    scheduler.add_task(worker="other", task_id="Nope_1", family="Nope", module="no_such_module", params={})
    environment = {**mail_server.environment(), "BSCHED_WORKER_SEND_FAILURE_EMAIL": "false"}
    command = [BSCHED, "worker", "--burst", "--processes", "1", "--scheduler-url", luigid_url]
    told_by(tmp_path, *command, environment=environment)
    (got,) = mail_server.mails
    assert got.recipients == ["ops@x.test"] and got.subject.startswith("Nope can't be loaded, and failed on")
    assert "Nope_1" in got.body and "no_such_module" in got.body
    scheduler.close()


# Beside the loop


class Fails(Task):
    number: int = 0
    owner_email = ("me@x.test", "no\nBcc: thief@x.test")

    def complete(self) -> bool:
        return False

    def run(self) -> None:
        raise ValueError(f"number {self.number}")


def to(server: MailServer, **email: Any) -> MailSettings:
    smtp = SmtpSettings(host="127.0.0.1", port=server.port, timeout=5.0)
    return MailSettings(EmailSettings(receiver="ops@x.test", sender="luigi@x.test", **email), smtp)


def worker_with(mails: MailSettings, **options: Any) -> Worker:
    return Worker(Scheduler("memory:"), mails=mails, **{**QUICK, **options})


def test_a_mail_server_that_hangs_delays_no_task_and_the_end_only_for_a_while(
    start_mail_server: StartMailServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("broker_sched.worker.failure_mails.LAST_SECONDS", 1.0)
    server = start_mail_server("--mode", "silent")
    worker = worker_with(to(server))
    ended: list[float] = []
    for number in range(5):
        worker.add(Fails(number=number))
    started_at = time.monotonic()
    close = worker._mails.await_sending

    def noted(is_hurried: bool = False) -> None:
        ended.append(time.monotonic())
        close(is_hurried)

    monkeypatch.setattr(worker._mails, "await_sending", noted)
    assert not worker.run()
    assert ended[0] - started_at < 5.0  # less than the time-out of one mail
    assert time.monotonic() - ended[0] < 5.0
    assert "5 mail(s) were not sent: the mail server did not take them within 1 s" in caplog.text


def test_a_mail_server_that_comes_back_gets_all_mails_and_the_outage_is_told_once(
    start_mail_server: StartMailServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("broker_sched.mails.sending.WAITS_SECONDS", (0.05,))
    server = start_mail_server()
    server.stop()
    caplog.set_level("INFO")
    worker = worker_with(to(server))
    with worker:
        for number in range(3):
            worker.add(Fails(number=number))
        worker._registration.mails.failed(Fails(number=0), '"by hand"')
        until(lambda: "is tried again" in caplog.text, "an attempt has failed")
        again = start_mail_server(port=server.port)
        again.until_mails(1)
        worker.run()
    assert len(again.until_mails(4)) == 4
    assert caplog.text.count("could not be sent, and is tried again") == 1
    assert "Mails can be sent again" in caplog.text


def test_a_mail_server_that_refuses_to_listen_is_told_at_the_end_by_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    nowhere = MailSettings(EmailSettings(receiver="ops@x.test", sender="a@x.test"), SmtpSettings("127.0.0.1", port))
    worker = worker_with(nowhere)
    worker.add(Fails())
    started_at = time.monotonic()
    worker.run()
    assert time.monotonic() - started_at < 15.0
    assert f"1 mail(s) were not sent: The mail server 127.0.0.1:{port}" in caplog.text


def test_an_owner_that_is_no_address_is_named_once_and_gets_nothing(
    mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    worker = worker_with(to(mail_server))
    worker.add(Fails(number=1))
    worker.add(Fails(number=2))
    worker.run()
    assert [got.recipients for got in mail_server.mails] == [["ops@x.test", "me@x.test"]] * 2
    assert caplog.text.count("is no mail address") == 1
    assert all("thief" not in str(got.message) for got in mail_server.mails)


def test_an_owner_email_that_raises_stops_neither_the_worker_nor_other_mails(
    mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.mails.failing import NoOwner, Raises

    worker = worker_with(to(mail_server))
    with pytest.raises(RuntimeError):
        owners_of(NoOwner())
    worker._registration.mails.failed(NoOwner(), '"x"')
    worker.add(Raises())
    worker.run()
    assert [family(got) for got in mail_server.mails] == ["Raises"]
    assert "No mail about mails.NoOwner" in caplog.text


def test_a_traceback_is_cut_to_the_length_of_the_settings(mail_server: MailServer) -> None:
    worker = worker_with(to(mail_server, traceback_max_length=100))
    worker._registration.mails.failed(Fails(), '"' + "x" * 5000 + 'the end"')
    worker._mails.await_sending()
    (got,) = mail_server.mails
    assert "the end" in got.body and got.body.count("x") < 100


def test_a_long_parameter_makes_no_long_mail(mail_server: MailServer) -> None:
    from tests.mails.failing import Raises

    worker = worker_with(to(mail_server))
    worker._registration.mails.failed(Raises(day="x" * 1_000_000), '"no"')
    worker._registration.mails.await_sending()
    (got,) = mail_server.mails
    assert len(got.body) < 5000 and len(got.subject) <= 200


def test_ctrl_c_does_not_lose_a_mail_that_waits(start_mail_server: StartMailServer, tmp_path: Path) -> None:
    server = start_mail_server()
    server.stop()
    (tmp_path / "slow.py").write_text(
        "import luigi, time\n"
        "class Fails(luigi.Task):\n    complete = lambda self: False\n"
        "    def run(self):\n        raise ValueError('no')\n"
        "class Sleeps(luigi.Task):\n    complete = lambda self: False\n"
        "    def run(self):\n        time.sleep(600)\n"
        "class Both(luigi.WrapperTask):\n    def requires(self):\n        return [Fails(), Sleeps()]\n"
    )
    process = started(
        tmp_path,
        *(BSCHED, "run", "slow", "Both", "--local-scheduler", "--workers", "2"),
        environment={**server.environment(), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout
    for line in process.stdout:
        if "is tried again" in line:
            break
    again = start_mail_server(port=server.port)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert [got.subject.split("(")[0] for got in again.mails] == ["Fails"]
