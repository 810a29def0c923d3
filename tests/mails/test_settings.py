"""Where the options of mails come from, and what is said of those that can't be used."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from broker_sched import luigi_config
from broker_sched.errors import ConfigurationError
from broker_sched.mails.settings import MailSettings, parse_settings, variable_of

LUIGI = """
import json, luigi
from luigi.notifications import email, smtp, sendgrid
from luigi.batch_notifier import batch_email
print(json.dumps({cls.__name__: {name: getattr(cls(), name) for name, _ in cls.get_params()}
                  for cls in (email, smtp, sendgrid, batch_email)}))
"""
WRITTEN = {
    "today": """
[email]
receiver = a@x.test,b@x.test
sender = me@x.test
method = sendgrid
format = html
prefix = [p]
force_send = true
traceback_max_length = 77
[smtp]
host = mail.x.test
port = 2525
local_hostname = here
timeout = 3.5
ssl = true
no_tls = true
username = u
password = p%%w
[sendgrid]
apikey = k
[batch_email]
email_interval = 7
batch_mode = family
error_lines = 3
error_messages = 4
group_by_error_messages = false
""",
    "older names": """
[core]
error-email = a@x.test
email-sender = me@x.test
email-type = html
email-prefix = old
smtp_host = mail.x.test
smtp_port = 26
smtp_local_hostname = here
smtp_timeout = 4
smtp_ssl = true
smtp_without_tls = true
smtp_login = u
smtp_password = pw
[email]
type = ses
SENGRID_API_KEY = k
[batch-notifier]
email-interval-minutes = 9
""",
    "defaults": "[email]\n[sendgrid]\napikey = k\n",
}


@pytest.fixture(autouse=True)
def without_luigi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The files are read, not what this process's luigi has read."""
    monkeypatch.delitem(sys.modules, "luigi.configuration", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", WRITTEN)
def test_the_options_are_what_luigi_makes_of_the_same_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "luigi.cfg").write_text(WRITTEN[name])
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", LUIGI], capture_output=True, text=True, cwd=tmp_path)
    theirs = json.loads(done.stdout)
    ours = dataclasses.asdict(parse_settings(luigi_config.read({}), {}))
    theirs["batch_notifier"] = theirs.pop("batch_email")
    if name == "defaults":
        theirs["email"]["sender"] = ""  # theirs is luigi-client@…
    assert theirs == {
        section: {option: value for option, value in options.items() if option in theirs[section]}
        for section, options in ours.items()
    }
    assert set(ours["smtp"]) - set(theirs["smtp"]) == {"verify"}


def test_batch_notifier_is_read_under_the_name_of_luigis_documentation_too(tmp_path: Path) -> None:
    (tmp_path / "luigi.cfg").write_text("[batch_notifier]\nemail_interval = 5\n")
    assert parse_settings(luigi_config.read({}), {}).batch_notifier.email_interval == 5


def test_the_environment_goes_before_the_file_and_does_without_one(tmp_path: Path) -> None:
    environment = {"BSCHED_EMAIL_RECEIVER": "env@x.test", "BSCHED_SMTP_PASSWORD": "pw", "BSCHED_SMTP_VERIFY": "no"}
    found = parse_settings(luigi_config.read({}), environment)
    assert (found.email.receiver, found.smtp.password, found.smtp.verify) == ("env@x.test", "pw", False)
    (tmp_path / "luigi.cfg").write_text("[email]\nreceiver = file@x.test\nprefix = p\n")
    found = parse_settings(luigi_config.read({}), environment)
    assert (found.email.receiver, found.email.prefix) == ("env@x.test", "p")
    assert variable_of("batch_notifier", "email_interval") == "BSCHED_BATCH_NOTIFIER_EMAIL_INTERVAL"


@pytest.mark.parametrize(
    ("section", "option", "value", "allowed"),
    [
        ("email", "method", "pigeon", "smtp, sendmail, sendgrid, ses, sns"),
        ("email", "format", "pdf", "plain, html, none"),
        ("email", "force_send", "maybe", "true or false"),
        ("email", "traceback_max_length", "-1", "whole number, not negative"),
        ("smtp", "port", "smtp", "whole number"),
        ("smtp", "port", "70000", "at most 65535"),
        ("smtp", "timeout", "nan", "a number, not negative"),
        ("batch_notifier", "batch_mode", "some", "unbatched_params, family, all"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_with_its_place(
    section: str, option: str, value: str, allowed: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=allowed) as told:
        parse_settings(luigi_config.read({}), {variable_of(section, option): value})
    assert option in str(told.value).lower()
    (tmp_path / "luigi.cfg").write_text(f"[{section}]\n{option} = {value}\n")
    with pytest.raises(ConfigurationError, match=allowed) as told:
        parse_settings(luigi_config.read({}), {})
    assert f"[{section}] {option}" in str(told.value)


def test_sendgrid_without_a_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="apikey"):
        parse_settings(luigi_config.read({}), {"BSCHED_EMAIL_METHOD": "sendgrid", "BSCHED_EMAIL_RECEIVER": "a@x.test"})


def test_the_defaults_send_nothing_to_anybody() -> None:
    assert parse_settings(luigi_config.read({}), {}) == MailSettings()
    assert MailSettings().email.receivers == []
