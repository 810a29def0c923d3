"""Pages that ask anew since they heard of a change are answered together, and none sees less than it has heard of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from broker_sched.contract.roles import Role
from broker_sched.errors import RedisUnavailable
from broker_sched.server import shared_looks
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.responses import Answer
from tests.server.access.asgi import basic, user_line
from tests.server.events.pages import AppPage, until_true
from tests.server.events.site import Site, run, site

PAGES = 200
PASSWORD = "correct horse"


class Asked:
    """Asks a server as pages do, and counts how often it looks."""

    def __init__(self, here: Site) -> None:
        self._here = here
        self.looks = 0
        scheduler: Any = here.app.scheduler
        self._invoke = scheduler.invoke
        scheduler.invoke = self._counting

    async def _counting(self, method: Any, *more: Any) -> Any:
        self.looks += method.name == "families"
        return await self._invoke(method, *more)

    async def ask(self, seen: str | None, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
        """The names of the families that the answer has; its status when that is another than 200."""
        given = {"content-type": "application/json", **(headers or {}), **({"bsched-seen": seen} if seen else {})}
        page = AppPage(self._here.app, "/api/families", given, body=json.dumps(arguments).encode(), method="POST")
        await page.task
        if page.status != 200:
            return page.status
        return sorted(each["family"] for each in json.loads(page.raw)["response"]["families"])


async def seen_of(page: AppPage, condition: Callable[[], Any]) -> str:
    """What a page has heard of once the condition holds."""
    await until_true(condition, f"it hears; heard: {page.events[-5:]}")
    return str(page.events[-1].data["seen"])


def with_site(act: Callable[[Site, AppPage, Asked], Awaitable[None]]) -> None:
    """Act with a server whose looks stay in its process, and a page that listens to it."""

    async def all_of_it() -> None:
        async with site() as here:
            page = await here.listen()
            here.app._api._looks = None  # type: ignore[union-attr]  # it runs
            await act(here, page, Asked(here))
            await page.leave()

    run(all_of_it)


def test_two_hundred_pages_that_heard_of_the_same_change_cost_one_look_and_all_see_it() -> None:
    async def act(here: Site, page: AppPage, asked: Asked) -> None:
        await here.change(1, "A")
        seen = await seen_of(page, lambda: "A" in page.counts)
        first = await asked.ask(seen)
        others = await asyncio.gather(*(asked.ask(seen) for _ in range(PAGES)))
        assert [first, *others] == [["A"]] * (PAGES + 1) and asked.looks == 1
        await here.change(1, "B")
        newer = await seen_of(page, lambda: "B" in page.counts)
        assert await asked.ask(newer) == ["A", "B"]
        assert await asked.ask(seen) == ["A", "B"] and asked.looks == 2

    with_site(act)


def test_a_new_task_is_seen_by_who_heard_of_it_though_no_status_changed() -> None:
    async def act(here: Site, page: AppPage, asked: Asked) -> None:
        await here.change(1, "A")
        seen = await seen_of(page, lambda: "A" in page.counts)
        assert await asked.ask(seen) == ["A"]
        heard = len(page.events)
        await here.add("new", "New")
        newer = await seen_of(page, lambda: any("tasks" in each.data["also"] for each in page.events[heard:]))
        assert await asked.ask(newer) == ["A", "New"]

    with_site(act)


@pytest.mark.parametrize("seen", [None, "", "rubbish", "1-0", "9-9.9-9.9-9.9-9.9-9", "9" * 19 + "-0.0-0.0-0.0-0"])
def test_who_does_not_say_how_far_it_heard_sees_what_has_happened_by_now(seen: str | None) -> None:
    async def act(here: Site, page: AppPage, asked: Asked) -> None:
        await here.change(1, "A")
        assert await asked.ask(await seen_of(page, lambda: "A" in page.counts)) == ["A"]
        await here.change(1, "B")
        assert await asked.ask(seen) == ["A", "B"]

    with_site(act)


def test_other_questions_and_answers_that_are_old_or_none_are_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(here: Site, page: AppPage, asked: Asked) -> None:
        await here.change(1, "A")
        await here.change(1, "B")
        seen = await seen_of(page, lambda: {"A", "B"} <= page.counts.keys())
        assert len(await asked.ask(seen, limit=1)) == 1
        assert await asked.ask(seen) == ["A", "B"]
        assert await asked.ask(seen, nothing=1) == 400
        monkeypatch.setattr(shared_looks, "KEPT_SECONDS", 0.0)
        looks = asked.looks
        assert await asked.ask(seen) == ["A", "B"] and asked.looks == looks + 1
        monkeypatch.undo()
        shared = shared_looks.SharedLooks(here.app.scheduler.events)
        came: list[Any] = []

        async def fail() -> Answer:
            came.append(1)
            raise RedisUnavailable("It is away.")

        for _ in range(2):
            with pytest.raises(RedisUnavailable):
                await shared.answer("question", seen.encode(), fail)
        assert len(came) == 2

    with_site(act)


def test_where_very_many_listen_those_that_ask_meanwhile_wait_for_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = 0.6
    monkeypatch.setattr(shared_looks, "pace_seconds", lambda listeners: rest / shared_looks.PART_OF_PACE)

    async def act(here: Site, page: AppPage, asked: Asked) -> None:
        await here.change(1, "A")
        seen = await seen_of(page, lambda: "A" in page.counts)
        began = asyncio.get_running_loop().time()
        assert await asked.ask(seen) == ["A"]
        await here.change(1, "B")
        newer = await seen_of(page, lambda: "B" in page.counts)
        gone = asyncio.ensure_future(asked.ask(newer))
        others = [asyncio.ensure_future(asked.ask(newer)) for _ in range(PAGES)]
        await asyncio.sleep(0)
        gone.cancel()
        assert await asyncio.gather(*others) == [["A", "B"]] * PAGES and asked.looks == 2
        assert asyncio.get_running_loop().time() - began >= rest
        # Who does not say how far it has heard is not one of them, and waits for nobody.
        monkeypatch.setattr(shared_looks, "pace_seconds", lambda listeners: 1000.0)
        assert await asked.ask(None) == ["A", "B"]
        here.app.end_waiting()
        await here.change(1, "C")
        assert await asked.ask("9" * 15 + "-0." + newer.partition(".")[2]) == ["A", "B", "C"]

    with_site(act)


def test_who_has_heard_more_at_another_server_waits_with_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_looks, "pace_seconds", lambda listeners: 0.6 / shared_looks.PART_OF_PACE)

    async def act(here: Site, page: AppPage, asked: Asked) -> None:
        await here.change(1, "A")
        seen = await seen_of(page, lambda: "A" in page.counts)
        assert await asked.ask(seen) == ["A"]
        await here.change(1, "B")
        ahead = "9" * 15 + "-0." + seen.partition(".")[2]  # this one has not read as far
        asking = [asyncio.ensure_future(asked.ask(ahead)) for _ in range(9)]
        await until_true(lambda: asked.looks == 2, "the common look begins")
        assert await asyncio.gather(*asking) == [["A", "B"]] * 9 and asked.looks == 2

    with_site(act)


def test_a_failure_of_the_look_that_they_wait_for_is_told_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_looks, "pace_seconds", lambda listeners: 0.2 / shared_looks.PART_OF_PACE)

    async def act(here: Site, page: AppPage, asked: Asked) -> None:
        shared = shared_looks.SharedLooks(here.app.scheduler.events)
        came: list[Any] = []

        async def look() -> Answer:
            came.append(1)
            await asyncio.sleep(0.05)
            if len(came) == 2:
                raise RedisUnavailable("It is away.")
            return Answer(200, b"{}")

        async def ask() -> Any:
            return await shared.answer("question", page.events[-1].data["seen"].encode(), look)

        await here.change(1, "A")
        await seen_of(page, lambda: "A" in page.counts)
        assert (await ask()).status == 200
        await here.change(1, "B")
        await seen_of(page, lambda: "B" in page.counts)
        found = await asyncio.gather(*(ask() for _ in range(9)), return_exceptions=True)
        assert [type(each) for each in found] == [RedisUnavailable] * 9 and len(came) == 2
        assert (await ask()).status == 200, "a failure is not kept"

    with_site(act)


def test_a_viewer_gets_no_answer_that_was_made_for_who_may_see_more(tmp_path: Path) -> None:
    async def act() -> None:
        users = tmp_path / "users"
        users.write_text("".join(user_line(role.value, PASSWORD, f"{role.value}@*") for role in Role))
        users.chmod(0o600)
        async with site(access=AccessConfig(users_file=str(users), viewer_sees="counts")) as here:
            admin, viewer = basic("admin", PASSWORD), basic("viewer", PASSWORD)
            page, asked = await here.listen(headers=admin), Asked(here)
            await here.change(1, "A")
            seen = await seen_of(page, lambda: "A" in page.counts)
            assert await asked.ask(seen, admin) == ["A"]
            assert await asked.ask(seen, viewer) == 403
            asking = [AppPage(here.app, "/api/overview", {**who, "bsched-seen": seen}) for who in (admin, viewer)]
            for each in asking:
                await each.task
            named, counted = (json.loads(each.raw)["response"] for each in asking)
            assert named["versions"]["servers"] and not counted.get("versions", {}).get("servers")
            await page.leave()

    run(act)
