"""What a worker tells of itself. Source: luigi.worker.Worker._generate_worker_info, 3.8.1."""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import socket
from typing import Any


def worker_info(processes: int) -> list[tuple[str, Any]]:
    """Return name and value of salt, workers, host, username, pid and sudo_user; what the system does not tell is left
    out."""
    info: list[tuple[str, Any]] = [
        ("salt", f"{random.SystemRandom().randrange(10_000_000_000):010d}"),
        ("workers", processes),
        ("host", socket.gethostname()),
    ]
    with contextlib.suppress(OSError, KeyError, ImportError):  # a user without a name, as in some containers
        info.append(("username", getpass.getuser()))
    info.append(("pid", os.getpid()))
    if sudo_user := os.environ.get("SUDO_USER"):
        info.append(("sudo_user", sudo_user))
    return info


def worker_id(info: list[tuple[str, Any]]) -> str:
    """Make a worker's id of its info, as Luigi does: `Worker(salt=…, workers=…, host=…, …)`."""
    return f"Worker({', '.join(f'{name}={value}' for name, value in info)})"
