"""A state file of any luigi since 2.8 can be read, without luigi; a hostile one does no harm."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import luigi.scheduler
import msgspec
import pytest

from broker_sched.config import SchedulerConfig
from broker_sched.errors import ImportRefused
from broker_sched.luigi_state import reading
from broker_sched.luigi_state.converting import Conversion
from broker_sched.luigi_state.reading import PROGRAM, read_state

HERE = Path(__file__).parent


def lines_of(path: Path) -> tuple[dict[str, dict[str, Any]], Conversion]:
    """The tasks by id, as lines have them, and the conversion."""
    with closing(read_state(str(path))) as state:
        conversion = Conversion(state, SchedulerConfig(retry_count=2))
        conversion.checked()
        return {line.id: msgspec.to_builtins(line) for line in conversion.tasks()}, conversion


@pytest.fixture
def python2(tmp_path: Path) -> Path:
    """The oldest of the files, its texts as those of Python 2."""
    text = (HERE / "luigi-2.8.0-protocol-0.pickle").read_bytes()
    path = tmp_path / "python2.pickle"
    path.write_bytes(re.sub(rb"^V([ -&(-~]*)$", rb"S'\1'", text, flags=re.MULTILINE))
    assert b"S'Day_0'" in path.read_bytes()
    return path


@pytest.mark.parametrize("version", ["2.8.0", "2.8.0-protocol-0", "3.0.3", "python2"])
def test_the_state_of_an_older_luigi_is_read(version: str, python2: Path) -> None:
    """The files were written by these releases: batches, a run, failures, a disable, deps, workers that left."""
    tasks, conversion = lines_of(python2 if version == "python2" else HERE / f"luigi-{version}.pickle")
    assert {task_id: task["status"] for task_id, task in tasks.items()} == {
        **{f"Day_{number}": "BATCH_RUNNING" for number in range(4)},
        **{"Top": "PENDING", "Mid": "RUNNING", "Other": "UNKNOWN", "Fail": "FAILED", "Off": "DISABLED"},
        **{"Done": "DONE", "Gone": "PENDING"},
    }
    assert tasks["Day_1"]["worker_running"] == "w1"
    assert tasks["Day_1"]["batch_id"] == "d412c56f6000423b577905861187cd3e"
    assert tasks["Top"]["deps"] == ["Mid", "Other"]
    assert (tasks["Top"]["resources"], tasks["Top"]["params"]["x"]) == ({"db": 1}, "ü")
    assert tasks["Top"]["retry_policy"] == (7, None, None), "the scheduler's own values are not the task's"
    assert (tasks["Mid"]["workers"], tasks["Mid"]["status_message"]) == (["w2", "w1"], "at work")
    assert tasks["Fail"]["retry_at"] == 1500000081.25
    assert (tasks["Off"]["failures"], tasks["Off"]["first_failure"]) == ([1500000022.5, 1500000025.0], 1500000022.5)
    assert tasks["Off"]["disabled_at"] == 1500000026.0
    assert tasks["Gone"]["workers"] == [], "an assistant may run it"
    checked = conversion.checked()
    assert [(worker.id, worker.host, worker.disabled) for worker in checked.workers] == [
        *(("w1", "h1", False), ("w2", "h2", False), ("w3", None, True)),
    ]
    assert [worker.slots for worker in checked.workers] == [2, 1, None]
    assert checked.workers[0].messages[0]["kwargs"]["content"] == "hello"
    assert [line.families for line in checked.others] == [{"Day": (2**53, ["day"])}, {"Hour": (5, ["hour"])}]
    assert conversion.left == {}


def test_the_program_that_unpickles_can_import_nothing_but_the_standard_library() -> None:
    code = "import sys; print([each for each in sys.path if 'site-packages' in each])"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert "luigi" not in re.findall(r"^(?:from|import) (\w+)", PROGRAM.read_text(), re.M)
    assert "broker_sched" not in re.findall(r"^(?:from|import) (\w+)", PROGRAM.read_text(), re.M)


def opcodes(*parts: bytes) -> bytes:
    """A pickle of these opcodes."""
    return b"".join(parts) + b"."


def called(module: str, name: str, argument: bytes) -> bytes:
    """A pickle that calls a function."""
    return opcodes(f"c{module}\n{name}\n(V".encode(), argument, b"\ntR")


class Harm:
    """What calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.made = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.made


def hostile(canary: Path) -> dict[str, bytes]:
    """Pickles that would create the file, each in a way of its own."""
    command = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w')"
    import os

    protocols = {f"system, protocol {number}": pickle.dumps(Harm(os.system, command), number) for number in range(6)}
    task = b"cluigi.scheduler\nTask\n"
    return {
        **protocols,
        "eval": pickle.dumps(Harm(eval, code)),
        "exec": pickle.dumps(Harm(exec, code)),
        "import": pickle.dumps(Harm(__import__, "os")),
        "getattr": pickle.dumps(Harm(getattr, deque, "append")),
        "open": pickle.dumps(Harm(open, str(canary), "w")),
        "subprocess": pickle.dumps(Harm(subprocess.Popen, ["touch", str(canary)])),
        "of Python 2": called("__builtin__", "eval", code.encode()),
        "an old instance": opcodes(b"(S'" + command.encode() + b"'\nios\nsystem\n"),
        "a name with dots": opcodes(b"\x80\x04\x8c\x0fluigi.scheduler\x8c\x19Task.__init__.__globals__\x93"),
        "luigi's own import of os": called("luigi.scheduler", "os.system", command.encode()),
        "another class of luigi's": called("luigi.scheduler", "Scheduler", b"x"),
        "the program's own": called("__main__", "limit", b"1"),
        "unpickling again": called("pickle", "loads", b"x"),
        "something outside of the file": opcodes(b"Pos.system\n"),
        "the registry of extensions": opcodes(b"\x82\x01"),
        "attributes of a class": opcodes(task, b"(N(V__setstate__\ncposix\nsystem\ndtb"),
        "a reconstructed deque": opcodes(b"ccopy_reg\n_reconstructor\n(ccollections\ndeque\nNNtR"),
        "a deque that grows": opcodes(b"ccollections\ndeque\n(cos\nsystem\ntR"),
        "a state that calls": pickle.dumps(({"a": Harm(os.system, command)}, {}, {})),
    }


