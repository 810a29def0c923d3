"""/metrics over HTTP: every server says the same, whatever they are called, and when Redis is away."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker_sched.contract.roles import Role
from broker_sched.errors import RedisUnavailable
from broker_sched.redis_backend.multiplexed_connection import open_connections
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.metric_counts import OTHER
from broker_sched.server import routes
from broker_sched.server.access.caller import Caller, Sees
from broker_sched.server.app import AppConfig
from broker_sched.server.metrics.counters import Counters
from broker_sched.server.metrics.scraping import Scraping
from broker_sched.server.metrics.table import METRICS
from tests.debian_programs import debian_program
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.server.access.asgi import InProcess
from tests.servers import until

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(server: ServerProcess) -> Samples:
    """Every sample of /metrics, by name and labels."""
    reply = server.request("GET", "/metrics")
    assert reply.status == 200, reply
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def is_counter(name: str) -> bool:
    return name.endswith(("_total", "_bucket", "_count", "_sum"))


def run_one(server: ServerProcess, task_id: str, family: str, status: str = "DONE") -> None:
    """Schedule a task, run it on worker w and report what became of it."""
    server.call("add_task", worker="w", task_id=task_id, family=family, priority=9)
    assert server.call("get_work", worker="w")["task_id"] == task_id
    server.call("add_task", worker="w", task_id=task_id, family=family, status=status)


@pytest.fixture(scope="module")
def pair(own_redis: RedisProcess) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two servers of one namespace."""
    servers = [ServerProcess("--redis", own_redis.url, "--namespace", "pair").await_ready() for _ in range(2)]
    yield servers[0], servers[1]
    for server in servers:
        assert server.stop() == 0


def test_every_server_says_the_same(pair: tuple[ServerProcess, ServerProcess]) -> None:
    first, second = pair
    run_one(first, "good", "Load")
    run_one(second, "bad", "Load", "FAILED")
    second.call("add_task", worker="w", task_id="left", family="Load")

    def told() -> tuple[Samples, Samples]:  # calls that the other server has counted are told within some seconds
        return scrape(first), scrape(second)

    def are_equal() -> bool:
        changing = "bsched_oldest_ready_seconds"
        one, two = ({key: each for key, each in side.items() if key[0] != changing} for side in told())
        return one == two

    until(are_equal, "both say the same")
    samples = scrape(first)
    assert value(samples, "luigi_task_started_total", family="Load") == 2
    assert value(samples, "luigi_task_done_total", family="Load") == 1
    assert value(samples, "luigi_task_failed_total", family="Load") == 1
    assert value(samples, "bsched_queue_wait_seconds_count", family="Load") == 2
    assert value(samples, "bsched_task_runtime_seconds_count", family="Load") == 1
    assert value(samples, "bsched_tasks", status="PENDING") == 1
    assert value(samples, "bsched_ready_tasks") == 1
    assert value(samples, "bsched_workers", state="active") == 1
    assert value(samples, "bsched_wanted_slots") == 1
    assert value(samples, "bsched_rpc_duration_seconds_count", method="get_work") == 2
    assert value(samples, "bsched_rpc_duration_seconds_count", method="add_task") == 5


