"""Programs from Debian's archive, which tests run without that anybody has installed them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import debian_programs
from tests.debian_programs import debian_program, fetched


def test_promtool_runs_and_says_its_version() -> None:
    ran = debian_program("promtool").run("--version")
    assert ran.returncode == 0 and "promtool, version 2." in ran.stdout + ran.stderr


def test_many_who_ask_at_once_fetch_a_package_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetches: list[str] = []

    def fetch(package: str, directory: Path) -> None:
        fetches.append(package)
        (directory / "root").mkdir()

    monkeypatch.setattr(debian_programs, "_fetch", fetch)
    with ThreadPoolExecutor(8) as threads:
        roots = set(threads.map(lambda _: fetched("nginx", tmp_path / "debian"), range(8)))
    assert roots == {tmp_path / "debian" / "nginx"} and fetches == ["nginx"]


def test_where_there_is_no_apt_the_reason_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        debian_programs.NotFetched, match=r"^nginx is not installed, and without apt-get .*: install it$"
    ):
        fetched("nginx", tmp_path / "debian")
    with pytest.raises(debian_programs.NotFetched, match="without apt-get"):  # remembered, not tried again
        monkeypatch.setattr(debian_programs, "_fetch", lambda *_: pytest.fail("was tried again"))
        fetched("nginx", tmp_path / "debian")
