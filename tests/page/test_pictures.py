"""The pictures of docs/page.md: there is one of each view, they are small, and by night they can be made anew.

`make pictures` makes them. By night they are made, too, but not kept: each picture differs from the one before, since
its times do.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from playwright.sync_api import expect

from tests.harness import ROOT, RedisProcess, ServerProcess
from tests.nightly import only_by_night
from tests.page import shop
from tests.page.conftest import NewPage

PAGE, PICTURES = ROOT / "docs" / "page.md", ROOT / "docs" / "pictures"
SIZE = {"width": 1280, "height": 680}
DARK = ("task", "graph", "submission", "events")  # the others are in light
LEAST_BYTES, MOST_BYTES = 8_000, 1_500_000
NAMESPACE = "shop"


def test_each_view_has_a_picture_and_all_together_are_small() -> None:
    shown = set(re.findall(r"\]\(pictures/(\w+)\.png\)", PAGE.read_text()))
    there = {path.stem: path.stat().st_size for path in PICTURES.glob("*")}
    assert shown == set(shop.VIEWS) == set(there)
    assert sum(there.values()) < MOST_BYTES


@only_by_night
def test_every_view_is_drawn(own_redis: RedisProcess, new_page: NewPage, tmp_path: Path) -> None:
    directory = Path(os.environ.get("BSCHED_PICTURES") or tmp_path)
    shop.fill(own_redis.url, NAMESPACE)
    server = ServerProcess("--redis", own_redis.url, "--namespace", NAMESPACE).await_ready()
    pages = {theme: new_page(color_scheme=theme, viewport=SIZE) for theme in ("light", "dark")}
    for name, address in shop.VIEWS.items():
        page = pages["dark" if name in DARK else "light"]
        page.goto(f"{server.url}/?{address}")
        expect(page.locator("main h1")).to_have_count(1)
        expect(page.locator("main .loading, main [aria-busy=true]")).to_have_count(0)
        expect(page.locator(".live")).to_have_text(re.compile("live"))
        page.mouse.move(0, 0)
        page.screenshot(path=directory / f"{name}.png", animations="disabled")
        assert (directory / f"{name}.png").stat().st_size > LEAST_BYTES, name
    for page in pages.values():
        page.close()
    assert server.stop() == 0
