"""What a person waits for, in a real Chromium: our page, and luigid's visualiser with the same tasks.

Both are used as a person does, by clicks and keys. A time ends when the browser shows what was asked for: `wait_for`
looks at each frame that is drawn, `expect` every 100 ms and more rarely. Each page has a browser context of its own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.bench import Bench, Result
from benchmarks.loading import PROCESSES, SPAWN, worker_ids
from benchmarks.processes import OPTIONS
from benchmarks.reading import percentile
from benchmarks.tasks import FAMILIES, varied
from broker_sched import Scheduler
from tests.debian_programs import debian_program

TOGETHER = 500  # tasks in one add_tasks
PATIENCE_MS = 120_000  # luigid's page builds a table of all tasks
SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
VIEWPORT = {"width": 1280, "height": 800}
CHANGES_A_SECOND = 100
# What is measured, and the seconds that it may take.
LIMITS = {
    "first paint": ("first contentful paint, median", 1.0),
    "filter": ("the tasks of a family, 95 %", 0.3),
    "page": ("more rows, 95 %", 0.3),
    "graph": ("the graph of a task, 95 %", 0.3),
    "change": ("a change on screen after its script, 95 %", 0.5),
}


def fill(redis_url: str, namespace: str, count: int) -> None:
    """Fill a namespace of ours, through several processes."""
    scheduler = Scheduler(redis_url, namespace, **OPTIONS)
    scheduler.add_worker(worker=worker_ids(1)[0], info={"workers": 4, "host": "build-7"})
    size = -(-count // PROCESSES)
    shares = [(redis_url, namespace, start, min(start + size, count), count) for start in range(0, count, size)]
    with SPAWN.Pool(PROCESSES) as pool:
        pool.starmap(_add_share, shares)


def _add_share(redis_url: str, namespace: str, start: int, stop: int, count: int) -> None:
    scheduler = Scheduler(redis_url, namespace)
    [worker] = worker_ids(1)
    for first in range(start, stop, TOGETHER):
        numbers = range(first, min(first + TOGETHER, stop))
        scheduler.add_tasks(worker=worker, tasks=[varied(number, count) for number in numbers])


class OurPage:
    """The page of `bsched server`."""

    def __init__(self, url: str, page: Page, count: int) -> None:
        self.url, self.page, self.count = url, page, count

    def open(self) -> None:
        """Load it with its list of tasks."""
        self.page.goto(f"{self.url}/?view=tasks&list=1")
        self._rows().first.wait_for()

    def begin_filter(self, family: str) -> None:
        """Write all but the last letter of a family's name."""
        self.page.get_by_label("Family", exact=True).press_sequentially(family[:-1])

    def filter(self, family: str) -> None:
        """Show the tasks of a family only: by the last letter of its name."""
        self.page.keyboard.press(family[-1])
        self.page.get_by_role("status").filter(has_text=f"{self.count // FAMILIES:,} tasks").wait_for()
        self._rows().filter(has_text=f"{family}(").first.wait_for()

    def end_filter(self) -> None:
        """Show all tasks again."""
        self.page.get_by_label("Family", exact=True).fill("")
        expect(self.page.get_by_role("status").filter(has_text=f"{self.count:,} tasks")).to_be_visible()

    def has_more(self) -> bool:
        """Tell whether there are rows that are not loaded yet, once those that were asked for are."""
        more = self.page.get_by_role("button", name="Show more")
        expect(more.and_(self.page.locator(":disabled"))).to_have_count(0)
        return more.count() > 0

    def turn(self) -> None:
        """Show more rows."""
        before = self.page.get_by_text(re.compile(r"looked at [\d,]+ of")).inner_text()
        self.page.get_by_role("button", name="Show more").click()
        self.page.get_by_text(before, exact=True).wait_for(state="detached")

    def graph(self, task_id: str) -> None:
        """Show what a task needs."""
        self.page.goto(f"{self.url}/?view=graph&id={task_id}")
        self.page.get_by_role("group", name="The graph.").get_by_role("link").nth(1).wait_for()

    def open_one(self, task_id: str) -> None:
        """Show a task, whose state the browser then keeps up to date."""
        self.page.goto(f"{self.url}/?view=task&id={task_id}")
        expect(self.page.get_by_role("main").get_by_text("done", exact=True)).to_have_count(0)

    def await_done(self) -> None:
        """Wait until the task that is shown is done."""
        self.page.get_by_role("main").get_by_text("done", exact=True).first.wait_for()

    def _rows(self) -> Any:
        return self.page.get_by_role("table", name="Tasks").locator("tbody tr[data-key]")


