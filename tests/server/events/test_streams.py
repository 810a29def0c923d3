"""What a stream of events tells whom, and when it ends: an application in the test's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from broker_sched import Scheduler
from broker_sched.contract.roles import Role
from broker_sched.scheduler import event_feed
from broker_sched.scheduler.operations.sessions import revoke_sessions
from broker_sched.scheduler.operations.tokens import create_token, list_tokens, revoke_token
from broker_sched.scheduler.recent_changes import KEPT, place_of
from broker_sched.server import protocol, serve
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.limits import Limits, StreamLimit
from tests.conftest import DEFAULT_KIND, KINDS, running
from tests.server.access.asgi import basic, user_line
from tests.server.events.pages import AppPage, until_true
from tests.server.events.site import run, site

PASSWORD = "correct horse"


# What is told


def test_an_event_names_families_tasks_and_what_else_changed() -> None:
    async def act() -> None:
        async with site() as here:
            page = await here.listen()
            await here.add("a", "Sales")
            await page.until(lambda: "tasks" in _also(page), "a new task shows")
            await here.call("get_work", worker="w")
            await here.add("a", "Sales", "DONE")
            await page.until(lambda: page.counts.get("Sales") == {"PENDING": -1, "DONE": 1}, "the counts are told")
            assert [event.data["tasks"] for event in page.named("change")][-1] == {"a": "DONE"}
            assert all(event.data["complete"] for event in page.named("change"))
            assert page.headers[b"content-type"].startswith(b"text/event-stream")
            assert page.headers[b"cache-control"] == b"no-store"
            await page.leave()

    run(act)


def test_what_operators_change_is_told_by_subject() -> None:
    async def act() -> None:
        async with site() as here:
            with contextlib.closing(Scheduler(here.url, here.name)) as operator:
                page = await here.listen()
                for method, arguments, subject in (
                    ("pause", {}, "paused"),
                    ("pause_family", {"family": "F"}, "paused"),
                    ("update_resource", {"resource": "db", "amount": 2}, "resources"),
                    ("add_worker", {"worker": "new", "info": {}}, "workers"),
                    ("disable_worker", {"worker": "new"}, "workers"),
                    ("add_submission", {"submission": "new", "tasks": []}, "submissions"),
                    ("update_options", {"options": {"retry_count": 7}}, "options"),
                ):
                    heard = len(page.events)
                    await asyncio.to_thread(getattr(operator, method), **arguments)
                    await page.until(lambda: subject in _also(page, heard), f"{method} shows")  # noqa: B023
                await page.leave()

    run(act)


def test_of_very_many_tasks_only_families_are_told_and_of_too_many_families_that_all_is_to_be_read_anew() -> None:
    async def act() -> None:
        async with site() as here:
            page = await here.listen()
            here.put_events(300)
            await page.until(lambda: page.counts.get("F", {}).get("DONE") == 300, "all are told")
            assert not all(event.data["complete"] for event in page.named("change"))
            assert all(not event.data["tasks"] for event in page.named("change") if not event.data["complete"])
            namespace = here.app.scheduler.namespace
            with running(DEFAULT_KIND).client() as client, client.pipeline() as pipeline:
                for number in range(300):
                    fields = {"task_id": "t", "family": f"F{number}", "from": "PENDING", "to": "DONE"}
                    pipeline.xadd(namespace.key("events"), fields)
                pipeline.execute()
            await page.until(lambda: page.named("reset"), "it is told to read anew")
            await page.leave()

    run(act)


def test_ids_with_any_text_come_through_on_one_line() -> None:
    async def act() -> None:
        async with site() as here:
            page = await here.listen()
            odd = 'a\nb\r\ndata: x\u2028"\ud800<script>'
            await here.add(odd, "Fä\n", "FAILED")
            await here.add(odd, "Fä\n", "DONE")
            await page.until(lambda: any(odd in event.data["tasks"] for event in page.named("change")), "it comes")
            await page.until(lambda: "Fä\n" in page.counts, "its family comes")
            await page.leave()

    run(act)


def test_more_changes_at_once_than_are_told_are_answered_with_a_reset_and_the_next_ones_are_told() -> None:
    async def act() -> None:
        async with site() as here:
            page = await here.listen()
            here.put_events(3 * KEPT)
            await page.until(lambda: page.named("reset"), "it is told to read anew")
            assert page.named("reset")[0].id is not None
            await here.change(1, "Next")
            await page.until(lambda: "Next" in page.counts, "it hears of the next change")
            assert len(page.raw) < 5000
            await page.leave()

    run(act)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_redis_tells_of_changes(kind: str) -> None:
    async def act() -> None:
        async with site(kind=kind) as here:
            page = await here.listen()
            await here.change(2)
            await page.until(lambda: page.counts.get("F", {}).get("FAILED") == 2, "it hears of both")
            await page.leave()

    run(act)


# Where a page goes on


def test_a_page_goes_on_behind_the_event_that_it_has_and_hears_none_twice() -> None:
    async def act() -> None:
        async with site(servers=2) as here:
            page = await here.listen()
            await here.change()
            await page.until(lambda: page.counts.get("F"), "it hears of a change")
            await page.leave()
            await here.change(20)
            for app in (0, 1):
                again = await here.listen(app=app, after=page.last_id)
                assert again.named("start")[0].data["resumed"]
                assert again.named("start")[0].id == page.last_id
                await here.change(1, f"End{app}")
                await again.until(lambda: f"End{app}" in again.counts, "it hears of the last")  # noqa: B023
                assert again.named("reset") == []
                assert again.counts["F"] == {"PENDING": -20, "FAILED": 20}
                await again.leave()
            whole = await here.listen("0-0")
            await whole.until(lambda: "End1" in whole.counts, "a stream that is whole is told from its beginning")
            await whole.leave()

    run(act)


def test_who_is_too_far_behind_is_told_to_read_anew_and_gets_no_backlog() -> None:
    async def act() -> None:
        async with site() as here:
            await here.change()
            first = await here.listen()
            last_id = first.named("start")[0].id
            await first.leave()
            here.put_events(KEPT + 10)
            page = await here.listen(after=last_id)
            await page.until(lambda: page.named("reset"), "it is told to read anew")
            assert len(page.raw) < 1000 and page.counts == {}
            await here.change()
            await page.until(lambda: page.counts.get("F"), "then it hears of changes")
            await page.leave()

    run(act)


@pytest.mark.parametrize("unknown", ["9999999999999-0", "1-1"])
def test_an_id_that_is_none_of_this_stream_is_answered_with_a_reset(unknown: str) -> None:
    async def act() -> None:
        async with site() as here:
            await here.change()
            page = await here.listen(unknown)
            await page.until(lambda: page.named("reset"), "it is told to read anew", seconds=5)
            await here.change()
            await page.until(lambda: page.counts.get("F"), "then it hears of changes")
            await page.leave()

    run(act)


def test_a_page_that_another_server_has_told_more_waits_for_this_one() -> None:
    async def act() -> None:
        async with site(servers=2) as here:
            ahead, behind = await here.listen(app=0), await here.listen(app=1)
            await here.change()
            await ahead.until(lambda: ahead.named("change"), "the first hears")
            feed = here.apps[1].scheduler.events
            await behind.until(lambda: behind.named("change"), "so does the other")
            feed.recent = type(feed.recent)(is_whole=True)  # as if it had not read that yet
            feed._places["events"] = "0-0"
            moved = await here.listen(app=1, after=ahead.last_id)
            await here.change(3, "Next")
            await moved.until(lambda: "Next" in moved.counts, "it hears of what comes then")
            assert moved.named("reset") == [] and "F" not in moved.counts
            places = [place_of(event.id) for event in moved.events if event.id]
            assert places == sorted(places), "it is never sent back to where it would hear something again"
            for page in (ahead, behind, moved):
                await page.leave()

    run(act)


def test_a_namespace_that_was_emptied_is_read_anew() -> None:
    async def act() -> None:
        async with site() as here:
            await here.add("a", status="FAILED")
            page = await here.listen()
            with running(DEFAULT_KIND).client() as client:
                client.delete(*client.keys(f"{here.app.scheduler.namespace.prefix}*"))
            await page.until(lambda: page.named("reset"), "it is told to read anew")
            await here.call("ping", worker="w")
            await page.leave()

    run(act)


# Who may listen, how many, and how long


def test_a_viewer_who_sees_counts_gets_no_names_and_others_do(tmp_path: Path) -> None:
    async def act() -> None:
        async with site(access=access(tmp_path, viewer_sees="counts")) as here:
            viewer, worker = [await here.listen(headers=basic(name, PASSWORD)) for name in ("viewer", "worker")]
            await here.add("secret", "Hidden", "FAILED")
            await worker.until(lambda: "Hidden" in worker.counts, "others hear of names")
            await viewer.until(lambda: viewer.named("change"), "the viewer hears")
            assert any(event.data.get("counts") for event in viewer.named("change"))
            assert b"Hidden" not in viewer.raw and b"secret" not in viewer.raw
            for page in (viewer, worker):
                await page.leave()

    run(act)


def test_a_stream_ends_within_a_second_when_its_login_does_at_any_server(tmp_path: Path) -> None:
    async def act() -> None:
        config = access(tmp_path)
        async with site(servers=2, access=config) as here:
            assert config.users_file is not None
            token = await here.direct(
                lambda namespace: create_token(namespace, name="t", role=Role.VIEWER, by="test", seconds=None)
            )
            proof = await here.app.access.prove("operator", PASSWORD, {"headers": [], "client": None})
            cookie = await here.app.access.sessions.begin(proof[1], {"headers": [], "client": None})
            logins = {
                "token": {"authorization": f"Bearer {token.secret}"},
                "session": {"cookie": cookie.partition(";")[0]},
                "user": basic("viewer", PASSWORD),
                "stays": basic("worker", PASSWORD),
            }
            pages = {name: await here.listen(headers=login, app=1) for name, login in logins.items()}
            (kept,) = await here.direct(list_tokens)

            async def ends(name: str, within_seconds: float) -> None:
                began = time.monotonic()
                page = pages[name]
                await page.until(lambda: page.named("end"), f"{name} is told", seconds=10)
                assert page.named("end")[0].data == {"reason": "login"}
                await asyncio.wait_for(page.task, 5)
                assert time.monotonic() - began < within_seconds, name

            await here.direct(lambda namespace: revoke_token(namespace, kept["id"]))
            await ends("token", 1.0)
            await here.direct(lambda namespace: revoke_sessions(namespace, name="operator"))
            await ends("session", 1.0)
            users = Path(config.users_file)
            users.write_text("".join(line for line in users.read_text().splitlines(True) if "viewer" not in line))
            await ends("user", 2.0)
            await here.change()
            await pages["stays"].until(lambda: pages["stays"].counts.get("F"), "others hear on")
            await pages["stays"].leave()

    run(act)


def test_a_login_that_runs_out_ends_its_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_sched.server.events.stream.CHECK_SECONDS", (0.1, 0.2))
    monkeypatch.setattr(event_feed, "BEAT_SECONDS", 0.1)

    async def act() -> None:
        async with site(access=access(tmp_path)) as here:
            token = await here.direct(
                lambda namespace: create_token(namespace, name="t", role=Role.VIEWER, by="test", seconds=1.0)
            )
            page = await here.listen(headers={"authorization": f"Bearer {token.secret}"})
            await page.until(lambda: page.named("end"), "it ends")
            await asyncio.wait_for(page.task, 5)

    run(act)


def test_who_may_have_no_more_streams_is_told_so_and_may_when_one_ends() -> None:
    async def act() -> None:
        limit = StreamLimit(Limits(streams=3, streams_per_address=2).filled_in(), lambda address: address)
        async with site(streams=limit) as here:
            pages = [await here.listen() for _ in range(2)]
            third = AppPage(here.app)
            await third.task
            other = AppPage(here.app, client=("192.0.2.2", 1))
            await other.until(lambda: other.named("start"), "another address may")
            fourth = AppPage(here.app, client=("192.0.2.3", 1))
            await fourth.task
            assert (third.status, fourth.status) == (429, 503)
            assert json.loads(third.raw)["error"]["type"] == "TooMany" and b"retry-after" in third.headers
            await pages[0].leave()
            pages[0] = await here.listen()
            for page in (*pages, other):
                await page.leave()

    run(act)


@pytest.mark.parametrize(
    ("verb", "path", "headers", "status", "field"),
    [
        ("HEAD", "/events", {}, 405, None),
        ("POST", "/events", {}, 405, None),
        ("GET", "/events", {"last-event-id": "yesterday"}, 400, "Last-Event-ID"),
        ("GET", "/events", {"last-event-id": "1-1-1"}, 400, "Last-Event-ID"),
        ("GET", "/events?after=%D9%A1-0", {}, 400, "after"),
        ("GET", "/events?after=99999999999999999999-0", {}, 400, "after"),
        ("GET", "/events?after=1-0&after=2-0", {}, 400, "after"),
        ("GET", "/events?since=1-0", {}, 400, "since"),
    ],
)
def test_a_wrong_request_is_refused_in_words(
    verb: str, path: str, headers: dict[str, str], status: int, field: str | None
) -> None:
    async def act() -> None:
        async with site() as here:
            page = AppPage(here.app, path, headers, method=verb)
            await page.task
            assert page.status == status
            error = json.loads(page.raw)["error"] if page.raw else {}
            assert error.get("field") == field

    run(act)


# Who reads slowly, and who reads nothing at all


def test_nothing_is_kept_for_a_page_that_reads_slowly_and_others_wait_for_nobody() -> None:
    async def act() -> None:
        async with site() as here:
            slow, quick = await here.listen(), await here.listen()
            slow.stop_reading()
            for number in range(1, 6):
                await here.change(10)
                await quick.until(lambda: _failed(quick) == 10 * number, "the other hears all")  # noqa: B023
            slow.read_on()
            await slow.until(lambda: _failed(slow) == 50, "it hears all, too")
            assert len(slow.named("change")) < len(quick.named("change"))
            for page in (slow, quick):
                await page.leave()

    run(act)


def test_a_page_that_reads_nothing_is_cut_off_at_a_real_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALLED_SECONDS", 0.3)
    monkeypatch.setattr(serve, "LOOK_TICKS", 1)

    async def act() -> None:
        async with site() as here:
            listener, client = socket.create_server(("127.0.0.1", 0)), socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # so that little is on the way
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            started = asyncio.Event()
            server = serve.Server(here.app, started.set, lambda: None)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            await started.wait()
            client.connect(listener.getsockname())
            client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until_true(lambda: here.app.scheduler.events.listeners == 1, "it listens")
            quick = await here.listen()

            while here.app.scheduler.events.listeners == 2:
                heard = len(quick.events)
                here.put_events(90, task_id="t" * 150)
                await quick.until(lambda: len(quick.events) > heard, "the other hears")  # noqa: B023
            assert not quick.named("reset") and not quick.task.done()
            await quick.leave()
            client.close()
            server.handle_exit(signal.SIGTERM, None)
            await serving

    run(act)


def test_a_comment_shows_that_the_connection_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "BEAT_SECONDS", 0.2)

    async def act() -> None:
        async with site() as here:
            page = await here.listen()
            await page.until(lambda: page.parser.comments >= 2, "comments come")
            await page.leave()

    run(act)


def test_redis_is_asked_for_nothing_when_nobody_listens() -> None:
    async def act() -> None:
        async with site() as here:
            feed = here.app.scheduler.events
            sends = 0
            connection = feed.connection
            send = connection.send

            async def counting(commands: Any) -> Any:
                nonlocal sends
                sends += 1
                return await send(commands)

            connection.send = counting  # type: ignore[method-assign]
            page = await here.listen()
            await page.leave()
            await until_true(lambda: feed._reading is not None and feed._reading.done(), "it reads no more")
            before = sends
            await here.change(2)
            assert sends == before > 0
            again = await here.listen()
            await here.change()
            await again.until(lambda: again.named("change"), "who comes then hears")
            await again.leave()

    run(act)


def access(directory: Path, **more: Any) -> AccessConfig:
    users = directory / "users"
    users.write_text("".join(user_line(role.value, PASSWORD, f"{role.value}@*") for role in Role))
    users.chmod(0o600)
    return AccessConfig(users_file=str(users), **more)


def _also(page: AppPage, since: int = 0) -> set[str]:
    return {subject for event in page.events[since:] if event.name == "change" for subject in event.data["also"]}


def _failed(page: AppPage) -> int:
    return page.counts.get("F", {}).get("FAILED", 0)


def test_while_many_changes_are_read_calls_go_between() -> None:
    count, turns = 10 * event_feed.READ_AT_ONCE, 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def read() -> None:
        calling = asyncio.create_task(others())
        fields = ["task_id", "t", "family", "F", "from", "READY", "to", "RUNNING"]
        changes = await event_feed._changes_in([(f"{number}-0", fields) for number in range(count)])
        calling.cancel()
        assert [each.place for each in changes] == [(number, 0) for number in range(count)]

    asyncio.run(read())
    assert turns >= 9
