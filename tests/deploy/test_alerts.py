"""The alerts and the dashboard in deploy/: each fires, or shows something, when it should, and not before."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from broker_sched import Scheduler
from broker_sched.server.metrics.table import METRICS
from tests.debian_programs import debian_program
from tests.deploy.promtool import RULES, Series, check, fires, one_of, rules
from tests.deploy.reading import DEPLOY, ROOT
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import only_by_night
from tests.server.test_metrics import Samples, is_counter, run_one, scrape, value
from tests.servers import die_with_parent, free_port, until

DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
SUFFIXES = ("_bucket", "_sum", "_count")
BUCKETS = 'bsched_queue_wait_seconds_bucket{job="bsched",family="F"'
CALLS = 'bsched_rpc_duration_seconds_bucket{job="bsched",method="get_work"'


def gauge(name: str, labels: str, amount: str, before: str = "0x9") -> Series:
    """A gauge that has this value after ten minutes with another one."""
    return {f'{name}{{job="bsched",{labels}}}': f"{before} {amount}x90"}


def counter(name: str, labels: str, a_minute: float) -> Series:
    """A counter that grows by so much a minute, from the tenth on."""
    return {f'{name}{{job="bsched",{labels}}}': f"0x9 0+{a_minute}x90"}


# For each alert: series that make it fire, when it does not yet, when it does, and series beside which it never does.
CASES: Mapping[str, tuple[Series, int, int, Series]] = {
    "BschedServerDown": ({'up{job="bsched"}': "1x9 0x90"}, 10, 12, {'up{job="another"}': "0x99"}),
    "BschedRedisDown": (gauge("bsched_redis_up", "", "0", "1x9"), 10, 12, gauge("bsched_redis_up", "", "1", "1x9")),
    "BschedRedisErrors": (
        counter("bsched_redis_errors_total", "", 1),
        14,
        25,
        counter("bsched_redis_errors_total", "", 0.4),
    ),
    "BschedSlowGetWork": (
        {CALLS + ',le="0.25"}': "0+97x99", CALLS + ',le="1.0"}': "0+100x99", CALLS + ',le="+Inf"}': "0+100x99"},
        4,
        12,
        {CALLS + ',le="0.25"}': "0+100x99", CALLS + ',le="1.0"}': "0+100x99", CALLS + ',le="+Inf"}': "0+100x99"},
    ),
    "BschedNoWorker": (
        gauge("bsched_blocked_tasks", 'reason="no_worker"', "3"),
        14,
        16,
        gauge("bsched_blocked_tasks", 'reason="deps"', "3"),
    ),
    "BschedWorkersSilent": (
        gauge("bsched_workers", 'state="silent"', "1"),
        11,
        13,
        gauge("bsched_workers", 'state="active"', "1"),
    ),
    "BschedTooFewSlots": (
        {**gauge("bsched_wanted_slots", "", "9"), **gauge("bsched_worker_slots", "", "8")},
        39,
        41,
        {**gauge("bsched_wanted_slots", "", "8"), **gauge("bsched_worker_slots", "", "8")},
    ),
    "BschedLongWaits": (
        {
            BUCKETS + ',le="900.0"}': "0+90x99",
            BUCKETS + ',le="3600.0"}': "0+100x99",
            BUCKETS + ',le="+Inf"}': "0+100x99",
        },
        4,
        12,
        {
            BUCKETS + ',le="900.0"}': "0+99x99",
            BUCKETS + ',le="3600.0"}': "0+100x99",
            BUCKETS + ',le="+Inf"}': "0+100x99",
        },
    ),
    "BschedTasksFail": (
        {
            **counter("luigi_task_failed_total", 'family="F"', 1),
            **counter("luigi_task_started_total", 'family="F"', 2),
        },
        12,
        25,
        {
            **counter("luigi_task_failed_total", 'family="F"', 1),
            **counter("luigi_task_started_total", 'family="F"', 9),
        },
    ),
    "BschedTasksDisabled": (
        gauge("bsched_tasks", 'status="DISABLED"', "1"),
        14,
        16,
        gauge("bsched_tasks", 'status="DONE"', "1"),
    ),
    "BschedOverLimit": (
        gauge("bsched_blocked_tasks", 'reason="over_limit"', "1"),
        14,
        16,
        gauge("bsched_blocked_tasks", 'reason="resource"', "1"),
    ),
    "BschedPausedForLong": (
        gauge("bsched_blocked_tasks", 'reason="family_paused"', "1"),
        69,
        71,
        gauge("bsched_blocked_tasks", 'reason="busy"', "1"),
    ),
    "BschedSupersededReports": (
        counter("bsched_superseded_reports_total", "", 1),
        12,
        25,
        counter("bsched_superseded_reports_total", "", 0.2),
    ),
}


def test_promtool_accepts_the_rules() -> None:
    ran = debian_program("promtool").run("check", "rules", str(RULES))
    assert ran.returncode == 0 and f"{len(CASES)} rules found" in ran.stdout, ran.stdout + ran.stderr


def test_each_alert_fires_in_time_and_not_beside_what_is_no_trouble(tmp_path: Path) -> None:
    assert {rule["alert"] for rule in rules()} == CASES.keys()
    check(
        tmp_path,
        [
            case
            for name, (trouble, not_yet, then, none) in CASES.items()
            for case in (
                (trouble, [fires(not_yet), fires(then, name)]),
                (none, [fires(minute) for minute in (not_yet, then, 90)]),
            )
        ],
    )


def test_each_alert_has_a_paragraph_in_the_operations_page() -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs/operations.md").read_text(), re.M)
    assert [each for each in headings if each.startswith("Bsched")] == [rule["alert"] for rule in rules()]
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


def queries() -> dict[str, str]:
    """The queries of the dashboard by panel and letter, its variables replaced."""
    found = {}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5m").replace("$job", ".*").replace("$family", ".*")
            found[f"{panel['title']} {target['refId']}"] = query
    return found


def test_queries_and_alerts_name_metrics_that_exist_and_together_all_of_them() -> None:
    text = " ".join([*queries().values(), *(rule["expr"] for rule in rules())])
    named = set()
    for name in re.findall(r"\b(?:bsched|luigi)_\w+", text):
        known = {metric.name for metric in METRICS}
        named.add(name if name in known else next(name.removesuffix(each) for each in SUFFIXES if name.endswith(each)))
    assert named == {metric.name for metric in METRICS}


def as_series(before: Samples, after: Samples, up: bool = True) -> Series:
    """What was scraped as a quarter of an hour, and as if it went on so; gauges as they were at last."""
    found = {'up{job="bsched",instance="one"}': f"{int(up)}x99"}
    for (name, labels), amount in after.items():
        every = {**dict(labels), "job": "bsched", "instance": "one"}
        text = ",".join(f"{label}={json.dumps(each)}" for label, each in every.items())
        first = before.get((name, labels), 0.0)
        rising = is_counter(name)
        found[f"{name}{{{text}}}"] = f"{first}+{(amount - first) / 15}x99" if rising else f"{amount}x99"
    return found


class Installation:
    """A Redis and a server, to which troubles happen."""

    def __init__(self, directory: Path) -> None:
        self.redis = RedisProcess(directory)
        self.server = ServerProcess("--redis", self.redis.url).await_ready()
        self.server.call("add_worker", worker="w", info={"workers": 9})

    def run_well(self) -> None:
        """Some tasks, and one at work."""
        for number in range(3):
            run_one(self.server, f"well {number}", "Load")
        self.server.call("add_task", worker="w", task_id="at work", family="Load")
        self.server.call("get_work", worker="w")

    def trouble(self) -> None:
        """All that alerts are about, but for what is away altogether."""
        call = self.server.call
        for number in range(7):
            run_one(self.server, f"fails {number}", "Load", "FAILED")
        call("add_task", worker="w", task_id="disabled", family="Load", status="DISABLED")
        call("add_task", worker="w", task_id="too much", family="Load", resources={"db": 2})
        call("update_resources", gpu=2)
        call("pause_family", family="Paused")
        call("add_task", worker="w", task_id="paused", family="Paused")
        self._superseded()
        with contextlib.closing(Scheduler(self.redis.url, clock=lambda: time.time() - 2000)) as long_ago:
            for number in range(5):
                long_ago.add_task(worker="w", task_id=f"late {number}", family="Load", priority=99)
            long_ago.add_task(worker="gone", task_id="nobody's", family="Load")
        with contextlib.closing(Scheduler(self.redis.url, clock=lambda: time.time() - 20)) as just_now:
            just_now.ping(worker="frozen")
        for _ in range(5):
            call("get_work", worker="w")
        for number in range(9):
            call("add_task", worker="w", task_id=f"more {number}", family="Load")
        self._slow_redis()
        self._refusing_redis()

    def _superseded(self) -> None:
        self.server.call("add_task", worker="w", task_id="twice", family="Load", priority=9)
        first = self.server.call("get_work", worker="w")
        assert self.server.call("get_work", worker="w", current_tasks=[])["task_id"]  # it was lost: handed out anew
        for _ in range(7):
            told = {"worker": "w", "task_id": "twice", "status": "FAILED", "attempt": first["attempt"]}
            assert self.server.post("add_task", json.dumps(told)).status == 409

    def _slow_redis(self) -> None:
        for _ in range(3):
            self.redis.client.execute_command("CLIENT", "PAUSE", "500")
            self.server.call("get_work", worker="w")

    def _refusing_redis(self) -> None:
        self.redis.client.config_set("min-replicas-to-write", 1)
        for _ in range(9):
            assert self.server.post("ping", '{"worker": "w"}').status == 503
        self.redis.client.config_set("min-replicas-to-write", 0)


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Start Prometheus as docs/metrics.md configures it, for the server at this address; returns Prometheus' URL."""
    started: list[subprocess.Popen[bytes]] = []

    def start(address: str) -> str:
        text = re.findall(r"```yaml\n(scrape_configs:.*?)```", (ROOT / "docs/metrics.md").read_text(), re.S)[0]
        config = yaml.safe_load(text.replace("127.0.0.1:8082", address))
        assert [Path(each).name for each in config["rule_files"]] == [RULES.name]
        config |= {"rule_files": [str(RULES)], "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}}
        path, listens_at = tmp_path / "prometheus.yaml", f"127.0.0.1:{free_port()}"
        path.write_text(yaml.safe_dump(config))
        checked = debian_program("promtool").run("check", "config", str(path))
        assert checked.returncode == 0, checked.stdout + checked.stderr
        program = debian_program("prometheus")
        where = (f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address={listens_at}")
        command = [program.path, f"--config.file={path}", *where, "--log.level=error"]
        started.append(subprocess.Popen(command, env=program.environment, preexec_fn=die_with_parent))
        return f"http://{listens_at}"

    yield start
    for process in started:
        process.kill()
        process.wait()


def ask(url: str, query: str) -> dict[str, float]:
    """What Prometheus answers to a query: the value for each `family` or `alertname`; nothing while it starts."""
    with contextlib.suppress(urllib3.exceptions.HTTPError):
        reply = urllib3.request("GET", f"{url}/api/v1/query", fields={"query": query}, retries=False)
        if reply.status == 200:
            labels = ("alertname", "family")
            return {
                next((each["metric"][label] for label in labels if label in each["metric"]), ""): float(
                    each["value"][1]
                )
                for each in reply.json()["data"]["result"]
            }
    return {}


@only_by_night  # by day promtool evaluates the same rules over what a server told
def test_a_real_prometheus_reads_a_server_as_the_page_says_and_alerts(
    prometheus: Callable[[str], str], tmp_path: Path
) -> None:
    installation = Installation(tmp_path)
    installation.run_well()
    url = prometheus(installation.server.url.removeprefix("http://"))
    until(lambda: ask(url, "luigi_task_done_total") == {"Load": 3}, "Prometheus has read the server")
    failed = itertools.count()

    def fires_when_one_more_has_failed() -> bool:
        run_one(installation.server, f"fails {next(failed)}", "Load", "FAILED")
        return "BschedTasksFail" in ask(url, 'ALERTS{alertstate="firing"}')

    until(fires_when_one_more_has_failed, "the alert fires")
    installation.redis.kill()
    assert installation.server.stop() == 0


@pytest.fixture(scope="module")
def phases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Series]]:
    """What is scraped while all is well, in trouble, without Redis, and without a server."""
    installation = Installation(tmp_path_factory.mktemp("alerts"))
    server = installation.server
    start = scrape(server)
    installation.run_well()
    well = scrape(server)
    installation.trouble()
    trouble = scrape(server)
    installation.redis.kill()
    until(lambda: value(scrape(server), "bsched_redis_up") == 0, "the server has seen that Redis is away")
    without_redis = scrape(server)
    assert server.stop() == 0
    yield {
        "well": as_series(start, well),
        "trouble": as_series(well, trouble),
        "without Redis": as_series(without_redis, without_redis),
        "without a server": as_series({}, {}, up=False),
    }


def test_each_alert_is_seen_to_fire_when_a_real_server_is_in_that_trouble(
    phases: dict[str, Series], tmp_path: Path
) -> None:
    away = {"BschedRedisDown": "without Redis", "BschedServerDown": "without a server"}
    expected: dict[str, list[Any]] = {"well": [fires(89)]}
    expected["trouble"] = [fires(89, *sorted(CASES.keys() - away.keys()))]
    expected |= {phase: [fires(89, alert)] for alert, phase in away.items()}
    check(tmp_path, [(phases[phase], wanted) for phase, wanted in expected.items()])


def test_each_query_of_the_dashboard_shows_something_of_a_real_server(
    phases: dict[str, Series], tmp_path: Path
) -> None:
    check(tmp_path, [(phases["trouble"], [one_of(f"group({query})", 60) for query in queries().values()])])
