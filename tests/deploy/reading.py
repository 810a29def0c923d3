"""The files of deploy/, and the command lines in them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = ("bsched-server.service", "bsched-worker@.service")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")


def instructions(name: str) -> list[str]:
    """The arguments of the Dockerfile's instructions of this name."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.M)


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit: name → values. Sections don't matter, no name is in two of them."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def command_lines() -> dict[str, list[str]]:
    """Every command line that a file names: where it stands → its words."""
    (server,) = instructions("CMD")
    (health,) = (line.split("CMD ", 1)[1] for line in instructions("HEALTHCHECK"))
    found = {"Dockerfile CMD": json.loads(server), "Dockerfile HEALTHCHECK": json.loads(health)}
    for name, service in SERVICES.items():
        if "command" in service:
            found[f"compose {name}"] = service["command"]
        if "test" in service.get("healthcheck", {}):
            found[f"compose {name} health"] = service["healthcheck"]["test"][1:]  # without CMD
    for name in UNITS:
        (found[name],) = (shlex.split(line) for line in unit(name)["ExecStart"])
    return found
