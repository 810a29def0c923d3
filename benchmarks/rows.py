"""The rows of the table: what is measured, its target, and the verdict."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import psutil

from benchmarks import long_worker, many_workers, reading
from benchmarks import pages as open_pages
from benchmarks.bench import FULL, Bench, Result
from benchmarks.callers import OverHTTP, open_caller
from benchmarks.end_to_end import is_installed, place_for_files, rate
from benchmarks.loading import worker_ids
from benchmarks.longest_script import SLOWLOG_US, LongestScript, least_of
from benchmarks.processes import Server
from benchmarks.script_time import script_time
from benchmarks.tasks import flat, layered
from benchmarks.timing import Rate, Site, cycles
from benchmarks.waking import Fleet, typical
from broker_sched import RemoteScheduler, Scheduler

CLIENTS = 4
OTHER_TASKS = 20_000  # of a Redis that is asked instead of ours; its looks take as many commands
DIRECT_TURNS = 3  # as many rounds as elsewhere: each takes a tenth of a second
MANY_TURNS = 6  # as many calls as elsewhere, where a 99th percentile is compared


def get_work(bench: Bench, shape: str) -> Iterator[Result]:
    """Two claims: it does not grow with the pending tasks, and it is faster than luigid's.

    With 100,000 pending tasks luigid takes up to a second for one: it is asked less often there, and never with more.
    """
    scale = bench.scale
    redis = bench.redis()
    sites = {size: Site(shape, size) for size in (scale.small, scale.medium, scale.large)}
    callers = {}
    for size in sites:
        bench.fill(redis, str(size), shape, size)
        callers["direct", size] = open_caller((redis.url, str(size)))
        callers["HTTP", size] = OverHTTP(bench.server(redis, str(size)))
    reference = {size: Site(shape, size) for size in sites if size in (scale.small, scale.medium, scale.luigid_most)}
    for size in reference:
        callers["luigid", size] = OverHTTP(bench.luigid(shape, size))
    times: dict[tuple[str, int], list[float]] = {name: [] for name in callers}
    for number in range(scale.rounds + 1):
        bench.say(f"get_work, {shape}: round {number} of {scale.rounds}, the first is not counted")
        for (transport, size), caller in callers.items():
            site = reference[size] if transport == "luigid" else sites[size]
            samples = scale.samples
            if transport == "luigid":
                samples = 2 if size == scale.luigid_most else samples // 4
            found = site.time_get_work(caller, samples)
            times[transport, size] += found if number else []
    middle = {name: median(found) for name, found in times.items()}
    for transport in ("direct", "HTTP"):
        small, large = middle[transport, scale.small], middle[transport, scale.large]
        yield Result(
            f"get_work, {transport}, {shape}: {scale.large:,} pending ÷ {scale.small:,}",
            "≤ 1.5",
            f"{us(large)} ÷ {us(small)}",
            "",
            f"{large / small:.2f}",
            large / small <= 1.5,
        )
    for size, least in zip(reference, (4, 50, 500)):
        yield compare(
            f"get_work over HTTP, {shape}, {size:,} pending: luigid ÷ ours",
            least,
            middle["HTTP", size],
            middle["luigid", size],
        )


# Runner → which part of the files it writes: slow ones fewer, or it takes minutes.
SHARES = {"ours": 1, "luigi": 2, "rq": 20, "celery": 1, "dask": 1}


def end_to_end(bench: Bench) -> Iterator[Result]:
    """Whole workers with four processes each, which write small files."""
    scale, redis = bench.scale, bench.redis()
    url = f"http://127.0.0.1:{bench.server(redis, 'end')}"
    places = {
        "ours, straight to Redis": ("ours", redis.url),
        "ours, HTTP": ("ours", url),
        "luigi with luigid": ("luigi", f"http://127.0.0.1:{bench.luigid('flat', 1)}"),
        "luigi with bsched server": ("luigi", url),
        **{name: (name, redis.url) for name in ("rq", "celery", "dask") if is_installed(name)},
    }
    rates: dict[str, list[float]] = {name: [] for name in places}
    with place_for_files(bench.directory) as place:
        for number in range(scale.worker_rounds):
            for name, (runner, where) in places.items():
                bench.say(f"end to end, {name}: round {number + 1} of {scale.worker_rounds}")
                directory = place / f"files-{number}-{name.replace(' ', '-')}"
                rates[name].append(rate(runner, where, directory, scale.files // SHARES[runner]))
    middle = {name: median(found) for name, found in rates.items()}
    luigid = middle["luigi with luigid"]
    for name, least in (("ours, straight to Redis", 1000), ("ours, HTTP", 700)):
        what = f"tasks a second, four processes, {name}"
        yield Result(what, f"≥ {least}", f"{middle[name]:,.0f} /s", f"{luigid:,.0f} /s", "", middle[name] >= least)
        yield Result(
            f"{what}: ÷ luigi with luigid", "≥ 10", "", "", f"{middle[name] / luigid:.1f}", middle[name] / luigid >= 10
        )
    for name in places:
        if not name.startswith("ours") and name != "luigi with luigid":
            fastest = middle["ours, straight to Redis"]
            is_rival = name in ("celery", "dask")
            ratio = fastest / middle[name]
            yield Result(
                f"tasks a second, four processes: ours, straight to Redis ÷ {name}",
                "≥ 1" if is_rival else "",
                f"{fastest:,.0f} ÷ {middle[name]:,.0f} /s",
                "",
                f"{ratio:.1f}",
                ratio >= 1 or not is_rival,
            )


def add_task(bench: Bench) -> Iterator[Result]:
    """One client adds tasks with three deps each."""
    scale, redis = bench.scale, bench.redis()
    bench.fill(redis, "add", "layered", scale.small)
    ours, reference = Site("layered", scale.small), Site("layered", scale.small)
    our_caller, their_caller = OverHTTP(bench.server(redis, "add")), OverHTTP(bench.luigid("layered", scale.small))
    our_times, their_times = [], []
    bench.say("add_task")
    for _ in range(scale.rounds * 6):  # short turns: the machine's speed changes within a second
        our_times += ours.time_add_task(our_caller, scale.samples)
        their_times += reference.time_add_task(their_caller, scale.samples)
    what = "add_task over HTTP, one client, 3 deps each: luigid ÷ ours"
    yield compare(what, 1.3, median(our_times), median(their_times))


def cycles_http(bench: Bench) -> Iterator[Result]:
    """Four clients over HTTP, each its own worker; every task may be run by each of them."""
    scale, redis = bench.scale, bench.redis()
    for size, least, their_each in ((scale.small, 4, 50), (scale.medium, 40, 15)):
        ours, reference = Site("flat", size, CLIENTS), Site("flat", size, CLIENTS)
        bench.fill(redis, str(size), "flat", size, CLIENTS)
        our_port = bench.server(redis, str(size))
        their_port = bench.luigid("flat", size, CLIENTS)
        each = min(scale.cycles, size // CLIENTS // 5)  # a fifth of the tasks at most: the size is to stay what it is
        our_rates: list[Rate] = []
        their_rates: list[Rate] = []
        for number in range(scale.rounds):
            bench.say(f"cycles over HTTP, {size:,} pending: round {number + 1} of {scale.rounds}")
            our_rates.append(cycles(our_port, ours.workers, each))
            ours.refill(OverHTTP(our_port), (each + 1) * CLIENTS)
            if number < 2:
                their_rates.append(cycles(their_port, reference.workers, min(each, their_each)))
                reference.refill(OverHTTP(their_port), (min(each, their_each) + 1) * CLIENTS)
        our_rate, their_rate = per_second(our_rates), per_second(their_rates)
        yield Result(
            f"get_work + DONE over HTTP, {CLIENTS} clients, {size:,} pending: ours ÷ luigid",
            f"≥ {least}",
            f"{our_rate:,.0f} /s",
            f"{their_rate:,.1f} /s",
            f"{our_rate / their_rate:.1f}",
            our_rate / their_rate >= least,
        )


def cycles_direct(bench: Bench) -> Iterator[Result]:
    """Four client processes straight to Redis, with few tasks and with many."""
    scale, redis = bench.scale, bench.redis()
    sites = {size: Site("flat", size, CLIENTS) for size in (scale.small, scale.large)}
    for size in sites:
        bench.fill(redis, str(size), "flat", size, CLIENTS)
    each = min(scale.cycles, scale.small // CLIENTS // 2)  # half of the tasks at most
    rates: dict[int, list[Rate]] = {size: [] for size in sites}
    for number in range(DIRECT_TURNS * scale.rounds):
        bench.say(f"cycles straight to Redis: round {number + 1} of {DIRECT_TURNS * scale.rounds}")
        for size, site in sites.items():
            where = (redis.url, str(size))
            rates[size].append(cycles(where, site.workers, each))
            site.refill(open_caller(where), (each + 1) * CLIENTS)
    small, large = (per_second(rates[size]) for size in sites)
    what = f"get_work + DONE straight to Redis, {CLIENTS} processes, {scale.large:,} pending"
    yield Result(what, "≥ 3,000 /s", f"{large:,.0f} /s", "", "", large >= 3000)
    yield Result(
        f"{what} ÷ {scale.small:,}",
        "≥ 0.7",
        f"{large:,.0f} ÷ {small:,.0f} /s",
        "",
        f"{large / small:.2f}",
        large / small >= 0.7,
    )


def scripts(bench: Bench) -> Iterator[Result]:
    """What a cycle's two scripts take Redis, beside scripts that send the same commands and do nothing else."""
    scale, redis = bench.scale, bench.redis()
    bench.fill(redis, "scripts", "flat", scale.medium)
    [worker] = worker_ids(1)
    bench.say("script time of a cycle")
    found = script_time(redis, open_caller((redis.url, "scripts")), worker, scale.medium)
    bench.commands = found.commands
    what = f"script time of get_work + DONE, {scale.medium:,} pending ÷ its {len(found.commands)} commands alone"
    ratio = found.scripts_us / found.floor_us
    yield Result(what, "", f"{found.scripts_us:.0f} ÷ {found.floor_us:.0f} µs", "", f"{ratio:.1f}", True)


