"""The embedded Redis when things go wrong: never two servers on one directory, and always a way back."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_sched import ConfigurationError, RedisUnavailable, Scheduler
from broker_sched.redis_backend import embedded_server as embedded
from broker_sched.redis_backend.clients import connect, resolve
from broker_sched.redis_backend.urls import describe
from tests.redis_backend.test_embedded_server import STARTER
from tests.servers import binaries, die_with_parent, is_alive, until


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A data directory, its server ended with the test."""
    yield tmp_path / "data"
    embedded.stop(tmp_path / "data")


def pid_of(home: Path) -> int:
    found = embedded.status(home)
    assert found is not None
    return int(found["pid"])


def kill(home: Path) -> None:
    pid = pid_of(home)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid), "it is dead")


def starts(home: Path) -> int:
    """How many servers were ever started here."""
    return len(re.findall("(Redis|Valkey) is starting", (home / "redis.log").read_text()))


def test_twenty_starters_get_one_server(home: Path) -> None:
    """Forked ones, all let go at the same moment."""
    gate, opener = os.pipe()
    starters: list[int] = []
    for _ in range(20):
        starter = os.fork()
        if starter == 0:
            try:
                os.close(opener)
                os.read(gate, 1)  # returns when the last opener is closed
                os._exit(0 if embedded.start(home) == f"unix://{home}/redis.sock" else 1)
            finally:  # an exception must not make it a second runner of the tests
                os._exit(2)
        starters.append(starter)
    os.close(opener)
    os.close(gate)
    assert [os.waitpid(starter, 0)[1] for starter in starters] == [0] * 20
    assert starts(home) == 1


