"""What tasks make: files here, and files elsewhere by fsspec. Source: luigi.target and luigi.local_target, 3.8.1."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, cast, runtime_checkable
from uuid import uuid4

from broker_sched.errors import BrokerSchedError
from broker_sched.tasks.atomic_file import AtomicFile
from broker_sched.tasks.protocol import without_password

# Packages that bring fsspec what it needs for a protocol; it names them itself for most.
INSTALL = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "hdfs": "pyarrow",
    "abfs": "adlfs",
    "az": "adlfs",
}


class TargetError(BrokerSchedError):
    """Raised when a target can't be used as it was asked to be."""


@runtime_checkable
class Target(Protocol):
    """Something that a task makes. Any object with exists() will do."""

    def exists(self) -> bool:
        """Return whether what the target stands for is there."""


class LocalTarget:
    """A file or directory of this machine. It is there whole or not at all, whoever dies meanwhile.

    path: text or Path. encoding, newline: as open() has them. fsync: also survive a power cut right after.
    Source: luigi.local_target.LocalTarget, 3.8.1.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        encoding: str = "utf-8",
        newline: str | None = None,
        fsync: bool = False,
    ) -> None:
        self.path = os.fspath(path)
        self.encoding = encoding
        self.newline = newline
        self.fsync = fsync

    @property
    def fn(self) -> str:
        """The path, under the name that it has in older versions of Luigi."""
        return self.path

    def __repr__(self) -> str:
        return f"LocalTarget({self.path!r})"

    def __str__(self) -> str:
        return self.path

    def exists(self) -> bool:
        """Return whether there is a file or directory at the path."""
        return os.path.exists(self.path)

    def makedirs(self) -> None:
        """Make the directory that the path is in, where there is none."""
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove the file, or the directory with all in it. Nothing happens when there is none."""
        if os.path.isdir(self.path) and not os.path.islink(self.path):
            shutil.rmtree(self.path)
        else:
            Path(self.path).unlink(missing_ok=True)

    def open(self, mode: str = "r") -> IO[Any]:
        """Open for reading ("r", "rb") or writing ("w", "wb").

        Writing goes to a temporary file beside it, which takes the name at close() or when its `with` block ends. When
        the block raises, what was there before is still there, and nothing else. Raises TargetError for other modes.
        """
        _check_mode(mode)
        text: dict[str, Any] = {} if "b" in mode else {"encoding": self.encoding, "newline": self.newline}
        if mode[0] == "r":
            return open(self.path, mode, **text)
        self.makedirs()
        temporary = self._temporary()
        file = open(temporary, mode, **text)  # noqa: SIM115  # it is closed by who asked for it
        return cast(IO[Any], AtomicFile(file, lambda: self._take(temporary), LocalTarget(temporary).remove))

    @contextlib.contextmanager
    def temporary_path(self) -> Iterator[str]:
        """A path beside it to write a file or a directory to; it takes the name when the block ends.

        When the block raises, it is removed. A file at the name is replaced; a directory must be removed before.
        """
        self.makedirs()
        temporary = self._temporary()
        try:
            yield temporary
            self._take(temporary)
        finally:
            LocalTarget(temporary).remove()

    def _temporary(self) -> str:
        place = Path(self.path)
        return str(place.with_name(f".{place.name[:100]}.{uuid4().hex[:12]}.tmp"))

    def _take(self, temporary: str) -> None:
        """Give the temporary file or directory the target's name."""
        if self.fsync and os.path.isfile(temporary):
            _sync(temporary)
        os.replace(temporary, self.path)
        if self.fsync:
            _sync(str(Path(self.path).parent))


