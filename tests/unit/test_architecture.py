"""Imports point one way, files are short, docs are current, nothing is left for later."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "broker_sched"
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "cli").rglob("*.py")])

# What the modules of a row may import of broker_sched, besides what stands in rows above them.
LAYERS = (
    ("errors", "clock", "states", "wire", "steps", "request_ids"),
    ("config", "api", "lua", "luigi_config"),
    ("model",),
    ("worker", "mails"),
    ("arguments",),
    ("scheduler",),
    ("http", "rq"),
)


def imports_of(path: Path) -> set[str]:
    """The modules a file imports, in full."""
    found = set()
    for part in ast.walk(ast.parse(path.read_text())):
        if isinstance(part, ast.Import):
            found.update(alias.name for alias in part.names)
        elif isinstance(part, ast.ImportFrom) and part.module:
            found.add(part.module)
            found.update(f"{part.module}.{alias.name}" for alias in part.names)
    return found


def layer_of(module: str) -> int | None:
    name = module.split(".")[1] if "." in module else ""
    return next((number for number, names in enumerate(LAYERS) if name in names), None)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_layer_or_below(path: Path) -> None:
    own = layer_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own is None:
        return  # the package's front door
    for module in imports_of(path):
        if module.startswith("broker_sched."):
            other = layer_of(module)
            assert other is None or other <= own, f"{path.name} imports {module}"


def test_luigi_is_no_dependency_of_the_program() -> None:
    assert not [path for path in SOURCES if any(name.split(".")[0] == "luigi" for name in imports_of(path))]


def test_the_methods_steps_do_no_io() -> None:
    for path in (PACKAGE / "scheduler" / "methods").glob("*.py"):
        assert not {"redis", "socket", "time"} & {name.split(".")[0] for name in imports_of(path)}, path


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting_and_a_function_on_one_screen(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 420
    for part in ast.walk(ast.parse(text)):
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (part.end_lineno or 0) - part.lineno <= 75, part.name


def test_every_public_thing_says_what_it_is() -> None:
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        for part in tree.body:
            if isinstance(part, (ast.FunctionDef, ast.ClassDef)) and not part.name.startswith("_"):
                is_plain_record = path.name == "wire.py"
                assert ast.get_docstring(part) or is_plain_record, f"{path}: {part.name}"


def test_the_generated_docs_are_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_left_for_later() -> None:
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")))
    files = [*SOURCES, *PACKAGE.rglob("*.lua"), *(ROOT / "tests").rglob("*.py")]
    assert not [path for path in files if marks.search(path.read_text())]
