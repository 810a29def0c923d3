"""Every option of luigi's own configuration, from luigi's classes and source, and what our documentation says of it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import luigi

PAGE = Path(__file__).resolve().parents[1] / "docs" / "migrating-from-luigi.md"
# Of the program, not of its contrib modules and tools, which read their sections by themselves; but for metrics.
MODULES = (
    "contrib.prometheus_metric",
    "interface",
    "worker",
    "scheduler",
    "notifications",
    "batch_notifier",
    "execution_summary",
    "retcodes",
    "server",
)
READS = re.compile(r"""\.(?:get|getint|getfloat|getboolean|has_option)\(\s*"(\w+)",\s*"([\w-]+)""")


class Row(NamedTuple):
    """A row of the table: an option, the commands that take it, and what is said otherwise."""

    takers: str
    otherwise: str


def luigis_options() -> dict[tuple[str, str], Any]:
    """(section, option) → luigi's parameter, or None for what luigi reads without one."""
    found: dict[tuple[str, str], Any] = {}
    root = Path(luigi.__file__).parent
    for module in MODULES:
        importlib.import_module(f"luigi.{module}")
    for cls in luigi.Config.__subclasses__():
        if cls.__module__ in [f"luigi.{module}" for module in MODULES]:
            found.update({(cls.__name__, name): parameter for name, parameter in cls.get_params()})
    for path in root.glob("*.py"):
        for section, option in READS.findall(path.read_text()):
            found.setdefault((section, option.replace("-", "_")), None)
    return found


def documented() -> dict[tuple[str, str], Row]:
    """(section, option), or (section, "all") → what the table of the page says."""
    table = PAGE.read_text().split("| section | options | taken by | otherwise |")[1].split("\n\n")[0]
    found = {}
    for line in table.splitlines()[2:]:
        sections, options, takers, otherwise = (cell.strip() for cell in line.strip("|").split("|"))
        names = [name for name in re.findall(r"`([\w…-]+)`", options) if "…" not in name and "-" not in name]
        for section in re.findall(r"`\[(\w+)\]`", sections):
            for name in ["all"] if options.startswith("all") else names:
                assert (section, name) not in found, f"two rows of [{section}] {name}"
                found[section, name] = Row(takers, otherwise)
    return found


def row_of(section: str, option: str) -> Row:
    """What the page says of an option."""
    page = documented()
    row = page.get((section, option), page.get((section, "all")))
    assert row is not None, f"docs/migrating-from-luigi.md says nothing of [{section}] {option}"
    return row