def test_every_metric_of_the_table_is_told_as_promtool_wants_it(pair: tuple[ServerProcess, ServerProcess]) -> None:
    text = pair[0].request("GET", "/metrics").body.decode()
    told = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}
    assert told == {metric.name: metric.type for metric in METRICS}
    checked = debian_program("promtool").run("check", "metrics", given=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_openmetrics_is_told_to_whoever_asks_for_it(pair: tuple[ServerProcess, ServerProcess]) -> None:
    reply = pair[0].request("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.body.endswith(b"# EOF\n")


def test_odd_family_names_stay_inside_their_label(pair: tuple[ServerProcess, ServerProcess]) -> None:
    odd = 'a"} 1\nb{x="\\'
    run_one(pair[0], "odd", odd)
    assert value(scrape(pair[0]), "luigi_task_done_total", family=odd) == 1


def test_no_task_id_is_ever_a_label(pair: tuple[ServerProcess, ServerProcess]) -> None:
    run_one(pair[0], "an_id_to_look_for", "Load")
    assert b"an_id_to_look_for" not in pair[0].request("GET", "/metrics").body


def test_families_beyond_the_first_200_are_counted_together_and_those_keep_their_own(own_redis: RedisProcess) -> None:
    server = ServerProcess("--redis", own_redis.url, "--namespace", "families").await_ready()
    try:
        for number in range(205):
            run_one(server, f"t{number}", f"F{number}")
        before = scrape(server)
        run_one(server, "late", "F204")
        run_one(server, "early", "F7")
        run_one(server, "of that name", OTHER)
        after = scrape(server)
    finally:
        assert server.stop() == 0
    families = {dict(labels)["family"] for name, labels in after if name == "luigi_task_done_total"}
    assert len(families) == 201 and "F7" in families and "F204" not in families
    assert value(before, "luigi_task_done_total", family=OTHER) == 5
    assert value(after, "luigi_task_done_total", family=OTHER) == 7
    assert value(after, "luigi_task_done_total", family="F7") == 2


def test_a_woken_worker_is_counted_when_it_asks_for_work(pair: tuple[ServerProcess, ServerProcess]) -> None:
    first, second = pair
    before = value(scrape(first), "bsched_wakeup_seconds_count")
    waiting = threading.Thread(target=lambda: first.call("await_work", worker="sleeper", seconds=20))
    waiting.start()
    until(lambda: any(each["name"] == "sleeper" for each in second.call("worker_list")), "the worker waits")
    second.call("add_task", worker="sleeper", task_id="wakes", family="Load")
    waiting.join()
    assert second.call("get_work", worker="sleeper")["task_id"] == "wakes"
    assert value(scrape(second), "bsched_wakeup_seconds_count") == before + 1


def test_without_redis_a_server_says_so_and_nothing_else(tmp_path: Path) -> None:
    redis = RedisProcess(tmp_path)
    server = ServerProcess("--redis", redis.url).await_ready()
    try:
        run_one(server, "t", "F")
        redis.kill()
        down = scrape(server)
        assert value(down, "bsched_redis_up") == 0
        assert {name for name, _ in down} == {"bsched_redis_up", "bsched_build_info"}
        redis.start()
        until(lambda: value(scrape(server), "bsched_redis_up") == 1, "Redis is there again")
        assert value(scrape(server), "bsched_redis_errors_total") > 0
    finally:
        redis.kill()
        server.stop()


@pytest.mark.timeout(by_night(3600, 300))
@pytest.mark.parametrize("processes", by_night([1, 2], [2]))
def test_no_counter_goes_back_when_servers_are_killed(
    own_redis: RedisProcess, start_server: Callable[..., ServerProcess], processes: int
) -> None:
    """Whichever server is asked, of however many processes, and though each is killed in between."""
    named = ("--redis", own_redis.url, "--namespace", f"killed-{processes}", "--processes", str(processes))
    kept = {"BSCHED_RETRY_DELAY": "36000"}  # no failed task comes before those that are added, by night either
    servers = [start_server(*named, environment=kept).await_ready() for _ in range(2)]
    highest: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    chance, done = Random(processes), 0
    for round_number in range(by_night(500, 4)):
        for number in range(chance.randint(1, 5)):
            status = chance.choice(["DONE", "DONE", "FAILED"])
            run_one(chance.choice(servers), f"t{round_number}-{number}", chance.choice("FGH"), status)
            done += status == "DONE"
        for server in servers:
            samples = scrape(server)
            for key, highest_so_far in highest.items():
                assert samples[key] >= highest_so_far, (round_number, key)
            highest.update({key: each for key, each in samples.items() if is_counter(key[0])})
        victim = chance.randrange(2)
        servers[victim].process.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        servers[victim].process.wait(20)
        servers[victim] = start_server(*named, environment=kept).await_ready()
    counted = [each for key, each in scrape(servers[0]).items() if key[0] == "luigi_task_done_total"]
    assert sum(counted) == done


def test_who_asks_while_others_do_waits_for_their_reading() -> None:
    class Scheduler:
        """Counts what is read, and answers when told to."""

        namespace, id = Namespace.named("any"), "any"

        def __init__(self) -> None:
            self.readings = 0
            self.may_answer = asyncio.Event()

        async def drive(self, commands: object, request: object = None) -> object:
            self.readings += 1
            await self.may_answer.wait()
            raise RedisUnavailable("away")

        def take_redis_errors(self) -> int:
            return 0

    async def scrape_together() -> int:
        scheduler = Scheduler()
        scraping = Scraping(scheduler, Counters(scheduler))  # type: ignore[arg-type]  # all that they need of one
        asked = [asyncio.create_task(scraping.metrics("")) for _ in range(20)]
        await asyncio.sleep(0)
        asked[3].cancel()  # who goes away takes it from nobody
        scheduler.may_answer.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, tuple) for answer in answers) == 19
        return scheduler.readings

    assert asyncio.run(scrape_together()) == 1


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("ends", ["unanswered", "cancelled"])
def test_what_was_counted_is_told_once_whatever_becomes_of_the_answer(
    own_redis: RedisProcess, arrives: bool, ends: str
) -> None:
    namespace = Namespace.named(f"told-{ends}-{arrives}")

    async def tell_twice() -> None:
        scheduler = AsyncScheduler(namespace, *open_connections(own_redis.url, namespace.prefix))
        counters, drive = Counters(scheduler), scheduler.drive
        sent = asyncio.Event()

        async def lose(*given: Any) -> Any:
            if arrives:
                await drive(*given)
            sent.set()
            if ends == "unanswered":
                raise RedisUnavailable("the answer is lost")
            await asyncio.Event().wait()

        counters.note_call("ping", 0.01)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scheduler, "drive", lose)
            telling = asyncio.create_task(counters.tell())
            await sent.wait()
            telling.cancel()
            await asyncio.wait({telling})
        counters.note_call("ping", 0.01)
        for _ in range(2):
            await counters.tell()
        await scheduler.close()

    asyncio.run(tell_twice())
    counted = own_redis.client.hgetall(namespace.key("server_metrics"))
    assert sum(float(count) for field, count in counted.items() if field.startswith("rpc:ping:")) == 2


def test_the_library_is_loaded_when_somebody_asks_for_metrics() -> None:
    code = "import sys, broker_sched.server.serve; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_who_sees_counts_only_gets_no_names_of_families(
    own_redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sees] = ["all"]
    monkeypatch.setattr(routes, "caller_of", lambda scope: Caller("", "anonymous", Role.VIEWER, seen[0], ""))
    with InProcess(AppConfig(own_redis.url, "counts")) as server:
        server.call("add_task", worker="w", task_id="t", family="Secret", status="DONE")
        assert b'luigi_task_done_total{family="Secret"} 1.0' in server.request("GET", "/metrics").body
        seen[0] = "counts"
        body = server.request("GET", "/metrics").body
    assert b'luigi_task_done_total{family=""} 1.0' in body and b"Secret" not in body
