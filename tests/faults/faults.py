"""What goes wrong. Each takes a second or so, and leaves the fleet able to go on."""

from __future__ import annotations

import contextlib
import resource
import signal
import threading
import time
from collections.abc import Callable

import psutil
import redis

from tests.faults.fleet import Fleet
from tests.servers import until

AWAY_SECONDS = 1.0


def kill_worker(fleet: Fleet) -> None:
    """kill -9 of a worker; another one comes for it."""
    kind = "http" if fleet.rounds % 2 else "redis"
    fleet.workers[kind].kill()
    fleet.workers[kind].wait()
    fleet.start_worker(kind)


def kill_task_process(fleet: Fleet) -> None:
    """kill -9 of a process that runs tasks."""
    worker = psutil.Process(fleet.workers["redis" if fleet.rounds % 2 else "http"].pid)
    for child in until(worker.children, "a task process runs")[:1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGKILL)


def kill_server(fleet: Fleet) -> None:
    """kill -9 of the server, which is started again after a while."""
    fleet.server.process.kill()
    fleet.server.process.wait()
    time.sleep(AWAY_SECONDS)
    fleet.start_server()


def kill_redis(fleet: Fleet) -> None:
    """kill -9 of Redis, which is started again after a while."""
    fleet.redis.kill()
    time.sleep(AWAY_SECONDS)
    fleet.redis.start()


def cut_network(fleet: Fleet) -> None:
    """Connections between a worker and the server break, and there are no new ones."""
    fleet.network.cut()
    time.sleep(AWAY_SECONDS)
    fleet.network.mend()


def flush_scripts(fleet: Fleet) -> None:
    """Redis forgets the scripts, again and again."""
    for _ in range(20):
        fleet.redis.client().script_flush()
        time.sleep(AWAY_SECONDS / 20)


def kill_connections(fleet: Fleet) -> None:
    """Redis closes all connections, again and again."""
    for _ in range(20):
        with contextlib.suppress(redis.RedisError):
            fleet.redis.client().execute_command("CLIENT", "KILL", "TYPE", "normal")
        time.sleep(AWAY_SECONDS / 20)


def run_out_of_memory(fleet: Fleet) -> None:
    """Redis refuses all that would need memory."""
    client = fleet.redis.client()
    client.config_set("maxmemory", 1)
    time.sleep(AWAY_SECONDS)
    client.config_set("maxmemory", 0)


def be_busy(fleet: Fleet) -> None:
    """A script of somebody else's keeps Redis busy, until it is killed."""
    client = fleet.redis.client()
    client.config_set("lua-time-limit", 50)

    def run_for_ever() -> None:
        with contextlib.suppress(redis.RedisError):
            fleet.redis.client().eval("while true do end", 0)

    thread = threading.Thread(target=run_for_ever)
    thread.start()
    time.sleep(AWAY_SECONDS)
    while thread.is_alive():
        with contextlib.suppress(redis.RedisError):
            client.script_kill()
        thread.join(0.05)


def be_read_only(fleet: Fleet) -> None:
    """Redis becomes a replica, and is made the primary again."""
    client = fleet.redis.client()
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    time.sleep(AWAY_SECONDS)
    client.execute_command("REPLICAOF", "NO", "ONE")


def fail_to_save(fleet: Fleet) -> None:
    """The disk is full: Redis can't save, and takes no writes until it can."""
    client = fleet.redis.client()
    snapshot = fleet.directory / "redis" / "dump.rdb"
    snapshot.unlink(missing_ok=True)
    snapshot.mkdir()  # a file can't be put there
    (snapshot / "something").touch()
    client.config_set("save", "3600 1")
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "it could not save")
    time.sleep(AWAY_SECONDS)
    (snapshot / "something").unlink()
    snapshot.rmdir()
    client.config_set("save", "")


def have_no_files(fleet: Fleet) -> None:
    """The server may open no more files, nor sockets."""
    server = psutil.Process(fleet.server.process.pid)
    before = server.rlimit(resource.RLIMIT_NOFILE)
    server.rlimit(resource.RLIMIT_NOFILE, (server.num_fds(), before[1]))
    fleet.network.cut()  # so that it needs new ones
    fleet.network.mend()
    time.sleep(AWAY_SECONDS)
    server.rlimit(resource.RLIMIT_NOFILE, before)


FAULTS: list[Callable[[Fleet], None]] = [
    *(kill_worker, kill_task_process, kill_server, kill_redis, cut_network, flush_scripts, kill_connections),
    *(run_out_of_memory, be_busy, be_read_only, fail_to_save, have_no_files),
]
