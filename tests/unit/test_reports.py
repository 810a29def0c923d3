"""What a test says comes through to who runs the tests, whatever text is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import logging
import warnings

import pytest

HALF = "caf\\udce9"


class Shown:
    def __repr__(self):
        return f"Shown({HALF})"


def test_that_compares(record_property):
    record_property(HALF, HALF)
    assert f"{HALF} one" == f"{HALF} two"


def test_that_raises():
    shown = Shown()
    error = ValueError(f"no {HALF}")
    if hasattr(error, "add_note"):  # as hypothesis tells of its example; from Python 3.11 on
        error.add_note(f"Falsifying example: {shown!r}")
    raise error


@pytest.mark.parametrize("text", [HALF])
def test_that_logs(text):
    logging.getLogger("any").warning("not UTF-8: %s", text)
    warnings.warn(f"not UTF-8: {text}")


@pytest.fixture
def broken():
    yield
    raise RuntimeError(f"at the end: {HALF}")


def test_whose_end_fails(broken):
    print(HALF)


@pytest.mark.skip(reason=f"not with {HALF}")
def test_that_is_skipped():
    pass


def test_after_them():
    pass
"""


def test_a_test_that_says_what_no_encoding_has_is_reported_by_xdist_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "test_any.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    options = ["-p", "xdist", "-p", "tests.conftest", "-p", "no:cacheprovider", "-rA", "--numprocesses", "1"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr
    assert "INTERNALERROR" not in ran.stdout + ran.stderr
    for line in (
        "FAILED test_any.py::test_that_compares",
        "FAILED test_any.py::test_that_raises - ValueError: no caf\\udce9",
        "PASSED test_any.py::test_that_logs[caf\\udce9]",
        "ERROR test_any.py::test_whose_end_fails - RuntimeError: at the end: caf\\udce9",
        "PASSED test_any.py::test_after_them",
        "not UTF-8: caf\\udce9",
        "caf\\udce9 one",
        "not with caf\\udce9",
    ):
        assert line in ran.stdout, ran.stdout
    assert "2 failed, 3 passed, 1 skipped, 1 warning, 1 error" in ran.stdout
