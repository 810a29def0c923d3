"""Luigi's configuration, luigi.cfg or luigi.toml: found, read and interpolated as luigi does it, with luigi or without.

    config = luigi_config.read()
    config.section("worker").get("keep_alive")       # "true", or None
    config.where("email", "receiver")                # "luigi.cfg, [core] error-email"

Source: luigi.configuration, 3.8.1.
"""

from __future__ import annotations

import configparser
import importlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from broker_sched.errors import ConfigurationError

CFG_FILES = ("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg", "client.cfg", "luigi.cfg")  # the later ones win
TOML_FILES = ("/etc/luigi/luigi.toml", "luigi.toml")
CFG_KINDS = ("cfg", "conf", "ini")
COMMAND_LINE = "the command line"
VARIABLE = re.compile(r"\$\{([^}]+)\}")
# Where luigi still looks for an option of a section: section → option → (older section, older option).
OLD_NAMES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "core": {
        "scheduler_host": ("core", "default_scheduler_host"),
        "scheduler_port": ("core", "default_scheduler_port"),
        "scheduler_url": ("core", "default_scheduler_url"),
    },
    "worker": {
        "ping_interval": ("core", "worker_ping_interval"),
        "keep_alive": ("core", "worker_keep_alive"),
        "count_uniques": ("core", "worker_count_uniques"),
        "wait_interval": ("core", "worker_wait_interval"),
        "max_reschedules": ("core", "worker_max_reschedules"),
        "timeout": ("core", "worker_timeout"),
        "task_limit": ("core", "worker_task_limit"),
        "retry_external_tasks": ("core", "retry_external_tasks"),
    },
    "email": {
        "format": ("core", "email_type"),
        "method": ("email", "type"),
        "prefix": ("core", "email_prefix"),
        "receiver": ("core", "error_email"),
        "sender": ("core", "email_sender"),
    },
    "smtp": {
        "host": ("core", "smtp_host"),
        "local_hostname": ("core", "smtp_local_hostname"),
        "no_tls": ("core", "smtp_without_tls"),
        "password": ("core", "smtp_password"),
        "port": ("core", "smtp_port"),
        "ssl": ("core", "smtp_ssl"),
        "timeout": ("core", "smtp_timeout"),
        "username": ("core", "smtp_login"),
    },
    "sendgrid": {"apikey": ("email", "SENGRID_API_KEY")},
    "batch_email": {"email_interval": ("batch-notifier", "email_interval_minutes")},
}


class Written(NamedTuple):
    """An option where somebody wrote it, for messages about it."""

    section: str
    option: str  # with dashes, if they stand there
    place: str  # the file, or `the command line`

    def __str__(self) -> str:
        return f"{self.place}, [{self.section}] {self.option}"