def test_a_server_that_does_not_answer_is_reported_and_no_second_one_is_started(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers on one directory would write into the same append-only file."""
    embedded.start(home)
    pid = pid_of(home)
    monkeypatch.setattr(embedded, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(embedded, "START_SECONDS", 0.5)
    monkeypatch.setattr(embedded, "STOP_SECONDS", 0.5)
    os.kill(pid, signal.SIGSTOP)
    try:
        for ask in (embedded.start, embedded.stop, embedded.status):
            with pytest.raises(RedisUnavailable, match=rf"process {pid}\b.* answer"):
                ask(home)
    finally:
        os.kill(pid, signal.SIGCONT)
    monkeypatch.undo()
    assert pid_of(home) == pid
    assert starts(home) == 1


def test_a_server_whose_socket_file_was_removed_is_not_joined_by_a_second_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As cleaners of /tmp do with a socket that stands there."""
    embedded.start(home)
    monkeypatch.setattr(embedded, "START_SECONDS", 0.5)
    pid, socket = pid_of(home), home / "redis.sock"
    kept = home / "kept.sock"
    socket.rename(kept)
    with pytest.raises(RedisUnavailable, match=f"process {pid}"):
        embedded.start(home)
    kept.rename(socket)
    assert pid_of(home) == pid


def test_a_server_busy_with_a_script_counts_as_there(home: Path) -> None:
    client = connect(embedded.start(home))
    pid = pid_of(home)
    client.config_set("lua-time-limit", 1)
    script = "import redis, sys; redis.Redis(unix_socket_path=sys.argv[1]).eval('while true do end', 0)"
    command = [sys.executable, "-c", script, str(home / "redis.sock")]
    busy = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        until(lambda: _is_busy(home), "the script runs")
        assert embedded.start(home) == f"unix://{home}/redis.sock"
    finally:
        client.script_kill()
        busy.wait(20)
    assert pid_of(home) == pid


def _is_busy(home: Path) -> bool:
    from redis.exceptions import ResponseError

    try:
        embedded._client(home / "redis.sock").ping()
    except ResponseError as error:
        return "BUSY" in str(error)
    return False


def test_a_process_with_another_tmpdir_finds_the_same_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket of a long path stands elsewhere: all must agree where."""
    home = tmp_path / ("x" * 120)
    url = embedded.start(home)
    try:
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        command = [sys.executable, "-c", STARTER, str(home)]
        said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout
        assert said.strip() == url
        assert starts(home) == 1
        assert stat.S_IMODE(Path(url.removeprefix("unix://")).parent.stat().st_mode) == 0o700
    finally:
        embedded.stop(home)


def test_a_short_directory_that_others_could_have_made_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "SHORT_PARENT", tmp_path)
    home = tmp_path / ("x" * 120)
    embedded._socket_path(embedded._place(home)).parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match="shorter data directory"):
        embedded.start(home)


def test_a_killed_server_comes_back_for_a_client_that_was_connected(home: Path) -> None:
    scheduler = Scheduler(f"local://{home}", prune_interval_seconds=None)
    scheduler.add_task(worker="w", task_id="a")
    kill(home)
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    assert starts(home) == 2


def test_a_killed_server_comes_back_at_once(home: Path) -> None:
    connect(f"local://{home}").set("a", "b")
    kill(home)
    started = time.monotonic()
    assert connect(f"local://{home}").get("a") == "b"
    assert time.monotonic() - started < 5, "a stale socket was tried again and again"


def test_what_was_answered_before_a_kill_is_there_after_it(home: Path) -> None:
    """An answer is sent after the write to the file: only a machine that goes down loses the last second."""
    client = connect(f"local://{home}")
    for number in range(200):
        client.set(f"k{number}", "v")
    kill(home)
    assert client.dbsize() == 200


def test_the_files_are_the_users_own(home: Path) -> None:
    connect(f"local://{home}").set("a", "b")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for path in home.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0, path
    assert stat.S_IMODE((home / "redis.log").stat().st_mode) == 0o600


def test_a_locale_that_is_not_installed_does_no_harm(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "tlh_KL.UTF-8")
    assert connect(f"local://{home}").ping()


def test_another_users_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigurationError, match="belongs to user"):
        embedded.start(tmp_path)


def test_a_directory_without_the_right_to_write_is_named(tmp_path: Path) -> None:
    (tmp_path / "start.lock").mkdir()
    with pytest.raises(ConfigurationError, match=r"start\.lock can't be used"):
        embedded.start(tmp_path)


@pytest.mark.parametrize("older", ["redis62", "path"])
def test_data_of_redis_8_are_refused_by_an_older_server_and_kept(
    home: Path, older: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if older not in binaries():
        return  # no server on PATH: 6.2 is the only older one here
    monkeypatch.setattr(embedded, "find_server", lambda: binaries()["redis8"])
    client = connect(f"local://{home}")
    client.set("a", "b")
    client.bgrewriteaof()  # so that the file opens with a snapshot, whose version the older one doesn't know
    until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0, "the file is rewritten")
    client.close()
    embedded.stop(home)
    monkeypatch.setattr(embedded, "find_server", lambda: binaries()[older])
    with pytest.raises((ConfigurationError, RedisUnavailable), match=r"(written by Redis 7 or later|newer Redis)"):
        embedded.start(home)
    monkeypatch.setattr(embedded, "find_server", lambda: binaries()["redis8"])
    assert connect(f"local://{home}").get("a") == "b"


def test_data_of_an_older_redis_are_taken_over_by_a_newer_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_server", lambda: binaries()["redis62"])
    connect(f"local://{home}").set("a", "b")
    embedded.stop(home)
    monkeypatch.setattr(embedded, "find_server", lambda: binaries()["redis8"])
    assert connect(f"local://{home}").get("a") == "b"


def test_the_asynchronous_server_is_led_to_the_socket_and_a_dead_server_is_started_for_it(home: Path) -> None:
    for _ in range(2):
        found = resolve(f"local://{home}", "bsched:{default}:")
        assert (found.unix_path, found.password) == (str(home / "redis.sock"), None)
        kill(home)
    embedded.start(home)


def test_a_directory_in_a_url_may_have_any_name(tmp_path: Path) -> None:
    url = f"local://{tmp_path}/a%20b%3Fc"
    try:
        assert connect(url).ping()
        assert (tmp_path / "a b?c" / "redis.sock").exists()
        assert describe(url) == "local:***"
    finally:
        embedded.stop(tmp_path / "a b?c")
