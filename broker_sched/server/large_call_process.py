"""The process that carries out large calls: reads them from standard input, and answers on standard output."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable
from typing import IO, Any

import msgspec

from broker_sched import log_lines
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.errors import BrokerSchedError
from broker_sched.redis_backend.multiplexed_connection import open_connections
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.urls import replicas_ack_of, user_of
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.server.api import Api
from broker_sched.server.heap import freeze_heap
from broker_sched.server.large_calls import LENGTH_BYTES, STARTED, Frame, Opening, Question, Reply, as_scope, framed


def main() -> None:
    """Serve until standard input is at its end, which it is when the server has gone."""
    handler = logging.StreamHandler()
    handler.setFormatter(log_lines.formatter(log_lines.chosen_in_environment()))
    logging.basicConfig(handlers=[handler])
    with os.fdopen(os.dup(1), "wb", buffering=0) as out:
        os.dup2(2, 1)  # whatever prints, prints no frame
        asyncio.run(_serve(sys.stdin.buffer, out))


async def _serve(source: IO[bytes], out: IO[bytes]) -> None:
    first = await asyncio.to_thread(_next_frame, source)
    if first is None:
        return
    opening = msgspec.msgpack.decode(first.head, type=Opening)
    namespace = Namespace.named(opening.namespace)
    log_lines.note_process(namespace=namespace.name)
    connections = await asyncio.to_thread(open_connections, opening.redis_url, namespace.prefix)
    user, replicas_ack = user_of(opening.redis_url), replicas_ack_of(opening.redis_url)
    scheduler = AsyncScheduler(namespace, *connections, user=user, replicas_ack=replicas_ack)
    api, writing, tasks = Api(scheduler), asyncio.Lock(), set()
    if opening.looks:
        await _look_once(scheduler)
    freeze_heap()
    await asyncio.to_thread(_write, out, framed(Reply(STARTED, 0, [])))
    while (frame := await asyncio.to_thread(_next_frame, source)) is not None:
        task = asyncio.create_task(_answer(api, frame, out, writing))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        del frame
    for task in tasks:
        task.cancel()
    await scheduler.close()


async def _look_once(scheduler: AsyncScheduler) -> None:
    """Connect, and load what looks need, so that nobody waits for it. What fails now, the first look will tell."""
    with contextlib.suppress(BrokerSchedError):
        for name in ("overview", "families"):
            await scheduler.invoke(METHODS[name], {})


async def _answer(api: Api, frame: Frame, out: IO[bytes], writing: asyncio.Lock) -> None:
    question = msgspec.msgpack.decode(frame.head, type=Question)
    messages: list[Any] = []
    await api(question.name, as_scope(question), _receiving(frame.body), _keeping(messages))
    start, *parts = messages
    body = b"".join(part["body"] for part in parts)
    headers = [header for header in start["headers"] if header[0] != b"content-length"]  # which every answer gets
    async with writing:
        await asyncio.to_thread(_write, out, framed(Reply(question.number, start["status"], headers), [body]))


def _receiving(body: bytes) -> Callable[[], Any]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _keeping(messages: list[Any]) -> Callable[[Any], Any]:
    async def send(message: Any) -> None:
        messages.append(message)

    return send


def _next_frame(source: IO[bytes]) -> Frame | None:
    lengths = source.read(2 * LENGTH_BYTES)
    if len(lengths) < 2 * LENGTH_BYTES:
        return None
    head = source.read(int.from_bytes(lengths[:LENGTH_BYTES], "big"))
    return Frame(head, source.read(int.from_bytes(lengths[LENGTH_BYTES:], "big")))


def _write(out: IO[bytes], pieces: list[bytes]) -> None:
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            rest = rest[out.write(rest) or 0 :]