class FSSpecTarget:
    """A file that fsspec opens: s3://…, gs://…, hdfs://…, memory://…; its driver must be installed.

    options: what fsspec's file system takes (keys, endpoints). A file is written under a temporary name, then moved:
    atomic where the file system's move is (hdfs, sftp, local); object stores copy on the server, and the copy is whole
    or not there. Raises TargetError naming the package to install.
    """

    def __init__(self, url: str, *, encoding: str = "utf-8", **options: Any) -> None:
        self.url = url
        self.encoding = encoding
        self.options = options  # may hold secrets: never shown

    @property
    def path(self) -> str:
        """The URL, as targets have their place in `path`."""
        return self.url

    def __repr__(self) -> str:
        return f"FSSpecTarget({without_password(self.url)!r})"

    def __str__(self) -> str:
        return without_password(self.url)

    def exists(self) -> bool:
        """Whether it is there. What the file system raises is raised."""
        system, path = self._opened()
        system.invalidate_cache()  # others write, too
        return bool(system.exists(path))

    def makedirs(self) -> None:
        """Make the directory that it is in, where the file system has directories."""
        system, path = self._opened()
        _make_parent(system, path)

    def remove(self) -> None:
        """Remove it, with all in it. Nothing happens when there is none."""
        system, path = self._opened()
        with contextlib.suppress(FileNotFoundError):
            system.rm(path, recursive=True)

    def open(self, mode: str = "r") -> IO[Any]:
        """Open for reading ("r", "rb") or writing ("w", "wb"); written at close() or when the `with` block ends.

        When a writing block raises, what was there before is still there, and nothing else. Raises TargetError for
        other modes.
        """
        _check_mode(mode)
        text = {} if "b" in mode else {"encoding": self.encoding}
        system, path = self._opened()
        if mode[0] == "r":
            return cast(IO[Any], system.open(path, mode, **text))
        _make_parent(system, path)
        _, temporary = self._opened(self._temporary())
        file = system.open(temporary, mode, **text)
        return cast(
            IO[Any], AtomicFile(file, lambda: _move(system, temporary, path), lambda: _discard(system, temporary))
        )

    @contextlib.contextmanager
    def temporary_path(self) -> Iterator[str]:
        """A URL beside it to write to; it is moved to the name when the block ends, and removed when that raises."""
        temporary_url = self._temporary()
        system, path = self._opened()
        _, temporary = self._opened(temporary_url)
        _make_parent(system, path)
        try:
            yield temporary_url
            _move(system, temporary, path)
        except BaseException:
            _discard(system, temporary)
            raise

    def _temporary(self) -> str:
        parent, _, name = self.url.rpartition("/")
        return f"{parent}/.{name[:100]}.{uuid4().hex[:12]}.tmp"

    def _opened(self, url: str | None = None) -> tuple[Any, str]:
        """Return fsspec's file system for the URL, and the path in it."""
        fsspec = _load_fsspec()
        try:
            system, path = fsspec.core.url_to_fs(url or self.url, **self.options)
        except ImportError as error:
            protocol = self.url.partition("://")[0]
            package = INSTALL.get(protocol)
            hint = f"pip install {package}" if package else without_password(str(error))
            raise TargetError(f"fsspec has no driver for {protocol}:// here: {hint}.") from None
        except ValueError as error:
            raise TargetError(f"{self!r} can't be opened: {without_password(str(error))}.") from None
        return system, str(path)


def _load_fsspec() -> Any:
    try:
        return importlib.import_module("fsspec")
    except ImportError:
        raise TargetError("FSSpecTarget needs fsspec: pip install fsspec.") from None


def _make_parent(system: Any, path: str) -> None:
    parent = str(PurePosixPath(path).parent)
    if parent not in (".", "", "/"):
        system.makedirs(parent, exist_ok=True)


def _check_mode(mode: str) -> None:
    if mode not in ("r", "w", "rb", "wb", "rt", "wt"):
        raise TargetError(f"A target opens with r, rb, w or wb, not {mode!r}: it is written whole or not at all.")


def _move(system: Any, temporary: str, path: str) -> None:
    system.mv(temporary, path, recursive=bool(system.isdir(temporary)))


def _discard(system: Any, temporary: str) -> None:
    with contextlib.suppress(Exception):  # there may be none; and the error that led here is the one to tell
        system.rm(temporary, recursive=True)


def _sync(path: str) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
