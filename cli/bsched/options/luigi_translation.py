"""What of a luigi.cfg becomes what here, option by option; all that is known of one stands in options/luigi.py."""

from __future__ import annotations

import re
from typing import NamedTuple

from broker_sched.config import OPTIONS, WITHOUT_EFFECT, parse_option
from broker_sched.errors import ConfigurationError
from broker_sched.luigi_config import LuigiConfig, Written
from broker_sched.worker.config import WorkerConfig
from bsched.options.luigi import SECTIONS, fate_of, instead_of, near_option, newer_name

SECRET = ("password", "apikey", "SENGRID_API_KEY")
HIDDEN = "***"
PASSWORD_IN_URL = re.compile(r"(://[^/@:\s]*:)[^/@\s]+@")
TAKERS = {
    **{name: f"bsched {name}" for name in ("run", "submit", "worker", "server")},
    "local": "bsched run --local-scheduler",
}


class Translated(NamedTuple):
    """An option of the file, and what becomes of it.

    taken_by: the commands that read it in the file. here: how it is said without the file; None where only the file
    says it. instead: what to do about an option that nobody takes. problem: why it can't be used as it is.
    """

    section: str
    option: str
    value: str | None  # None: it can't be told; hidden where it is a secret
    file: str
    taken_by: list[str]
    here: str | None
    instead: str | None
    problem: str | None


def translated(config: LuigiConfig) -> list[Translated]:
    """Return every option of luigi's own sections, in the order of the file."""
    return [
        _row(config, written)
        for section in config.sections()
        if section in SECTIONS or section == "batch-notifier"
        for written in config.written(section)
    ]


def sections_of_tasks(config: LuigiConfig) -> list[str]:
    """Return the other sections: tasks, Config classes and luigi.contrib read them by themselves."""
    return [section for section in config.sections() if section not in SECTIONS and section != "batch-notifier"]


def _row(config: LuigiConfig, written: Written) -> Translated:
    section, option = newer_name(written.section, written.option)
    fate, value, problem = fate_of(written.section, written.option.replace("-", "_")), None, None
    try:
        value = config.text(written)
        problem = _problem(section, written.option if section == "resources" else option, value)
    except ConfigurationError as error:
        problem = str(error)
    if fate is None:
        problem = f"it is no option of luigi's. {near_option(written.section, written.option)}"
    shown = _shown(written.option, value)
    name = written.option if section == "resources" else option
    here = fate.here.format(name=name, value=shown) if fate and fate.here and not problem else None
    instead = instead_of(fate, option, value or "") if fate and not fate.commands else None
    takers = [TAKERS[name] for name in (fate.commands if fate and not problem else ())]
    return Translated(written.section, written.option, shown, written.place, takers, here, instead, problem)


def _shown(option: str, value: str | None) -> str | None:
    """The value without what is secret in it, also that of a URL."""
    if not value or option.replace("-", "_").endswith(SECRET):
        return value and HIDDEN
    return PASSWORD_IN_URL.sub(rf"\1{HIDDEN}@", value)


def _problem(section: str, option: str, value: str) -> str | None:
    """Why it can't be used; None where it can, or where only who takes it knows. Raises ConfigurationError, too."""
    if section == "scheduler" and option in OPTIONS and option not in WITHOUT_EFFECT:
        parse_option(option, value)
    if section == "worker" and option in SECTIONS["worker"] and value:
        WorkerConfig.parse({option: value})
    if section == "resources" and not _is_limit(value):
        return f"a limit is a number from 0 up, not {value!r}"
    return None


def _is_limit(value: str) -> bool:
    try:
        return 0 <= float(value) < float("inf")
    except ValueError:
        return False
