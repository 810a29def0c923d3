"""Who this process belongs to, as it is noted beside what people do."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket


def user_at_host() -> str:
    """Return `user@host` of this process; the user's number where there is no name, as in some containers."""
    user = str(os.getuid()) if hasattr(os, "getuid") else "?"
    with contextlib.suppress(OSError, KeyError, ImportError):
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"
