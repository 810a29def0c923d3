"""Logging of the commands, on stderr, or as luigi's configuration wants it. Source: luigi.setup_logging, 3.8.1."""

from __future__ import annotations

import logging.config
import logging.handlers
import os

import click

from broker_sched.errors import ConfigurationError
from broker_sched.luigi_config import LuigiConfig
from broker_sched.worker.default_scheduler import truth

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
SERVERS_FILE = "bsched-server.log"
LEVELS = ("notset", "debug", "info", "warning", "error", "critical")
OURS = "bsched"
LUIGIS_WORKER, LUIGIS_SERVER = "luigi-interface", "luigi"  # the loggers of its parts; tasks use the first, too
OWN = (OURS, LUIGIS_WORKER, LUIGIS_SERVER)


def start_logging(
    config: LuigiConfig,
    level: str | None,
    otherwise: str,
    conf_file: str | None = None,
    directory: str | None = None,
    has_level: bool = True,
) -> None:
    """Set logging up, in luigi's order: not at all, by a file, by [logging] of luigi.toml, else by level on stderr.

    level: of the command line; it goes before whatever is configured. otherwise: the level when nothing is said.
    conf_file: as logging.config.fileConfig() reads it. directory: of a server's log, which then goes before a file that
    is configured. has_level: whether [core] log_level is for this command. Raises ConfigurationError, click.UsageError.
    """
    core = config.section("core")
    if not truth(config, "core", "no_configure_logging"):
        if directory is not None:
            _into(directory)
            _set_level(level or otherwise)
            return
        if conf_file or core.get("logging_conf_file"):
            _by_file(conf_file or core["logging_conf_file"], "--logging-conf-file" if conf_file else _place(config))
            _follow(LUIGIS_WORKER if has_level else LUIGIS_SERVER)
        elif config.table("logging") is not None:
            _by_table(config)
            _follow(LUIGIS_WORKER if has_level else LUIGIS_SERVER)
        else:
            logging.basicConfig(format=FORMAT, level=logging.WARNING)
            _set_level(level or (_level_of(config) if has_level else None) or otherwise)
            return
    if level:
        _set_level(level)


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


def _into(directory: str) -> None:
    path = os.path.join(directory, SERVERS_FILE)
    try:
        # logrotate may move it; file names that are not UTF-8 are logged with escapes
        handler = logging.handlers.WatchedFileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise click.UsageError(f"--logdir: {path} can't be written: {error.strerror}.") from None
    logging.basicConfig(format=FORMAT, level=logging.WARNING, handlers=[handler])


def _by_table(config: LuigiConfig) -> None:
    try:  # existing loggers are ours, too
        logging.config.dictConfig({"disable_existing_loggers": False, **(config.table("logging") or {})})
    except Exception as error:
        place = ", ".join(config.files)
        raise click.UsageError(f"{place}, [logging] can't be used: {type(error).__name__}: {error}") from None


def _place(config: LuigiConfig) -> str:
    return config.where("core", "logging_conf_file")
