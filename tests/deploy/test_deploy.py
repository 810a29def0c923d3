"""What deploy/ promises: the files are well formed, and every command line in them does what it is there for."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest
import redis

from broker_sched import RemoteScheduler, Scheduler
from broker_sched.config import OPTIONS
from broker_sched.server.requests import MAX_BODY_BYTES
from tests.deploy.reading import COMPOSE, DEPLOY, DOCKERFILE, ROOT, SERVICES, UNITS, command_lines, instructions, unit
from tests.harness import ServerProcess
from tests.programs import STDOUT, Program, environment_with
from tests.servers import any_server, die_with_parent, free_port, redis_cli, until

pytestmark = pytest.mark.timeout(120)
PIPELINE = """
import time
from pathlib import Path
from broker_sched import LocalTarget, Task

class Slow(Task):
    def output(self): return LocalTarget("out")
    def run(self):
        Path("begun").touch()
        while not Path("go").exists(): time.sleep(0.02)
        with self.output().open("w") as file: file.write("done")
"""
Started: TypeAlias = "subprocess.Popen[str] | Program"
Start = Callable[..., Started]
LINES = command_lines()
RUN_BELOW = {
    "Dockerfile CMD",
    "Dockerfile HEALTHCHECK",
    "compose redis",
    "compose redis health",
    "compose nginx",
    "compose worker",
    "compose rq-supervisor",
    "compose rq-pool",
    *UNITS,
}


def test_every_command_line_is_run_by_a_test() -> None:
    assert set(LINES) == RUN_BELOW


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a command line as it is written, this installation's programs in place of the image's."""
    started: list[Started] = []
    modules = {"bsched": "bsched.main", "/opt/bsched/bin/bsched": "bsched.main", "rq": "rq.cli"}
    programs = {"python": lambda: sys.executable, "redis-server": any_server, "redis-cli": redis_cli}

    def run(words: list[str], **environment: str) -> Started:
        name, *others = words
        given = environment_with(tmp_path, **environment)
        if name in modules:
            started.append(Program(*others, program=modules[name], cwd=tmp_path, env=given, stderr=STDOUT))
        else:
            path = str(programs.get(name, lambda: name)())
            started.append(
                subprocess.Popen(
                    [path, *others],
                    cwd=tmp_path,
                    env=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    preexec_fn=die_with_parent,
                )
            )
        return started[-1]

    yield run
    for process in started:  # nginx ends its own processes, if it is asked to
        process.terminate()
    for process in started:
        process.communicate(timeout=30)


@pytest.fixture
def redis_url(start: Start) -> str:
    """The Redis of compose.yaml, by its own command line and redis.conf; only address and port are others."""
    port = free_port()
    program, conf = LINES["compose redis"]
    assert f"./redis.conf:{conf}:ro" in SERVICES["redis"]["volumes"]
    start([program, str(DEPLOY / "redis.conf"), "--port", str(port), "--bind", "127.0.0.1"])
    url = f"redis://127.0.0.1:{port}"
    client = redis.Redis.from_url(url, decode_responses=True)
    until(lambda: _answers(client), "Redis answers")
    return url


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def with_port(words: list[str], port: int) -> list[str]:
    """The same line, on another port than 8082."""
    changed = [word.replace("8082", str(port)) for word in words]
    assert changed != words
    return changed


def output_of(process: Started, code: int = 0) -> str:
    said, _ = process.communicate(timeout=60)
    assert process.returncode == code, said
    return said


# Redis


def test_redis_keeps_everything_and_throws_nothing_away(redis_url: str, start: Start) -> None:
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
    assert {name: client.config_get(name)[name] for name in wanted} == wanted  # Redis 6.2 takes one name at a time
    assert int(client.config_get("maxmemory")["maxmemory"]) > 0
    program, *words = LINES["compose redis health"]
    assert output_of(start([program, "-p", redis_url.rsplit(":", 1)[1], *words])) == "PONG\n"


# Servers


@pytest.mark.parametrize("where", ["Dockerfile CMD", "bsched-server.service"])
def test_a_server_serves_is_healthy_and_ends_at_once(where: str, redis_url: str, start: Start) -> None:
    port = free_port()
    told = SERVICES["server-1"]["environment"] if where == "Dockerfile CMD" else {}
    server = start(with_port(LINES[where], port), **{**told, "BSCHED_REDIS": redis_url})
    health = with_port(LINES["Dockerfile HEALTHCHECK"], port)

    def is_healthy() -> bool:
        process = start(health)
        process.communicate(timeout=30)
        return process.returncode == 0

    until(is_healthy, "it is healthy")
    with RemoteScheduler(f"http://127.0.0.1:{port}") as scheduler:
        scheduler.add_task(worker="w", task_id="a")
    server.send_signal(signal.SIGTERM)
    output_of(server)
    assert not is_healthy()


