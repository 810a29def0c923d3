"""Logging of the commands, on stderr, or as luigi's configuration wants it. Source: luigi.setup_logging, 3.8.1.

`broker_sched/log_lines.py` makes the lines, as text or as JSON.
"""

from __future__ import annotations

import logging.config
import logging.handlers
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import click

from broker_sched import log_lines
from broker_sched.errors import ConfigurationError
from broker_sched.luigi_config import LuigiConfig
from broker_sched.worker.default_scheduler import truth

SERVERS_FILE = "bsched-server.log"
LEVELS = ("notset", "debug", "info", "warning", "error", "critical")
OURS = "bsched"
LUIGIS_WORKER, LUIGIS_SERVER = "luigi-interface", "luigi"  # the loggers of its parts; tasks use the first, too
OWN = (OURS, LUIGIS_WORKER, LUIGIS_SERVER)
F = TypeVar("F", bound=Callable[..., Any])
log = logging.getLogger(OURS)


def log_format_option(function: F) -> F:
    """Add --log-format; the command gets log_format."""
    return click.option(
        "--log-format",
        type=click.Choice(log_lines.FORMATS, case_sensitive=False),
        envvar="BSCHED_LOG_FORMAT",
        help="What a line of the log is: text if not given, or json: an object.  [env: BSCHED_LOG_FORMAT]",
    )(function)


def start_logging(
    config: LuigiConfig,
    level: str | None,
    otherwise: str,
    conf_file: str | None = None,
    directory: str | None = None,
    has_level: bool = True,
    form: str | None = None,
) -> None:
    """Set logging up, in luigi's order: not at all, by a file, by [logging] of luigi.toml, else by level on stderr.

    level: of the command line; it goes before whatever is configured. otherwise: the level when nothing is said.
    conf_file: as logging.config.fileConfig() reads it. directory: of a server's log, which then goes before a file that
    is configured. has_level: whether [core] log_level is for this command. form: "text" or "json"; where luigi's
    configuration says how to log, it has less effect, which is said. Raises ConfigurationError, click.UsageError.
    """
    if form == log_lines.JSON:
        _all_in_json()
    else:
        log_lines.choose(log_lines.TEXT)
    core = config.section("core")
    if not truth(config, "core", "no_configure_logging"):
        if directory is not None:
            _into(directory, form)
            _set_level(level or otherwise)
            return
        if conf_file or core.get("logging_conf_file"):
            _by_file(conf_file or core["logging_conf_file"], "--logging-conf-file" if conf_file else _place(config))
            _follow(LUIGIS_WORKER if has_level else LUIGIS_SERVER)
        elif config.table("logging") is not None:
            _by_table(config)
            _follow(LUIGIS_WORKER if has_level else LUIGIS_SERVER)
        else:
            logging.basicConfig(level=logging.WARNING)
            for handler in logging.getLogger().handlers:
                handler.setFormatter(log_lines.formatter(form or log_lines.TEXT))
            _set_level(level or (_level_of(config) if has_level else None) or otherwise)
            return
    if level:
        _set_level(level)
    if form == log_lines.JSON:
        log.warning("--log-format json is for lines of bsched's own: luigi's configuration says how others are logged.")


def set_format_of_environment() -> None:
    """Have BSCHED_LOG_FORMAT hold for commands that set no logging up: they log warnings only, on stderr.

    What it says is checked by the commands that have --log-format.
    """
    if log_lines.chosen_in_environment() == log_lines.JSON:
        _all_in_json()
        if logging.lastResort is not None:
            logging.lastResort.setFormatter(log_lines.JSONFormatter())


def _all_in_json() -> None:
    """Let what Python itself says of warnings and of exceptions that nobody caught be lines of the log, too."""
    log_lines.choose(log_lines.JSON)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda raised: _log_uncaught(raised.exc_type, raised.exc_value, raised.exc_traceback)
    sys.unraisablehook = lambda raised: _log_uncaught(raised.exc_type, raised.exc_value, raised.exc_traceback)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, SystemExit):
        return
    if error is None:
        error = kind()
    log.critical("An exception that nobody caught", exc_info=(kind, error, trace))


def _level_of(config: LuigiConfig) -> str | None:
    level = config.section("core").get("log_level")
    if level is not None and level.lower() not in LEVELS:
        place = config.where("core", "log_level")
        raise ConfigurationError(f"{place} is {level!r}; the levels are {', '.join(LEVELS).upper()}.")
    return level


def _follow(name: str) -> None:
    """Log as luigi's logger of this name is configured to, unless ours is: what was written for luigi holds."""
    loggers = logging.root.manager.loggerDict.items()
    theirs, ours = logging.getLogger(name), logging.getLogger(OURS)
    if _is_configured(theirs) and not any(_is_configured(it) for each, it in loggers if each.split(".")[0] == OURS):
        ours.handlers, ours.propagate = list(theirs.handlers), theirs.propagate
        ours.setLevel(theirs.level)


def _is_configured(logger: object) -> bool:
    return isinstance(logger, logging.Logger) and bool(logger.handlers or logger.level or not logger.propagate)


def _set_level(level: str) -> None:
    for name in OWN:
        logging.getLogger(name).setLevel(level.upper())


def _by_file(path: str, place: str) -> None:
    if not os.path.isfile(path):
        raise click.UsageError(f"{place} names {path}, which is no file.")
    try:
        logging.config.fileConfig(path, disable_existing_loggers=False)
    except Exception as error:  # it imports and calls what stands in the file
        raise click.UsageError(f"{path} can't be used for logging: {type(error).__name__}: {error}") from None


def _into(directory: str, form: str | None) -> None:
    path = os.path.join(directory, SERVERS_FILE)
    try:
        # logrotate may move it; file names that are not UTF-8 are logged with escapes
        handler = logging.handlers.WatchedFileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise click.UsageError(f"--logdir: {path} can't be written: {error.strerror}.") from None
    handler.setFormatter(log_lines.formatter(form or log_lines.TEXT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _by_table(config: LuigiConfig) -> None:
    try:  # existing loggers are ours, too
        logging.config.dictConfig({"disable_existing_loggers": False, **(config.table("logging") or {})})
    except Exception as error:
        place = ", ".join(config.files)
        raise click.UsageError(f"{place}, [logging] can't be used: {type(error).__name__}: {error}") from None


def _place(config: LuigiConfig) -> str:
    return config.where("core", "logging_conf_file")
