"""What a test starts by way of the starter is what it would be in an interpreter that it has to itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.programs import PIPE, STDOUT, Ended, Program, environment_with
from tests.servers import is_alive, until

PROGRAM = """
import atexit, json, os, random, signal, sys, threading, warnings
import beside
print(json.dumps([
    os.getcwd(), sorted(os.environ.items()), sys.argv, sys.path, __name__, __spec__.name, __file__, sys.orig_argv[0],
    os.getsid(0) == os.getpid(), signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, sys.stdin.read(), threading.active_count(),
    sys.modules["__main__"].__dict__ is globals(), "luigi" in sys.modules, os.listdir("/proc/self/fd"),
    sys.stdout.encoding.lower(), sys.stderr.errors, sys.stdout.isatty(), sys.warnoptions,
]))
print("to stderr", file=sys.stderr)
atexit.register(print, "at exit")
threading.Timer(0.05, print, ["a thread"]).start()
if len(sys.argv) > 2:
    sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a program, and a module that it imports."""
    (tmp_path / "sample.py").write_text(PROGRAM)
    (tmp_path / "beside.py").touch()
    return tmp_path


@pytest.mark.parametrize("code", ["0", "7"])
@pytest.mark.parametrize("is_quiet", [False, True])
def test_a_program_finds_what_one_finds_that_imports_everything_itself(place: Path, code: str, is_quiet: bool) -> None:
    around: dict[str, Any] = {
        "cwd": place,
        "env": environment_with(place, BSCHED_SAMPLE="é", PYTHONUTF8="1"),
        "is_quiet": is_quiet,
    }
    found = [Ended(Program("word", code, program="sample", is_fresh=each, **around)) for each in (True, False)]
    assert [each.returncode for each in found] == [int(code)] * 2
    assert found[0].stdout == found[1].stdout
    assert found[1].stdout.endswith("]\na thread\nat exit\n") and found[1].stderr == "to stderr\n"


@pytest.mark.parametrize(
    "end", ["sys.exit('a text')", "sys.exit(300)", "sys.exit(True)", "os.kill(os.getpid(), 2)", "pass"]
)
def test_a_program_ends_as_an_interpreter_ends(place: Path, end: str) -> None:
    (place / "sample.py").write_text(f"import os, sys, time\nprint('begun')\n{end}")
    ended = [Ended(Program(program="sample", cwd=place, is_fresh=is_fresh)) for is_fresh in (True, False)]
    assert len({(each.returncode, each.stdout, each.stderr.splitlines()[-1:] == ["a text"]) for each in ended}) == 1


def test_what_can_not_be_written_changes_the_exit_code(place: Path) -> None:
    (place / "sample.py").write_text("print('to nobody')")
    codes = []
    for is_fresh in (True, False):
        with open("/dev/full", "w") as full:
            env = environment_with(PYTHONUNBUFFERED="")
            program = Program(program="sample", cwd=place, env=env, stdout=full, is_fresh=is_fresh)
        codes.append(program.wait(20))
    assert codes == [120, 120]


def test_an_error_is_told_as_an_interpreter_tells_it(place: Path) -> None:
    (place / "sample.py").write_text("raise ValueError('on purpose')")
    for is_fresh in (True, False):
        ended = Ended(Program(program="sample", cwd=place, is_fresh=is_fresh))
        assert ended.returncode == 1 and ended.stderr.endswith("\nValueError: on purpose\n")


def test_a_program_that_is_killed_is_gone_with_its_signal_for_a_code(place: Path) -> None:
    (place / "sample.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    program = Program(program="sample", cwd=place, stderr=STDOUT)
    assert program.stdout and program.stdout.readline() == "begun\n"
    assert program.poll() is None and is_alive(program.pid)
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.01)
    program.kill()
    assert program.wait(20) == program.poll() == -signal.SIGKILL
    assert not is_alive(program.pid)
    program.kill()  # nobody, by now


def test_programs_run_beside_each_other_and_write_where_they_are_told(place: Path) -> None:
    (place / "sample.py").write_text("import os, sys\nos.write(1, b'here ')\nsys.stdin = sys.stderr.write(sys.argv[1])")
    with (place / "log").open("w") as log:
        programs = [Program(word, program="sample", cwd=place, stdout=log, stderr=STDOUT) for word in ("a", "b", "c")]
    assert [program.wait(20) for program in programs] == [0, 0, 0]
    assert sorted((place / "log").read_text().replace("here ", "")) == ["a", "b", "c"]
    assert Ended(Program("x", program="sample", cwd=place, stdout=subprocess.DEVNULL, stderr=PIPE)).stderr == "x"


def test_all_that_was_started_ends_with_its_starter(place: Path) -> None:
    (place / "sample.py").write_text("import time\ntime.sleep(60)")
    tests = (
        "import os, sys\nfrom tests.programs import Program\n"
        "print(Program(program='sample', cwd=sys.argv[1]).pid, flush=True)\nos._exit(0)"
    )
    words = [sys.executable, "-c", tests, str(place)]
    found = subprocess.run(words, env=environment_with(), capture_output=True, text=True, check=True, timeout=60)
    until(lambda: not is_alive(int(found.stdout)), "the program has ended")