def test_the_image_alone_does_not_serve_everybody(start: Start) -> None:
    assert "BSCHED_INSECURE" in output_of(start(with_port(LINES["Dockerfile CMD"], free_port())), code=2)


# Workers


@pytest.mark.parametrize("where", ["compose worker", "bsched-worker@.service"])
def test_a_stopped_worker_lets_its_task_finish(where: str, redis_url: str, start: Start, tmp_path: Path) -> None:
    (tmp_path / "slow_pipeline.py").write_text(PIPELINE)
    worker = start(LINES[where], BSCHED_REDIS=redis_url)
    with closing(Scheduler(redis_url)) as scheduler:
        submitted = start(["bsched", "submit", "slow_pipeline", "Slow"], BSCHED_REDIS=redis_url)
        submission = output_of(submitted).split()[-1]
        until((tmp_path / "begun").exists, "it runs")
        worker.send_signal(signal.SIGTERM)
        assert worker.stdout is not None
        assert any("leaving when what runs has ended" in line for line in worker.stdout)
        (tmp_path / "go").touch()
        output_of(worker)
        assert (tmp_path / "out").read_text() == "done"
        assert scheduler.submission(submission)["state"] == "DONE"


def test_the_rq_pool_runs_what_its_supervisor_is_handed(redis_url: str, start: Start, tmp_path: Path) -> None:
    (tmp_path / "slow_pipeline.py").write_text(PIPELINE)
    (tmp_path / "go").touch()
    assert SERVICES["rq-pool"]["environment"]["RQ_REDIS_URL"] == SERVICES["rq-pool"]["environment"]["BSCHED_REDIS"]
    pool = start(LINES["compose rq-pool"], RQ_REDIS_URL=redis_url)
    supervisor = start(LINES["compose rq-supervisor"], BSCHED_REDIS=redis_url)
    submission = output_of(start(["bsched", "submit", "slow_pipeline", "Slow"], BSCHED_REDIS=redis_url)).split()[-1]
    output_of(start(["bsched", "wait", submission], BSCHED_REDIS=redis_url))
    assert (tmp_path / "out").read_text() == "done"
    for process in (supervisor, pool):
        process.send_signal(signal.SIGTERM)
        output_of(process)


def test_there_is_more_time_to_stop_than_a_worker_takes() -> None:
    drain = re.compile(r"--drain-timeout (\d+)")
    (timeout,) = unit("bsched-worker@.service")["TimeoutStopSec"]
    (seconds,) = drain.findall(unit("bsched-worker@.service")["ExecStart"][0])
    assert int(timeout) > int(seconds)
    for name, service in SERVICES.items():
        for seconds in drain.findall(" ".join(service.get("command", []))):
            assert service["stop_grace_period"] == "11m" and int(seconds) < 11 * 60, name


# nginx


def nginx_conf(servers: list[int], port: int, directory: Path) -> str:
    """The configuration, on other ports and in another directory."""
    text = (DEPLOY / "nginx.conf").read_text()
    for number, server in enumerate(servers, start=1):
        assert f"server-{number}:8082" in text
        text = text.replace(f"server-{number}:8082", f"127.0.0.1:{server}")
    return text.replace("listen 8082", f"listen 127.0.0.1:{port}").replace("/tmp/", f"{directory}/")


