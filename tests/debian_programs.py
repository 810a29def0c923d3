"""Programs that no Python package brings, such as promtool and nginx: from PATH, else from Debian's archive.

Nothing is installed. apt works out what a package needs beyond what this system has; all of it is unpacked into
the virtual environment (`.venv/debian/<package>/`), and stays there for the next run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

PLACE = Path(sys.prefix) / "debian"
# The programs that tests ask for: the Debian package of each, and where it is in it.
PROGRAMS = {
    "chromium-headless-shell": ("chromium-headless-shell", "usr/lib/chromium/chromium-headless-shell"),
    "nginx": ("nginx", "usr/sbin/nginx"),
    "prometheus": ("prometheus", "usr/bin/prometheus"),
    "redis-server": ("redis-server", "usr/bin/redis-server"),  # which speaks TLS, as those in the wheels do not
    "promtool": ("prometheus", "usr/bin/promtool"),
}
NEEDED = ("apt-get", "apt-cache", "dpkg-deb", "tar")
# How long a failure to fetch a package is believed, instead of waiting for the network once more.
FAILURE_SECONDS = 300.0


@dataclass(frozen=True)
class DebianProgram:
    """A program that can be run: its path, and the environment variables that it needs beside the usual ones."""

    path: str
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment to run it in."""
        return {**os.environ, **self.variables}

    def run(self, *words: str, given: str = "", timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run it to its end, with this text for its input, and return what it wrote."""
        return subprocess.run(
            [self.path, *words],
            input=given,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


class NotFetched(Exception):
    """The package can't be had here; the message says why, and what to install."""


@cache
def debian_program(name: str) -> DebianProgram:
    """Return the program of this name. A test that asks for one which is not to be had here is skipped."""
    on_path = shutil.which(name)
    if on_path:
        return DebianProgram(on_path)
    package, place = PROGRAMS[name]
    try:
        root = fetched(package, PLACE)
    except NotFetched as error:
        pytest.skip(str(error))
    libraries = sorted({str(file.parent) for file in root.glob("usr/lib/**/*.so*")})
    return DebianProgram(str(root / place), {"LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else {})


def fetched(package: str, place: Path) -> Path:
    """Return the folder in `place` with what this package brings, and all that it needs beyond this system."""
    done, failure = place / package, place / f"{package}.failure"
    place.mkdir(exist_ok=True)
    with _lock(place / "lock"):  # xdist workers ask for the same at the same time
        if done.exists():
            return done
        if failure.exists() and time.time() - failure.stat().st_mtime < FAILURE_SECONDS:
            raise NotFetched(failure.read_text())
        with tempfile.TemporaryDirectory(dir=place) as directory:
            try:
                _fetch(package, Path(directory))
            except NotFetched as error:
                failure.write_text(str(error))
                raise
            (Path(directory) / "root").rename(
                done
            )  # at once: whoever is killed meanwhile leaves nothing that looks whole
    return done


def _fetch(package: str, directory: Path) -> None:
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        raise NotFetched(
            f"{package} is not installed, and without {' and '.join(missing)} it can't be fetched: install it"
        )
    options = [f"Dir::Cache::archives={directory}/archives", "Debug::NoLocking=1", "APT::Sandbox::User=root"]
    options += ["Acquire::Retries=2", "Acquire::http::Timeout=20", "Acquire::https::Timeout=20"]
    (directory / "archives" / "partial").mkdir(parents=True)
    if "Candidate: (none)" in (said := _run(["apt-cache", "policy", package], package)) or not said:
        # No lists of packages, as in most container images: get them, for this once.
        (directory / "lists" / "partial").mkdir(parents=True)
        options += [f"Dir::State::lists={directory}/lists", "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache="]
        _run(["apt-get", *_each("-o", options), "-qq", "update"], package)
    # --reinstall: where it is installed though not on PATH, it is fetched all the same.
    how = ["-qq", "--yes", "--no-install-recommends", "--download-only", "--reinstall"]
    _run(["apt-get", *_each("-o", options), *how, "install", package], package)
    for archive in (directory / "archives").glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(archive), str(directory / "root")], package)


def _each(flag: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]


def _run(command: list[str], package: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    if ran.returncode:
        said = " ".join((ran.stderr or ran.stdout).split())[-500:]
        raise NotFetched(f"{package} is not installed, and {command[0]} can't fetch it: install it. It said: {said}")
    return ran.stdout


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
