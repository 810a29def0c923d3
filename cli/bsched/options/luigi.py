"""Every option of luigi's configuration that is luigi's own, and which commands take it; what is left is named.

Sections that are not here belong to the user's tasks, or to luigi.contrib, which read them by themselves.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import click

from broker_sched.config import OPTIONS, WITHOUT_EFFECT
from broker_sched.luigi_config import OLD_NAMES, LuigiConfig, Written
from broker_sched.mails.settings import SECTIONS as MAIL_SECTIONS
from broker_sched.mails.settings import variable_of
from broker_sched.truth_words import TRUE_WORDS
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.summary import ReturnCodes

F = TypeVar("F", bound=Callable[..., Any])


class Fate(NamedTuple):
    """What becomes of an option. commands: those that take it; `local` is `bsched run` with --local-scheduler.

    instead: what to do where nobody takes it; "" for an option that concerns only what those commands do.
    here: how it is said without a file of luigi's, with {name} and {value} in it; "" where only the file says it.
    """

    commands: tuple[str, ...] = ()
    instead: str = ""
    here: str = ""


ALL = ("run", "submit", "worker", "server")
CLIENTS = ("run", "submit", "worker")
NO_LOCK = (
    "`bsched run` takes no lock, since the scheduler gives each task to one worker only; to have one run at a time, "
    "start it with flock(1): flock -n /tmp/my.lock COMMAND"
)
NO_COLLECTOR = "`bsched server` counts for Prometheus (/metrics), and has no other collector: take metrics from there"
# luigi.server.cors
CORS_OPTIONS = (
    *("enabled", "allowed_origins", "allow_any_origin", "allow_null_origin", "max_age", "allowed_methods"),
    *("allowed_headers", "exposed_headers", "allow_credentials"),
)
ON_COMMAND_LINE = Fate(instead="it is for the command line only; remove it")
READ_BY_LUIGI = Fate(ALL)  # by luigi itself, or a module of it, in the tasks' processes


def _options_of(section: str, fate: Fate) -> dict[str, Fate]:
    """The options of a section on mails, all with one fate; each is a variable of the environment, too."""
    return {
        field.name: fate._replace(here=f"{variable_of(section, field.name)}={{value}}")
        for field in dataclasses.fields(MAIL_SECTIONS[section])
    }


SECTIONS: Mapping[str, Mapping[str, Fate]] = {
    "core": {
        "scheduler_url": Fate(CLIENTS, here="--scheduler-url {value}"),
        "scheduler_host": Fate(CLIENTS, here="--scheduler-host {value}"),
        "scheduler_port": Fate(CLIENTS, here="--scheduler-port {value}"),
        "module": Fate(CLIENTS, here="--module {value}"),
        **dict.fromkeys(("rpc_connect_timeout", "rpc_retry_attempts", "rpc_retry_wait"), Fate(CLIENTS)),
        "rpc_log_retries": Fate(CLIENTS),
        "local_scheduler": Fate(CLIENTS, here="--local-scheduler"),
        "workers": Fate(("run", "worker"), here="--workers {value} (bsched worker: --processes {value})"),
        "assistant": Fate(("run", "worker"), here="--assistant (bsched worker is one)"),
        "parallel_scheduling": Fate(("run", "submit"), here="--parallel-scheduling"),
        "parallel_scheduling_processes": Fate(("run", "submit"), here="--parallel-scheduling-processes {value}"),
        "logging_conf_file": Fate(ALL, here="--logging-conf-file {value}"),
        "no_configure_logging": Fate(ALL),
        "log_level": Fate(CLIENTS, here="--log-level {value}"),
        **dict.fromkeys(("no_lock", "lock_size", "lock_pid_dir", "take_lock"), Fate(instead=NO_LOCK)),
        **dict.fromkeys(("help", "help_all"), ON_COMMAND_LINE),
        **dict.fromkeys(("autoload_range", "tmp_dir", "hdfs_tmp_dir", "history_filename"), READ_BY_LUIGI),
    },
    "worker": {field.name: Fate(CLIENTS, here="--set {name}={value}") for field in dataclasses.fields(WorkerConfig)},
    "scheduler": {
        **{name: Fate(("server", "local"), here="bsched config set {name}={value}") for name in OPTIONS},
        **{name: Fate(instead=instead) for name, instead in WITHOUT_EFFECT.items()},
        "state_path": Fate(
            instead="Redis keeps the state; take over what is there (bsched import-luigi), and remove it"
        ),
        **dict.fromkeys(("metrics_collector", "metrics_custom_import"), Fate(instead=NO_COLLECTOR)),
    },
    "resources": {"*": Fate(("server", "local"), here="bsched resource set {name} {value}")},
    "retcode": {
        field.name: Fate(("run", "submit"), here="--retcode {name}={value}")
        for field in dataclasses.fields(ReturnCodes)
    },
    "execution_summary": {"summary_length": Fate(("run",), here="--execution-summary-summary-length {value}")},
    "logging": {"*": Fate(ALL)},
    **{section: _options_of(section, Fate(ALL)) for section in ("email", "smtp", "sendgrid")},
    "batch_notifier": _options_of("batch_notifier", Fate(("server", "local"))),  # so luigi's documentation calls it
    "batch_email": _options_of("batch_notifier", Fate(("server", "local"))),  # and so its code
    "task_history": {"*": Fate(instead=WITHOUT_EFFECT["record_task_history"])},
    "cors": dict.fromkeys(CORS_OPTIONS, Fate(("server",))),
    "datadog": {"*": Fate(instead=NO_COLLECTOR)},
    "prometheus": {
        "use_task_family_in_labels": Fate(instead="the family always is a label of /metrics; remove it"),
        "task_parameters_to_use_in_labels": Fate(
            instead="no parameter is a label of /metrics, for each value would be a series for ever; remove it"
        ),
    },
}
# Whose a section is: luigi, the command, reads those of the first kind, luigid those of the second, both the others.
SCHEDULERS_OWN = (
    *("scheduler", "resources", "batch_email", "batch-notifier", "batch_notifier", "task_history", "cors"),
    *("datadog", "prometheus"),
)
WORKERS_OWN = ("worker", "retcode", "execution_summary")
DASHED_SECTIONS = ("batch-notifier",)  # which have only older names of options
# Values with which an option asks for what is so anyhow.
AS_IT_IS = {
    "metrics_collector": ("default", "prometheus"),
    "metrics_custom_import": ("",),
    "task_parameters_to_use_in_labels": ("", "[]", "()"),
}
ONLY_WHEN_TRUE = ("take_lock", "help", "help_all", *WITHOUT_EFFECT)
FLAGS = {  # options that stand for `true` on the command line when no value follows
    "worker": tuple(field.name for field in dataclasses.fields(WorkerConfig) if field.type == "bool"),
    "scheduler": tuple(name for name, field in OPTIONS.items() if isinstance(field.default, bool)),
    **{
        section: tuple(field.name for field in dataclasses.fields(cls) if "bool" in str(field.type))
        for section, cls in MAIL_SECTIONS.items()
    },
}
_NEWER = {old: (section, name) for section, names in OLD_NAMES.items() for name, old in names.items()}


def without_effect(name: str, instead: str, **more: Any) -> Callable[[F], F]:
    """An option of luigi's that says what to do instead."""

    def refuse(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            raise click.UsageError(f"{name} is without effect: {instead}.")

    return click.option(name, hidden=True, expose_value=False, callback=refuse, **more)


def newer_name(section: str, option: str) -> tuple[str, str]:
    """Return section and option as luigi calls them now, given those that stand in a file."""
    option = option.replace("-", "_")
    return _NEWER.get((section, option), (section, option))


def fate_of(section: str, option: str) -> Fate | None:
    """What becomes of an option, by its name with underscores; None for a name that luigi does not know."""
    section, option = newer_name(section, option)
    options = SECTIONS.get(section, {})
    return options.get(option, options.get("*"))


def unhonoured(config: LuigiConfig, command: str, *, has_local_scheduler: bool = False) -> list[str]:
    """What stands in the files and has no effect on this command: a sentence for each kind, with what to do.

    What belongs to the other side, as [scheduler] does for `bsched run` with a server, is not in it: see elsewhere().
    """
    takers = {command, "local"} if has_local_scheduler else {command}
    left: dict[str, list[Written]] = {}
    told = list(config.remarks)
    for section in config.sections():
        if section not in SECTIONS and section not in DASHED_SECTIONS:
            told += _misspelt_section(config, section)
        elif section == "logging" and config.table("logging") is None:
            told.append(
                f"{_file(config, section)}, [logging]: luigi reads it in luigi.toml only; use [core] logging_conf_file."
            )
        elif not _is_others(section, command, has_local_scheduler):
            for written in config.written(section):
                fate = fate_of(section, written.option.replace("-", "_"))
                if fate is None:
                    told.append(f"{written} is no option of luigi's. {near_option(section, written.option)}")
                elif not _is_taken(fate, takers, config, written):
                    left.setdefault(fate.instead, []).append(written)
    return told + [f"{_listed(options)}: without effect here; {instead}." for instead, options in left.items()]


def elsewhere(config: LuigiConfig, command: str, *, has_local_scheduler: bool = False) -> str | None:
    """A sentence on the sections that are there and that the other side reads: the scheduler, or the workers."""
    others = [
        f"[{section}]" for section in config.sections() if _is_others(section, command, has_local_scheduler)
    ]  # fmt: skip
    if not others:
        return None
    whose = "`bsched run`, `submit` and `worker` read" if command == "server" else "`bsched server` reads"
    return f"{', '.join(config.files)}: {whose} {', '.join(others)}."


def _is_others(section: str, command: str, has_local_scheduler: bool) -> bool:
    if command == "server":
        return section in WORKERS_OWN
    return section in SCHEDULERS_OWN and not has_local_scheduler


def _is_taken(fate: Fate, takers: set[str], config: LuigiConfig, written: Written) -> bool:
    belongs_to_workers = "server" in takers and written.section == "core"  # luigid reads nothing else of it
    return (
        belongs_to_workers
        or bool(takers & set(fate.commands))
        or instead_of(fate, written.option.replace("-", "_"), config.text(written)) is None
    )


def instead_of(fate: Fate, option: str, text: str) -> str | None:
    """What to do instead of an option with this value; None where nothing need be done."""
    is_true = text.lower() in TRUE_WORDS
    if (option in ONLY_WHEN_TRUE and not is_true) or (option in ("no_lock", "use_task_family_in_labels") and is_true):
        return None
    if text.strip().lower() in AS_IT_IS.get(option, ()):
        return None
    return fate.instead or None


def _listed(options: list[Written]) -> str:
    """`luigi.cfg, [core] lock_size, take_lock; [smtp] host`"""
    places: dict[tuple[str, str], list[str]] = {}
    for written in options:
        places.setdefault((written.place, written.section), []).append(written.option)
    return "; ".join(f"{place}, [{section}] {', '.join(names)}" for (place, section), names in places.items())


def near_option(section: str, option: str) -> str:
    """Return the question whether the nearest option was meant, or which ones the section has."""
    names = [*SECTIONS.get(section, {}), *(old for old_section, old in _NEWER if old_section == section)]
    near = difflib.get_close_matches(option.replace("-", "_"), names, 1)
    return f"Did you mean {near[0]}?" if near else f"[{section}] has {', '.join(names) or 'no options'}."


def _misspelt_section(config: LuigiConfig, section: str) -> list[str]:
    near = difflib.get_close_matches(section, SECTIONS, 1, 0.85)
    if not near or section in _families():
        return []
    return [f"{_file(config, section)}: there is no task or class [{section}] here. Did you mean [{near[0]}]?"]


def _families() -> list[str]:
    register: Any = getattr(sys.modules.get("luigi.task_register"), "Register", None)
    return [] if register is None else list(register.task_names())


def _file(config: LuigiConfig, section: str) -> str:
    written = config.written(section)
    return written[0].place if written else ", ".join(config.files)