class Visualiser:
    """The page of luigid."""

    def __init__(self, url: str, page: Page, count: int) -> None:
        self.url, self.page, self.count = f"{url}/static/visualiser/index.html", page, count

    def open(self) -> None:
        """Load it, which shows its list of tasks."""
        self.page.goto("about:blank")  # another fragment of the same address would load nothing
        self.page.goto(self.url)
        self.page.locator("#taskTable tbody tr").nth(1).wait_for()

    def begin_filter(self, family: str) -> None:
        """Do nothing: one click does it all."""

    def filter(self, family: str) -> None:
        """Show the tasks of a family only."""
        self.page.locator(f'#familySidebar li[data-task="{family}"]').click()
        shown = self.page.locator("#taskTable_info")
        shown.filter(has_text=f"of {self.count // FAMILIES:,} entries").wait_for()

    def end_filter(self) -> None:
        """Show all tasks again."""
        self.page.locator("#clear-task-filter").click()
        expect(self.page.locator("#taskTable_info")).not_to_contain_text("filtered")

    def has_more(self) -> bool:
        """Tell whether there are rows on a next page."""
        return self.page.locator("#taskTable_next:not(.disabled)").count() > 0

    def turn(self) -> None:
        """Show the next rows."""
        shown = self.page.locator("#taskTable_info")
        before = shown.inner_text()
        self.page.locator("#taskTable_next").click()
        shown.filter(has_not_text=before).wait_for()

    def graph(self, task_id: str) -> None:
        """Show what a task needs."""
        self.page.evaluate("() => { location.hash = 'tab=graph' }")  # so that the next graph is drawn anew
        self.page.evaluate("id => { location.hash = 'tab=graph&taskId=' + id }", task_id)
        self.page.locator("#graphContainer svg .graph-node-a").nth(1).wait_for()


class Site(NamedTuple):
    """A page under measurement, and how the browser is asked about it."""

    browser: Browser
    what: Any  # OurPage or Visualiser
    page: Page

    def seconds(self, act: Callable[[], None]) -> float:
        """How long this takes, until it is shown."""
        began = time.perf_counter()
        act()
        return time.perf_counter() - began

    def first_paint(self) -> float:
        """Seconds until there was something to read, as the browser noted it."""
        self.what.open()
        paint = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
        return float(self.page.evaluate(paint)) / 1000

    def heap(self) -> int:
        """Bytes of the tab's objects, without garbage."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        used = int(session.send("Runtime.getHeapUsage")["usedSize"])
        session.detach()
        return used


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium, from PATH or else from Debian's archive. Raises RuntimeError where there is none."""
    try:
        program = debian_program("chromium-headless-shell")
    except pytest.skip.Exception as reason:
        raise RuntimeError(str(reason)) from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program.path, env=dict(program.environment), args=list(SWITCHES)
        )
        yield browser
        browser.close()


def opened(browser: Browser, kind: type[OurPage] | type[Visualiser], port: int, count: int) -> Site:
    """A tab of its own. Our policy against foreign scripts is off in it: Playwright's own questions are some."""
    context = browser.new_context(viewport=VIEWPORT, bypass_csp=True)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    return Site(browser, kind(f"http://127.0.0.1:{port}", page, count), page)