class Section(Mapping[str, str]):
    """The options of one section as text, by their names with underscores; those under older names are in it.

    Reading an option raises ConfigurationError, without its value, when it refers to what is not there.
    """

    def __init__(self, config: LuigiConfig, names: Mapping[str, Written]) -> None:
        self._config = config
        self._names = names

    def __getitem__(self, option: str) -> str:
        return self._config.text(self._names[option])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class LuigiConfig:
    """The options that luigi's configuration files and the command line give.

    files: those that were read; what stands in a later one wins. remarks: what is odd about the files, each a sentence
    for the user.
    """

    def __init__(self, source: _Source, given: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._source = source
        self._given = given or {}
        self.files = source.files
        self.remarks = source.remarks

    def with_given(self, given: Mapping[str, Mapping[str, str]]) -> LuigiConfig:
        """Return this configuration with what the command line says before it: section → option (with underscores) →
        text."""
        return LuigiConfig(self._source, given)

    def given(self, section: str) -> Mapping[str, str]:
        """Return what the command line says of a section: option → text."""
        return self._given.get(section, {})

    def sections(self) -> list[str]:
        """The sections that the files have, in their order."""
        return self._source.sections()

    def section(self, name: str, *, with_defaults: bool = True) -> Section:
        """The options of a section; an empty one when nobody wrote it.

        with_defaults: with those of [DEFAULT], which stand in every section that is there.
        """
        names: dict[str, Written] = {}
        for option, (old_section, old_option) in OLD_NAMES.get(name, {}).items():
            found = self._written(old_section, True).get(old_option)
            if found is not None:
                names[option] = found
        names.update(self._written(name, with_defaults))
        names.update({option: Written(name, option, COMMAND_LINE) for option in self.given(name)})
        return Section(self, names)

    def where(self, section: str, option: str) -> str:
        """Return the place where an option is written, for messages: `luigi.cfg, [core] error-email`."""
        return str(self.section(section)._names[option])

    def written(self, section: str) -> list[Written]:
        """The options of a section as they are written in the files, without those of [DEFAULT]."""
        return list(self._written(section, False).values())

    def table(self, section: str) -> dict[str, Any] | None:
        """The whole section with the types of TOML; None where the configuration is no TOML, or has no such section."""
        return self._source.table(section)

    def text(self, written: Written) -> str:
        """Return an option's value. Raises ConfigurationError when it refers to what is not there."""
        if written.place == COMMAND_LINE:
            return self._given[written.section][written.option]
        return self._source.text(written)

    def _written(self, section: str, with_defaults: bool) -> dict[str, Written]:
        """Option with underscores → how it is written. Luigi: with underscores goes before with dashes."""
        found: dict[str, Written] = {}
        for option in self._source.options(section, with_defaults):
            plain = option.replace("-", "_")
            if plain == option or plain not in found:
                found[plain] = Written(section, option, self._source.place(section, option))
        return found


def is_luigi_used() -> bool:
    """Return whether this program has imported luigi."""
    return "luigi.configuration" in sys.modules


def read(environment: Mapping[str, str] = os.environ) -> LuigiConfig:
    """The configuration: luigi's own where luigi is imported (a program may have changed it), else from the files.

    Raises ConfigurationError naming the file and the line that can't be read.
    """
    parser = _luigis_parser()
    kind, paths, remarks = _places(environment)
    if parser is not None:
        paths = list(getattr(parser, "_config_paths", paths))
    files = [path for path in paths if os.path.isfile(path)]
    remarks += [f"{path} can't be read; check its permissions." for path in files if not os.access(path, os.R_OK)]
    files = [path for path in files if os.access(path, os.R_OK)]
    if kind == "toml":
        return LuigiConfig(_Toml(files, remarks, getattr(parser, "data", None)))
    return LuigiConfig(_Cfg(files, remarks, parser))


def read_file(path: str) -> LuigiConfig:
    """The configuration that this file alone gives: TOML where its name ends in .toml.

    Raises ConfigurationError when it can't be read, naming the line.
    """
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        raise ConfigurationError(
            f"{path} can't be read: {'check its permissions' if os.path.isfile(path) else 'no file'}."
        )
    return LuigiConfig(_Toml([path], [], None) if path.endswith(".toml") else _Cfg([path], [], None))


def _luigis_parser() -> Any:
    """Luigi's own reading of its configuration; None where luigi is not imported, or could not be."""
    luigi = sys.modules.get("luigi.configuration")
    try:
        return luigi.get_config() if luigi is not None else None
    except ImportError:  # of the package that reads TOML for luigi, whose import has failed for that
        return None


def _places(environment: Mapping[str, str]) -> tuple[str, list[str], list[str]]:
    """`cfg` or `toml`, the files to look for, and what to tell."""
    remarks = []
    kind = environment.get("LUIGI_CONFIG_PARSER", "cfg")
    if kind not in (*CFG_KINDS, "toml"):
        remarks.append(f"LUIGI_CONFIG_PARSER is {kind}; luigi knows cfg, conf, ini and toml, and takes cfg.")
        kind = "cfg"
    kind = "cfg" if kind in CFG_KINDS else kind
    paths = list(TOML_FILES if kind == "toml" else CFG_FILES)
    path = environment.get("LUIGI_CONFIG_PATH")
    if path is not None:
        ending = os.path.splitext(path)[1][1:]
        of = "toml" if ending == "toml" else "cfg" if ending in CFG_KINDS else kind
        if not os.path.isfile(path):
            remarks.append(f"LUIGI_CONFIG_PATH names {path}, which is no file.")
        elif of == kind:
            paths.append(path)
        else:
            remarks.append(f"LUIGI_CONFIG_PATH names {path}, which is not read unless LUIGI_CONFIG_PARSER is {of}.")
    if kind == "cfg":
        unread = [each for each in TOML_FILES if os.path.isfile(each)]
        remarks += [f"{each} is not read unless LUIGI_CONFIG_PARSER is toml." for each in unread]
    return kind, paths, remarks


class _Source:
    """The configuration files of one kind, and the options in them."""

    def __init__(self, files: Iterable[str], remarks: Iterable[str]) -> None:
        self.files = tuple(files)
        self.remarks = tuple(remarks)

    def sections(self) -> list[str]:
        raise NotImplementedError

    def options(self, section: str, with_defaults: bool) -> list[str]:
        raise NotImplementedError

    def text(self, written: Written) -> str:
        raise NotImplementedError

    def table(self, section: str) -> dict[str, Any] | None:
        return None

    def place(self, section: str, option: str) -> str:
        """Return the last of the files that has the option."""
        for path in reversed(self.files):
            if self._has(path, section, option):
                return path
        return "luigi's configuration"  # a program of the user's has set it

    def _has(self, path: str, section: str, option: str) -> bool:
        raise NotImplementedError


class _Environment(configparser.BasicInterpolation):
    """%(name)s is another option of the section, ${NAME} a variable of the environment."""

    def before_get(self, parser: Any, section: str, option: str, value: str, defaults: Any) -> str:
        found = super().before_get(parser, section, option, value, defaults)

        def variable(match: re.Match[str]) -> str:
            if match[1] not in os.environ:
                raise configparser.InterpolationError(option, section, f"the environment has no {match[1]}")
            return os.environ[match[1]]

        return VARIABLE.sub(variable, found)


class _Cfg(_Source):
    def __init__(self, files: Iterable[str], remarks: Iterable[str], parser: Any) -> None:
        super().__init__(files, remarks)
        self._each: dict[str, configparser.ConfigParser] = {}  # path → what stands in it
        self._parser = parser
        if parser is None:
            self._parser = _parser()
            for path in self.files:
                _parse(self._parser, path)

    def sections(self) -> list[str]:
        return list(self._parser.sections())

    def options(self, section: str, with_defaults: bool) -> list[str]:
        if not self._parser.has_section(section):
            return []
        own = list(self._parser.options(section))
        if with_defaults:
            return own
        defaults = self._parser.defaults()
        return [name for name in own if name not in defaults or self._is_own(section, name)]

    def _is_own(self, section: str, option: str) -> bool:
        return any(self._alone(path).has_option(section, option) for path in self.files)

    def text(self, written: Written) -> str:
        try:  # luigi's own parser has a get() that warns of dashes
            found = configparser.ConfigParser.get(self._parser, written.section, written.option)
        except configparser.InterpolationMissingOptionError as error:
            told = f"it refers to %({error.reference})s, and [{written.section}] has no such option"
        except (configparser.InterpolationSyntaxError, configparser.InterpolationDepthError):
            told = "its % signs can't be read; write %% for one"
        except configparser.InterpolationError:  # whose text has the value in it, luigi's or ours
            raw = configparser.ConfigParser.get(self._parser, written.section, written.option, raw=True)
            missing = [f"${{{name}}}" for name in VARIABLE.findall(raw) if name not in os.environ]
            told = f"it refers to {missing[0] if missing else 'a ${VARIABLE}'}, which the environment does not have"
        else:
            return str(found)
        raise ConfigurationError(f"{written} can't be used: {told}.")

    def _has(self, path: str, section: str, option: str) -> bool:
        alone = self._alone(path)
        return alone.has_option(section, option) or alone.has_option(configparser.DEFAULTSECT, option)

    def _alone(self, path: str) -> configparser.ConfigParser:
        """One file, in which [DEFAULT] is a section like others."""
        if path not in self._each:
            self._each[path] = _parser(default_section="")
            _parse(self._each[path], path)
        return self._each[path]


def _parser(default_section: str = configparser.DEFAULTSECT) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=_Environment(), default_section=default_section)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case, as in luigi
    return parser


