"""A file that appears under its name only when it is whole. Source: luigi.target.AtomicLocalFile, 3.8.1."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Any


class AtomicFile:
    """A file open for writing under a temporary name; everything that files have is passed on to it.

    commit: gives the closed file its name. discard: removes it. Exactly one of them is called, when close() is, or
    when its `with` block ends; a file that is dropped without either is discarded.
    """

    def __init__(self, file: IO[Any], commit: Callable[[], None], discard: Callable[[], None]) -> None:
        self._file = file
        self._commit = commit
        self._discard = discard
        self._open = True

    def close(self) -> None:
        """Give the file its name. A second call does nothing."""
        if not self._open:
            return
        try:
            self._file.close()
            self._commit()
        except BaseException:
            self.abandon()
            raise
        self._open = False

    def abandon(self) -> None:
        """Close and remove the file; what was under its name before stays."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(Exception):  # a disk that is full fails here again; the file goes anyway
            self._file.close()
        self._discard()

    def __enter__(self) -> AtomicFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def __del__(self) -> None:
        if self.__dict__.get("_open"):
            with contextlib.suppress(Exception):  # nobody could catch it here
                self.abandon()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._file, name)