@pytest.mark.parametrize("name", sorted(hostile(Path("x"))))
def test_a_hostile_pickle_runs_nothing_and_is_refused(name: str, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "state.pickle"
    path.write_bytes(hostile(canary)[name])
    with pytest.raises(ImportRefused, match="Nothing was imported"):
        read_state(str(path))
    assert not canary.exists()


def test_most_of_those_pickles_would_do_harm_if_they_were_just_loaded(tmp_path: Path) -> None:
    """Else the test above would show nothing."""
    for number, name in enumerate(("system, protocol 2", "open", "a state that calls")):
        canary = tmp_path / str(number)
        code = "import pickle, sys; pickle.load(sys.stdin.buffer)"
        subprocess.run([sys.executable, "-c", code], input=hostile(canary)[name], check=False)
        assert canary.exists(), name


def doubled(times: int) -> bytes:
    """A list of two lists which are one, and so on: few bytes that have 2**times leaves."""
    value: list[Any] = []
    for _ in range(times):
        value = [value, value]
    return state_with(value)


def state_with(value: Any) -> bytes:
    """A state whose only task has this as its params."""
    task = object.__new__(luigi.scheduler.Task)
    task.__dict__.update(id="t", status="DONE", time=1.0, updated=1.0, deps=set(), params={"x": value})
    return pickle.dumps(({"t": task}, {}, {}))


def set_of(times: int) -> bytes:
    """A set with a tuple of two tuples which are one, and so on: hashing it takes 2**times steps."""
    value: tuple[Any, ...] = ()
    for _ in range(times):
        value = (value, value)
    return b"\x80\x04\x8f(" + pickle.dumps(value, 2)[2:-1] + b"\x90."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "EOFError"),
        (b"garbage", "UnpicklingError"),
        (pickle.dumps(({}, {}, {}))[:-3], "EOFError|UnpicklingError|truncated"),
        (pickle.dumps({"a": 1}), "not of luigid's state"),
        (pickle.dumps(({}, {})) + b"more", None),
        (pickle.dumps(({"t": 1}, {}, {})), "not of luigid's state"),
        (b"\x80\x04\x8e\x00\x00\x00\x00\x00\x01\x00\x00abc.", "memory|EOFError|UnpicklingError"),
        (b"\x80\x04" + b"]" * 10 + b"\x8a\xff" + b"\x7f" * 255 + b"0" * 10 + b"N.", "not of luigid's state"),
    ],
)
def test_what_is_damaged_or_no_state_of_luigis_is_refused(content: bytes, told: str | None, tmp_path: Path) -> None:
    path = tmp_path / "state.pickle"
    path.write_bytes(content)
    if told is None:
        read_state(str(path)).close()
        return
    with pytest.raises(ImportRefused, match=told):
        read_state(str(path))


def test_a_value_without_end_is_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "state.pickle"
    path.write_bytes(doubled(40))
    tasks, conversion = lines_of(path)
    assert tasks["t"]["status"] == "DONE"
    assert "params" not in tasks["t"]
    assert [sentence for sentence in conversion.left if "params" in sentence]


def test_a_pickle_that_takes_too_long_or_too_much_memory_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.pickle"
    path.write_bytes(set_of(60))
    monkeypatch.setattr(reading, "LEAST_SECONDS", 1)
    with pytest.raises(ImportRefused, match="took more than 1 s"):
        read_state(str(path))
    path.write_bytes(b"\x80\x04(" + b"]" * 3_000_000 + b"l.")  # 56 bytes each
    monkeypatch.setattr(reading, "LEAST_SECONDS", 60)
    monkeypatch.setattr(reading, "LEAST_MEGABYTES", 100)
    with pytest.raises(ImportRefused, match="needs more than 145 MB of memory"):
        read_state(str(path))


def test_what_json_has_no_place_for_is_left_out_of_a_task_that_stays(tmp_path: Path) -> None:
    task = object.__new__(luigi.scheduler.Task)
    odd = {"priority": float("nan"), "resources": {"db": -1, "gpu": 2}, "params": {"n": 10**30}, "expl": ["a", 1]}
    task.__dict__.update(id="t", status="RUNNING", time=1.0, worker_running=None, deps=None, **odd)
    path = tmp_path / "state.pickle"
    path.write_bytes(pickle.dumps(({"t": task}, {})))
    tasks, conversion = lines_of(path)
    assert tasks["t"]["status"] == "PENDING"
    assert tasks["t"]["resources"] == {"gpu": 2}
    assert json.loads(tasks["t"]["expl"]) == ["a", 1]
    assert len(conversion.left) == 4, conversion.left
    assert all(ids in ([], ["t"]) for _, ids in conversion.left.values())


def test_the_pickles_of_these_tests_are_pickles() -> None:
    for name, content in hostile(Path("x")).items():
        if "registry" not in name and "dots" not in name:
            pickletools.dis(content, out=io.StringIO())