def test_the_proxy_knows_the_servers_and_takes_what_they_take() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    servers = {name for name, service in SERVICES.items() if "command" not in service}
    assert set(re.findall(r"server (server-\d+):8082", text)) == servers == {"server-1", "server-2"}
    assert re.findall(r"client_max_body_size (\d+)m", text) == [str(MAX_BODY_BYTES // 2**20)]
    (read_timeout,) = re.findall(r"proxy_read_timeout (\d+)s", text)
    assert int(read_timeout) > 30, "await_work takes up to 30 s"
    statements = [line.partition("#")[0].strip() for line in text.splitlines()]
    assert all(line.endswith((";", "{", "}")) for line in statements if line)
    assert text.count("{") == text.count("}")


def test_one_server_may_be_killed_behind_the_proxy(redis_url: str, start: Start, tmp_path: Path) -> None:
    """Where Debian's nginx is installed, by its own command line; the servers at its ports in any case."""
    servers = [ServerProcess("--redis", redis_url).await_ready() for _ in range(2)]
    ports = [int(server.url.rsplit(":", 1)[1]) for server in servers]
    urls = [server.url for server in servers]
    if shutil.which("nginx"):
        port, conf = free_port(), tmp_path / "nginx.conf"
        conf.write_text(nginx_conf(ports, port, tmp_path))
        checked = subprocess.run(["nginx", "-t", "-c", conf], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        start([*LINES["compose nginx"], "-c", str(conf)])
        urls = [f"http://127.0.0.1:{port}"] * 2
    schedulers = [RemoteScheduler(url, wait_seconds=0.1) for url in urls]
    until(lambda: _works(schedulers[1]), "calls arrive")
    servers[0].process.kill()
    for number in range(20):
        schedulers[1].add_task(worker="w", task_id=f"T_{number}")
    assert len(schedulers[1].task_list()) == 20
    assert schedulers[1].await_work(worker="w") == {"ready": True}
    servers[1].stop()


def _works(scheduler: RemoteScheduler) -> bool:
    try:
        return bool(scheduler.is_paused() == {"paused": False})
    except Exception:
        return False


# The files


def test_redis_is_reached_from_inside_only_and_nginx_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"nginx": ["127.0.0.1:8082:8082"]}


def test_services_come_back_wait_for_what_they_need_and_name_what_exists() -> None:
    known = {f"BSCHED_{name.upper()}" for name in OPTIONS} | {"BSCHED_REDIS", "BSCHED_NAMESPACE", "RQ_REDIS_URL"}
    known |= {"BSCHED_INSECURE"}
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped", name
        assert set(service.get("environment", {})) <= known, name
        for needed, condition in service.get("depends_on", {}).items():
            assert needed in SERVICES and condition == {"condition": "service_healthy"}, name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in ("./pipelines", *COMPOSE["volumes"]) or (DEPLOY / source).is_file(), volume
    assert SERVICES["server-1"]["build"] == {"context": "..", "dockerfile": "deploy/Dockerfile"}


def test_the_image_has_what_it_copies_and_is_not_run_by_root() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    copied = [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert sorted(copied) == sorted(kept)
    assert all((ROOT / name).exists() for name in copied)
    assert "README.md" in copied, "pyproject.toml reads it"
    assert DOCKERFILE.rindex("USER bsched") > DOCKERFILE.rindex("RUN ")
    assert all("slim" in line for line in instructions("FROM"))


def test_the_extras_of_the_image_and_of_the_manual_exist() -> None:
    declared = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.M))
    texts = [DOCKERFILE, (DEPLOY / "README.md").read_text()]
    wanted = {each for text in texts for group in re.findall(r"\[([\w,]+)\]['\"]", text) for each in group.split(",")}
    assert wanted and wanted <= declared


def test_the_units_settings_are_those_of_the_program() -> None:
    names = re.findall(r"^(\w+)=", (DEPLOY / "bsched.env.example").read_text(), re.M)
    assert names == ["BSCHED_REDIS", "BSCHED_NAMESPACE", "PYTHONPATH"]
    for name in UNITS:
        assert unit(name)["EnvironmentFile"] == ["/etc/bsched/bsched.env"]
        assert unit(name)["User"] == ["bsched"] and unit(name)["Restart"] == ["always"]
        assert "KillSignal" not in unit(name), "SIGTERM, as by default"
    assert unit("bsched-worker@.service")["KillMode"] == ["mixed"], "tasks are not for systemd to end"


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_units(name: str, tmp_path: Path) -> None:
    """By systemd's own judgement where it is installed, else by the shape of the lines."""
    text = (DEPLOY / name).read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"\[\w+\]|[A-Z]\w+=.+", line) for line in lines)
    assert [line for line in lines if line.startswith("[")] == ["[Unit]", "[Service]", "[Install]"]
    if shutil.which("systemd-analyze"):
        path = tmp_path / name.replace("@", "@1")
        path.write_text(text.replace("/opt/bsched/bin/bsched", "/bin/true"))
        done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
        complaints = [line for line in done.stderr.splitlines() if name.split("@")[0].removesuffix(".service") in line]
        assert (done.returncode, complaints) == (0, []), done.stderr