def _parse(parser: configparser.ConfigParser, path: str) -> None:
    """Add a file. A message has no line of it: that may be a password."""
    try:
        parser.read(path)
    except configparser.DuplicateOptionError as error:
        told = f"line {error.lineno}: [{error.section}] has {error.option} twice"
    except configparser.DuplicateSectionError as error:
        told = f"line {error.lineno}: there is a second section [{error.section}]"
    except configparser.MissingSectionHeaderError as error:
        told = f"line {error.lineno}: it stands before the first [section]"
    except configparser.ParsingError as error:
        told = f"line {error.errors[0][0]}: it is no NAME = VALUE"
    except UnicodeDecodeError as error:
        told = f"byte {error.start} is no {error.encoding}"
    else:
        return
    raise ConfigurationError(f"{path} can't be read: {told}.")


class _Toml(_Source):
    def __init__(self, files: Iterable[str], remarks: Iterable[str], data: Mapping[str, Any] | None) -> None:
        super().__init__(files, remarks)
        self._each: dict[str, Mapping[str, Any]] = {}
        self._data: Mapping[str, Any] = data or {}
        if data is None:
            merged: dict[str, dict[str, Any]] = {}
            for path in self.files:
                for section, content in self._content(path).items():
                    merged.setdefault(section, {}).update(content)
            self._data = merged

    def sections(self) -> list[str]:
        return list(self._data)

    def options(self, section: str, with_defaults: bool) -> list[str]:
        return list(self._data.get(section, {}))

    def text(self, written: Written) -> str:
        value = _thawed(self._data[written.section][written.option])
        if isinstance(value, bool):
            return str(value).lower()
        return json.dumps(value, default=str) if isinstance(value, (dict, list)) else str(value)

    def table(self, section: str) -> dict[str, Any] | None:
        found = self._data.get(section)
        return None if found is None else _thawed(found)

    def _has(self, path: str, section: str, option: str) -> bool:
        return option in self._content(path).get(section, {})

    def _content(self, path: str) -> Mapping[str, Any]:
        """A file's tables; what stands outside of any is nobody's option."""
        if path not in self._each:
            self._each[path] = {name: table for name, table in _load_toml(path).items() if isinstance(table, dict)}
        return self._each[path]


def _load_toml(path: str) -> dict[str, Any]:
    for name in ("tomllib", "tomli", "toml"):  # Python's own from 3.11 on; the last one is luigi's
        try:
            toml = importlib.import_module(name)
        except ImportError:
            continue
        try:
            with open(path, encoding="utf-8") as file:
                return dict(toml.loads(file.read()))
        except ValueError as error:  # which has the line's number, and what was expected there
            line = re.search(r"line (\d+)", str(error))
            place = f"line {line[1]}: it" if line else "it"
            raise ConfigurationError(f"{path} can't be read: {place} is no TOML.") from None
    raise ConfigurationError(f"{path} can't be read: Python before 3.11 needs a package for TOML: pip install tomli.")


def _thawed(value: Any) -> Any:
    """Plain dicts and lists: luigi freezes what it has read."""
    if isinstance(value, Mapping):
        return {key: _thawed(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_thawed(inner) for inner in value]
    return value
