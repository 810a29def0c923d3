"""`--processes`: several of them on one port, one that dies, and how all of them end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from broker_sched import RemoteScheduler
from broker_sched.server.serve import Server
from tests.harness import RedisProcess, ServerProcess
from tests.server.raw import answers, connected, is_read, post, until_closed
from tests.servers import is_alive, until

Start = Callable[..., ServerProcess]


def children(server: ServerProcess) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def kill_one(server: ServerProcess) -> int:
    """Its process id, when another has taken its place."""
    killed = children(server)[0].pid
    os.kill(killed, signal.SIGKILL)

    def is_replaced() -> bool:
        found = [process.pid for process in children(server)]
        return len(found) == 3 and killed not in found

    until(is_replaced, "another is there")
    return killed


@pytest.fixture
def three(own_redis: RedisProcess, start_server: Start, tmp_path: Path) -> ServerProcess:
    name = tmp_path.name.replace("_", "-")
    return start_server("--redis", own_redis.url, "--namespace", name, "--processes", "3").await_ready()


def test_all_processes_answer_on_one_port(three: ServerProcess) -> None:
    assert three.ready_line.endswith(", 3 processes")
    first, second, third = children(three)
    for stopped in ((first, second), (first, third), (second, third)):
        for process in stopped:
            process.suspend()
        assert three.call("ping", worker="w") == {"rpc_messages": []}, "the one that is left answers"
        for process in stopped:
            process.resume()


def test_one_that_is_killed_is_replaced_while_the_others_serve(three: ServerProcess) -> None:
    before = {process.pid for process in children(three)}
    killed = kill_one(three)
    before.remove(killed)
    assert before < {process.pid for process in children(three)}
    assert three.call("ping", worker="w") == {"rpc_messages": []}
    assert [line for line in three.said if f"process {killed} was ended by signal 9" in line]
    assert three.stop() == 0


def test_one_that_is_told_to_end_answers_what_it_has_and_is_replaced(three: ServerProcess) -> None:
    with connected(three) as link:
        link.sendall(post(b"/api/await_work", b'{"worker":"w","seconds":30}'))
        until(lambda: three.call("worker_list"), "it waits")
        told = children(three)
        for process in told:
            process.send_signal(signal.SIGTERM)
        assert [said.status for said in answers(until_closed(link))] == [200]
    # Who comes to one that is about to leave may find that it has left, and comes again.
    until(lambda: not any(is_alive(process.pid) for process in told), "they have left")
    assert three.call("ping", worker="w") == {"rpc_messages": []}
    assert three.stop() == 0


@pytest.mark.parametrize("is_sent_to_all", [False, True])
def test_a_signal_ends_all_of_them_in_good_order(three: ServerProcess, is_sent_to_all: bool) -> None:
    processes = children(three)
    with connected(three) as waiting, connected(three) as half:
        waiting.sendall(post(b"/api/await_work", b'{"worker":"w","seconds":30}'))
        half.sendall(post(b"/api/ping", b'{"worker":"w"}')[:-1])
        until(lambda: three.call("worker_list"), "it waits")
        until(lambda: is_read(half), "the half request has come, too")
        for process in [psutil.Process(three.process.pid), *(processes if is_sent_to_all else [])]:
            with contextlib.suppress(psutil.NoSuchProcess):  # the first one has told it, and it has left
                process.send_signal(signal.SIGINT if is_sent_to_all else signal.SIGTERM)
        half.sendall(b"}")
        assert [said.status for said in answers(until_closed(waiting))] == [200]
        assert [said.status for said in answers(until_closed(half))] == [200]
    assert three.wait() == 0
    assert not [process for process in processes if is_alive(process.pid)]
    assert three.said == []


def test_a_signal_that_a_process_hears_of_from_its_parent_first_is_no_second_one() -> None:
    async def app(*arguments: Any) -> None:
        """Never called."""

    server = Server(app, lambda: None, lambda: None)
    server.started = True
    server.end()
    server.handle_exit(signal.SIGINT, None)
    assert server.should_exit and not server.force_exit
    server.handle_exit(signal.SIGINT, None)
    assert server.force_exit


def test_a_second_signal_waits_for_nobody(three: ServerProcess) -> None:
    processes = children(three)
    with connected(three) as half:
        half.sendall(b"POST /api/ping HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert half.recv(1000).startswith(b"HTTP/1.1 100")
        three.process.send_signal(signal.SIGTERM)
        three.process.send_signal(signal.SIGINT)
        assert three.wait() == 0
    assert not [process for process in processes if is_alive(process.pid)]


def test_they_end_when_the_one_that_looks_after_them_is_killed(three: ServerProcess) -> None:
    processes = children(three)
    with connected(three) as link:
        link.sendall(post(b"/api/await_work", b'{"worker":"w","seconds":30}'))
        until(lambda: three.call("worker_list"), "it waits")
        three.process.kill()
        assert [said.status for said in answers(until_closed(link))] == [200]
    until(lambda: not [process for process in processes if is_alive(process.pid)], "all have ended")


def test_what_keeps_one_from_starting_is_told_once(own_redis: RedisProcess, start_server: Start) -> None:
    own_redis.client.hset("bsched:{newer}:config", "schema", "99")
    server = start_server("--redis", own_redis.url, "--namespace", "newer", "--processes", "3")
    assert server.wait() == 2
    assert len(server.said) == 1
    assert "schema version 99" in server.said[0]


def test_memory_is_not_shared(start_server: Start) -> None:
    server = start_server("--redis", "memory:", "--processes", "2")
    assert server.wait() == 2
    assert "Leave out --processes" in server.said[0]


def test_a_unix_socket_is_shared_and_goes_with_the_server(
    own_redis: RedisProcess, start_server: Start, tmp_path: Path
) -> None:
    path = tmp_path / "bsched.sock"
    where = ("--redis", own_redis.url, "--unix-socket", str(path), "--processes", "2")
    server = start_server(*where).await_ready()
    os.kill(children(server)[0].pid, signal.SIGKILL)
    until(lambda: len(children(server)) == 2, "another is there")
    assert path.exists(), "who ends in between leaves it alone"
    assert server.call("ping", worker="w") == {"rpc_messages": []}
    assert server.stop() == 0
    assert not path.exists()


def test_many_clients_at_once_are_served_while_processes_die(three: ServerProcess) -> None:
    ends, failures = threading.Event(), []

    def work(number: int) -> None:
        with RemoteScheduler(three.url, wait_seconds=0.05, attempts=20, log_retries=False) as scheduler:
            while not ends.is_set():
                try:
                    scheduler.add_task(worker=f"w{number}", task_id=f"t{number}", status="PENDING")
                except Exception as error:
                    failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        kill_one(three)
    ends.set()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert set(three.call("task_list")) == {f"t{number}" for number in range(8)}


def test_a_port_in_use_is_told_before_anything_is_started(own_redis: RedisProcess, start_server: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        server = start_server("--redis", own_redis.url, "--port", port, "--processes", "2")
        assert server.wait() == 2
        assert "in use" in server.said[0]