def memory(bench: Bench) -> Iterator[Result]:
    """Redis memory of what comes on top of a first tenth, which has no deps."""
    for deps, every, most in (("3 deps", 1, 1300), ("3 deps in every fourth", 4, 1000)):
        redis, count = bench.redis(), bench.scale.medium * 2
        scheduler = Scheduler(redis.url, "memory")
        [worker] = worker_ids(1)
        bench.say(f"memory: {count:,} tasks, {deps}")
        before = 0
        for number in range(count):
            if number == count // 10:
                before = redis.memory()
            shape = flat if number % every else layered
            scheduler.add_task(worker=worker, **shape(number, count))
        each = (redis.memory() - before) / (count - count // 10)
        what = f"Redis {redis.version}: memory per pending task with 3 parameters and {deps}"
        yield Result(what, f"≤ {most:,} B", f"{each:,.0f} B", "", "", each <= most)
        bench.stop()


def longest_script(bench: Bench) -> Iterator[Result]:
    """SLOWLOG is the witness; the details are a table of their own."""
    scale = bench.scale
    runs = []
    for _ in range(scale.repeats):
        runs.append(list(LongestScript(bench.redis(SLOWLOG_US), scale.large, scale.hub, bench.say).run()))
        bench.stop()
    events = [least_of(found) for found in zip(*runs, strict=True)]
    bench.events += events
    worst = max(events, key=lambda event: event.script_us)
    what = f"longest single script at {scale.large:,} tasks, whatever happens"
    ours = f"{worst.script_us / 1000:.1f} ms: {worst.script}, when {worst.what}"
    yield Result(what, "≤ 10 ms", ours, "", "", worst.script_us <= 10_000)


def waking(bench: Bench) -> Iterator[Result]:
    """An idle fleet, straight to Redis and over HTTP."""
    scale = bench.scale
    for name, most_ms in (("direct", 20.0), ("HTTP", 50.0)):
        redis = bench.redis()
        namespace = f"waking-{name}"
        port = bench.server(redis, namespace) if name == "HTTP" else None
        where = ["--redis", redis.url] if port is None else ["--scheduler-url", f"http://127.0.0.1:{port}"]
        bench.say(f"waking, {name}: starting {scale.fleet} workers")
        fleet = Fleet(bench.directory, redis, namespace, where, scale.fleet)
        try:
            fleet.await_idle()
            commands = fleet.commands_a_second(scale.idle_seconds)
            middle, most = typical(fleet.latencies(scale.samples))
        finally:
            fleet.stop()
        what = f"ready → running, {name}, {scale.fleet} idle workers, median"
        ours = f"{middle * 1000:.1f} ms (95 %: {most * 1000:.1f} ms)"
        yield Result(what, f"≤ {most_ms:g} ms", ours, "polls: 1 to 6 s", "", middle * 1000 <= most_ms)
        what = f"Redis commands of an idle worker, {name}, {scale.fleet} workers"
        yield Result(what, "≤ 2 /s", f"{commands:.2f} /s", "", "", commands <= 2)
        bench.stop()


def bulk(bench: Bench) -> Iterator[Result]:
    """A worker schedules many tasks over HTTP."""
    count, redis = bench.scale.large, bench.redis()
    server = Server(bench.directory, redis.url, "bulk")
    try:
        memory = psutil.Process(server.process.pid).memory_info
        url = f"http://127.0.0.1:{server.port}"
        RemoteScheduler(url).add_task(worker="w", task_id="first")
        before = memory().rss
        bench.say(f"bulk: scheduling {count:,} tasks")
        command = [sys.executable, "-m", "benchmarks.bulk", url, str(count)]
        root = str(Path(__file__).parent.parent)
        said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
        seconds, clients = map(float, said.split())
        grown = memory().rss - before
    finally:
        server.stop()
    limit = 60.0 * count / FULL.large
    what = f"{count:,} native tasks with 3 deps each scheduled over HTTP"
    yield Result(what, f"≤ {limit:g} s", f"{seconds:.1f} s", "", "", seconds <= limit)
    ours = f"{grown / 1e6:.0f} MB (client: {clients / count:,.0f} B a task)"
    yield Result("the server's memory grows meanwhile by", "≤ 20 MB", ours, "", "", grown <= 20e6)


def looking(bench: Bench) -> Iterator[Result]:
    """What operators ask, over HTTP, and what get_work's slowest hundredth takes beside it."""
    scale, redis = bench.scale, bench.redis()
    bench.say(f"looking: filling ours, {scale.huge:,} tasks in {reading.FAMILIES} families")
    reading.fill(redis.url, "looking", scale.huge)
    port = bench.server(redis, "looking")
    caller = OverHTTP(port)
    for question in reading.QUESTIONS:
        bench.say(f"looking: {question.what}")
        found = reading.times_of(caller, question, scale.samples)
        what = f"{question.what}, over HTTP, {scale.huge:,} tasks in {reading.FAMILIES} families: the slowest"
        ours = f"{max(found) * 1000:.0f} ms (median: {median(found) * 1000:.1f} ms)"
        yield Result(what, f"≤ {question.within_ms} ms", ours, "", "", max(found) * 1000 <= question.within_ms)
    bench.say("looking: GET /metrics")
    found = reading.times_of_scrape(port, scale.samples)
    what = f"GET /metrics, {scale.huge:,} tasks in {reading.FAMILIES} families: the slowest"
    ours = f"{max(found) * 1000:.0f} ms (median: {median(found) * 1000:.1f} ms)"
    yield Result(what, "≤ 100 ms", ours, "", "", max(found) * 1000 <= 100)
    other = bench.redis()
    reading.fill(other.url, "looking", min(scale.huge, OTHER_TASKS))
    others = bench.server(other, "looking")
    for name, target, elsewhere in (
        ("direct", (redis.url, "looking"), (other.url, "looking")),
        ("HTTP", port, others),
    ):
        yield _beside_questions(bench, name, target, elsewhere)


def _beside_questions(bench: Bench, name: str, target: reading.Target, elsewhere: reading.Target) -> Result:
    """What get_work's slowest hundredth takes while ours is asked, and while another one on this machine is.

    Whoever asks takes some of the processor and its caches, whomever it asks. That is no delay by the scheduler asked,
    so it is in both.
    """
    alone: list[float] = []
    while_another: list[float] = []
    while_asked: list[float] = []
    rounds = MANY_TURNS * bench.scale.rounds
    for number in range(rounds):
        bench.say(f"looking, get_work {name}: round {number + 1} of {rounds}")
        alone += reading.times_of_get_work(target, bench.scale.cycles)
        for asked, times in ((elsewhere, while_another), (target, while_asked)):
            with reading.asked_without_pause(asked):
                times += reading.times_of_get_work(target, bench.scale.cycles)
    what = f"get_work, {name}: its 99th percentile while overview, families and tasks are asked without pause"
    return _no_slower(f"{what} ÷ while another scheduler's are", alone, while_another, while_asked)


def _no_slower(what: str, alone: list[float], elsewhere: list[float], here: list[float]) -> Result:
    """Compare the slowest hundredth of our get_works beside something else with that beside the same done elsewhere."""
    usual, other, ours = (reading.percentile(times, 0.99) for times in (alone, elsewhere, here))
    shown = f"{us(ours)} ÷ {us(other)} (alone: {us(usual)})"
    return Result(f"{what} on this machine", "≤ 1.1", shown, "", f"{ours / other:.2f}", ours <= 1.1 * other)


def pages(bench: Bench) -> Iterator[Result]:
    """Many open pages while tasks change, over HTTP: what they cost get_work and Redis, and how soon they hear."""
    scale, redis = bench.scale, bench.redis()
    bench.say(f"pages: filling ours, {scale.huge:,} tasks in {reading.FAMILIES} families")
    reading.fill(redis.url, "pages", scale.huge)
    port = bench.server(redis, "pages")
    other = bench.redis()
    reading.fill(other.url, "pages", min(scale.huge, OTHER_TASKS))
    others = bench.server(other, "pages")
    alone: list[float] = []
    elsewhere: list[float] = []
    beside: list[float] = []
    heard: list[float] = []
    with open_pages.changing(redis.url, "pages"), open_pages.changing(other.url, "pages"):
        for number in range(scale.rounds):
            bench.say(f"pages: round {number + 1} of {scale.rounds}")
            alone += reading.times_of_get_work(port, MANY_TURNS * scale.cycles)
            with open_pages.open_pages(others, scale.pages):
                elsewhere += reading.times_of_get_work(port, MANY_TURNS * scale.cycles)
            with open_pages.open_pages(port, scale.pages):
                beside += reading.times_of_get_work(port, MANY_TURNS * scale.cycles)
                heard += open_pages.times_to_hear(port, redis.url, "pages", scale.samples // 3)
        with open_pages.open_pages(port, scale.pages):
            commands = open_pages.commands_of_streams(redis, scale.idle_seconds)
    what = f"with {scale.pages} open pages and {open_pages.CHANGES_A_SECOND} changes a second"
    yield _no_slower(f"get_work, HTTP, {what}: its 99th percentile ÷ with another server's", alone, elsewhere, beside)
    yield Result(f"Redis commands of a server's streams, {what}", "≤ 5 /s", f"{commands:.2f} /s", "", "", commands <= 5)
    most = reading.percentile(heard, 0.95)
    ours = f"{most * 1000:.0f} ms (median: {median(heard) * 1000:.0f} ms)"
    yield Result(f"a page hears of a change, {what}: 95 %", "≤ 500 ms", ours, "", "", most <= 0.5)


def browser(bench: Bench) -> Iterator[Result]:
    """Our page and luigid's in a browser."""
    from benchmarks.browser import row  # here: it needs Playwright, which is among the test dependencies

    return row(bench)


def soak(bench: Bench) -> Iterator[Result]:
    """One worker that runs very many tasks."""
    return long_worker.row(bench)


ROWS: dict[str, Callable[[Bench], Iterator[Result]]] = {
    "get-work-flat": lambda bench: get_work(bench, "flat"),
    "get-work-layered": lambda bench: get_work(bench, "layered"),
    "get-work-resources": lambda bench: get_work(bench, "resources"),
    "get-work-batchable": lambda bench: get_work(bench, "batchable"),
    "end-to-end": end_to_end,
    "add-task": add_task,
    "cycles-http": cycles_http,
    "cycles-direct": cycles_direct,
    "scripts": scripts,
    "waking": waking,
    "bulk": bulk,
    "looking": looking,
    "pages": pages,
    "browser": browser,
    "memory": memory,
    "soak": soak,
    "many-workers": many_workers.row,
    "longest-script": longest_script,
}


def compare(what: str, least: float, ours: float, theirs: float) -> Result:
    """Seconds of a call, ours and luigid's."""
    return Result(
        what,
        f"≥ {least:g}",
        us(ours),
        us(theirs),
        f"{theirs / ours:.{1 if theirs > 10 * ours else 2}f}",
        theirs / ours >= least,
    )


def per_second(rates: list[Rate]) -> float:
    """The median rate of the rounds."""
    return median(rate.cycles / rate.seconds for rate in rates)


def us(seconds: float) -> str:
    """1,234 µs"""
    return f"{seconds * 1e6:,.0f} µs"