def times(site: Site, samples: int) -> dict[str, list[float]]:
    """Seconds of each thing that a person does."""
    expect.set_options(timeout=PATIENCE_MS)
    found: dict[str, list[float]] = {"first paint": [], "filter": [], "page": [], "graph": []}
    for _ in range(max(3, samples // 10)):
        found["first paint"].append(site.first_paint())
    for number in range(samples):
        family = f"Family{number * 7 % FAMILIES}"
        site.what.begin_filter(family)
        found["filter"].append(site.seconds(lambda family=family: site.what.filter(family)))  # type: ignore[misc]
        site.what.end_filter()
    for _ in range(samples):
        if not site.what.has_more():
            site.what.open()
        found["page"].append(site.seconds(site.what.turn))
    count, width = site.what.count, max(3, site.what.count // 10)
    for number in range(samples):
        task_id = varied(count - width + number, count)["task_id"]  # of the last layer
        found["graph"].append(site.seconds(lambda task_id=task_id: site.what.graph(task_id)))  # type: ignore[misc]
    return found


def typical(found: dict[str, list[float]]) -> dict[str, float]:
    """The median of the first paint; of what comes after it, what 95 % do not exceed."""
    return {name: median(times) if name == "first paint" else percentile(times, 0.95) for name, times in found.items()}


def times_of_changes(site: Site, scheduler: Scheduler, samples: int) -> list[float]:
    """Seconds from the end of the script that changes a task until the browser shows it."""
    found = []
    for number in range(samples):
        task = varied(site.what.count - 1 - number, site.what.count)
        site.what.open_one(task["task_id"])
        scheduler.add_task(worker=worker_ids(1)[0], **(task | {"status": "DONE"}))
        found.append(site.seconds(site.what.await_done))
    return found


def heap_growth(site: Site, scheduler: Scheduler, seconds: float) -> tuple[int, int]:
    """Bytes of the tab before and after so many seconds of 100 changes a second, on the view of all families."""
    site.page.goto(f"{site.what.url}/?view=now")
    expect(site.page.get_by_label("Tasks by state")).to_be_visible()
    change(site, scheduler, seconds / 4)  # what is made once is there then
    before = site.heap()
    change(site, scheduler, seconds)
    return before, site.heap()


def change(site: Site, scheduler: Scheduler, seconds: float) -> None:
    """Change 100 tasks a second."""
    [worker] = worker_ids(1)
    began = time.monotonic()
    for number in range(int(seconds * CHANGES_A_SECOND)):
        status = "DONE" if number // 2000 % 2 else "PENDING"
        scheduler.add_task(worker=worker, **(varied(number % 2000, site.what.count) | {"status": status}))
        site.page.wait_for_timeout(max(0.0, began + number / CHANGES_A_SECOND - time.monotonic()) * 1000)


def row(bench: Bench) -> Iterator[Result]:
    """Our page beside luigid's visualiser, with the same tasks; then ours alone, with very many."""
    scale, redis = bench.scale, bench.redis()
    many = scale.medium * 2
    with chromium() as browser:
        theirs: dict[str, float] = {}
        for count in (many, scale.huge):
            bench.say(f"browser: filling ours, {count:,} tasks in {FAMILIES} families")
            fill(redis.url, str(count), count)
            port = bench.server(redis, str(count))
            if count == many:
                bench.say("browser: luigid's visualiser")
                luigid = opened(browser, Visualiser, bench.luigid("varied", count), count)
                theirs = typical(times(luigid, max(3, scale.samples // 10)))
                luigid.page.context.close()
            bench.say(f"browser: ours, {count:,} tasks")
            ours = opened(browser, OurPage, port, count)
            found = typical(times(ours, scale.samples))
            scheduler = Scheduler(redis.url, str(count))
            changes = times_of_changes(ours, scheduler, scale.samples // 2)
            found["change"] = percentile(changes, 0.95)
            for name, (what, limit) in LIMITS.items():
                yield seconds_on_screen(f"in a browser, {count:,} tasks: {what}", limit, found[name], theirs.get(name))
            theirs = {}
            bench.say("browser: 100 changes a second")
            before, after = heap_growth(ours, scheduler, scale.idle_seconds)
            what = (
                f"in a browser, {count:,} tasks: the tab's memory, {scale.idle_seconds:g} s of 100 changes a second on"
            )
            shown = f"{after / 1e6:.1f} ÷ {before / 1e6:.1f} MB"
            yield Result(f"{what} ÷ before", "≤ 1.1", shown, "", f"{after / before:.2f}", after <= 1.1 * before)
            ours.page.context.close()


def seconds_on_screen(what: str, limit: float, ours: float, theirs: float | None) -> Result:
    """What a person waits for, in our page and in luigid's, where that has it."""
    luigid, ratio = (f"{theirs * 1000:,.0f} ms", f"{theirs / ours:.1f}") if theirs is not None else ("", "")
    return Result(what, f"≤ {limit * 1000:,.0f} ms", f"{ours * 1000:,.0f} ms", luigid, ratio, ours <= limit)
