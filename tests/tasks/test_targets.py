"""A target is there whole, or not at all, whatever happens while it is written."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_sched.errors import BrokerSchedError
from broker_sched.tasks import FSSpecTarget, LocalTarget, Target, TargetError

fsspec = pytest.importorskip("fsspec", reason="fsspec is optional; `pip install fsspec` runs these tests")


@pytest.fixture(params=["local", "memory", "file"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A target that isn't there, in a directory that isn't there."""
    if request.param == "local":
        yield LocalTarget(tmp_path / "deep" / "file.txt")
    elif request.param == "file":
        yield FSSpecTarget(f"file://{tmp_path}/deep/file.txt")
    else:
        yield FSSpecTarget("memory://deep/file.txt")
        fsspec.filesystem("memory").store.clear()


def beside(target: Any) -> list[str]:
    """The names in the target's directory."""
    if isinstance(target, LocalTarget):
        return sorted(os.listdir(Path(target.path).parent))
    system, path = fsspec.core.url_to_fs(target.url)
    return sorted(found.rpartition("/")[2] for found in system.ls(path.rpartition("/")[0], detail=False))


class Interrupted(Exception):
    """Raised in the middle of writing."""


def test_what_is_written_can_be_read(target: Any) -> None:
    assert isinstance(target, Target)
    with target.open("w") as file:
        file.write("grün\n")
        assert not target.exists()
    assert target.exists()
    with target.open() as file:
        assert list(file) == ["grün\n"]
    with target.open("rb") as file:
        assert file.read() == "grün\n".encode()
    assert beside(target) == ["file.txt"]


def test_bytes_can_be_written(target: Any) -> None:
    with target.open("wb") as file:
        file.write(b"\x00\xff")
    with target.open("rb") as file:
        assert file.read() == b"\x00\xff"


def test_close_gives_the_file_its_name(target: Any) -> None:
    file = target.open("w")
    file.write("x")
    assert not target.exists()
    file.close()
    file.close()
    assert target.exists()


def test_a_block_that_raises_leaves_what_was_there_and_nothing_else(target: Any) -> None:
    with target.open("w") as file:
        file.write("before")
    with pytest.raises(Interrupted), target.open("w") as file:
        file.write("half")
        raise Interrupted
    with target.open() as file:
        assert file.read() == "before"
    assert beside(target) == ["file.txt"]


def test_a_file_that_is_dropped_leaves_nothing(target: Any) -> None:
    file = target.open("w")
    file.write("half")
    del file
    gc.collect()
    assert beside(target) == []


def test_a_temporary_path_takes_the_name_at_the_end(target: Any) -> None:
    with target.temporary_path() as temporary:
        with type(target)(temporary).open("w") as file:
            file.write("x")
        assert not target.exists()
    assert target.exists()
    assert beside(target) == ["file.txt"]


def test_a_temporary_path_whose_block_raises_leaves_nothing(target: Any) -> None:
    with pytest.raises(Interrupted), target.temporary_path() as temporary:
        with type(target)(temporary).open("w") as file:
            file.write("x")
        raise Interrupted
    assert not target.exists()
    assert beside(target) == []


def test_remove_is_content_when_there_is_nothing(target: Any) -> None:
    with target.open("w") as file:
        file.write("x")
    target.remove()
    target.remove()
    assert not target.exists()


@pytest.mark.parametrize("mode", ["a", "r+", "x", ""])
def test_other_modes_are_refused(target: Any, mode: str) -> None:
    with pytest.raises(TargetError, match="opens with r, rb, w or wb"):
        target.open(mode)


def test_a_directory_can_be_made_whole(tmp_path: Path) -> None:
    target = LocalTarget(tmp_path / "out")
    with target.temporary_path() as temporary:
        os.mkdir(temporary)
        Path(temporary, "part-0").write_text("x")
    assert os.listdir(target.fn) == ["part-0"]
    target.remove()
    assert not target.exists()


def test_fsync_is_asked_for_the_file_and_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.readlink(f"/proc/self/fd/{number}")))
    with LocalTarget(tmp_path / "file", fsync=True).open("w") as file:
        file.write("x")
    assert [Path(path).parent for path in synced] == [tmp_path, tmp_path.parent]


def test_a_missing_driver_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(TargetError, match="no driver for s3:// here: pip install s3fs"):
        FSSpecTarget("s3://bucket/key").exists()
    assert issubclass(TargetError, BrokerSchedError)


def test_a_missing_fsspec_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(TargetError, match="pip install fsspec"):
        FSSpecTarget("memory://x").exists()


def test_an_unknown_protocol_is_refused_without_the_password() -> None:
    with pytest.raises(TargetError, match=r"nosuch://me:\*\*\*@host") as caught:
        FSSpecTarget("nosuch://me:hunter2@host/x").exists()
    assert "hunter2" not in str(caught.value)


def test_options_and_passwords_are_not_shown() -> None:
    shown = repr(FSSpecTarget("sftp://me:hunter2@host/x", password="hunter2"))
    assert shown == "FSSpecTarget('sftp://me:***@host/x')"
