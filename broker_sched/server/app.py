"""The ASGI application: `/api/<method>` goes straight to `Api`, everything else to Starlette's routes.

POST /api/<method>      data=<JSON> as a form, or a JSON body
GET  /api/<method>      ?data=<JSON>
GET  /                  the web page; HEAD answers 204
GET  /page/<hash>/…     its files
GET  /static/visualiser/index.html   leads from an address of Luigi's page to the view that shows the same
GET  /healthz           200: the process lives
GET  /readyz            200 when calls can be served, else 503 and the reason
GET  /metrics           for Prometheus
GET  /openapi.json      what methods take and reply, for programs
GET  /events            what changes, as it does
GET  /scale?family=     how many slots could be used, for autoscalers
GET  /openapi.json      the methods, in OpenAPI
     /login, /logout    for people with a browser
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

from broker_sched import luigi_config
from broker_sched.config import OPTIONS, parse_option, to_text
from broker_sched.errors import BrokerSchedError, RedisUnavailable
from broker_sched.mails.settings import MailSettings, parse_settings, why_silent
from broker_sched.redis_backend.commands import Commands
from broker_sched.redis_backend.multiplexed_connection import open_connections
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.urls import is_in_process, replicas_ack_of, user_of
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.mailing import Mailing
from broker_sched.server.access.access import Access, AccessConfig, check_role
from broker_sched.server.access.caller import caller_of
from broker_sched.server.access.viewers import check_path
from broker_sched.server.announcements import announced
from broker_sched.server.api import API, Api
from broker_sched.server.cors import Cors, CorsConfig, parse_cors
from broker_sched.server.events.endpoint import Events
from broker_sched.server.frequent_looks import FrequentLooks
from broker_sched.server.hosts import HostRule
from broker_sched.server.large_calls import LargeCalls
from broker_sched.server.limits import Limits, StreamLimit, counted_addresses
from broker_sched.server.metrics.counters import Counters, telling
from broker_sched.server.metrics.scraping import Scraping
from broker_sched.server.prune_timer import prune_for_ever
from broker_sched.server.refusals import Refusals, telling_refusals
from broker_sched.server.requests import path_of
from broker_sched.server.responses import answer_to, secured
from broker_sched.server.routes import routes
from broker_sched.server.shared_looks import SharedLooks

log = logging.getLogger("bsched.server")

LOOKS_NICE = 5  # so much does the process for frequent looks go behind others for the processor
DRIVE_SECONDS = 30  # what mails want of Redis is not waited for longer


@dataclass(frozen=True)
class AppConfig:
    """Says which namespace an application serves, and with which options."""

    redis_url: str | None = None  # None: BSCHED_REDIS, else `local:`
    namespace: str = "default"
    options: Mapping[str, str] = field(default_factory=dict)  # name → text, as config.to_text makes it
    resources: Mapping[str, float] = field(default_factory=dict)
    mails: MailSettings | None = None  # None: this process sends no mails
    hosts: HostRule = field(default_factory=HostRule)
    access: AccessConfig = field(default_factory=AccessConfig)
    cors: CorsConfig | None = None  # None: pages of other sites read nothing
    streams: StreamLimit | None = None  # of events; None: as many as Limits says that says nothing
    address: str | None = None  # where it listens, for people; None: another ASGI server knows

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> AppConfig:
        """What BSCHED_REDIS, BSCHED_NAMESPACE, BSCHED_ALLOW_HOST and BSCHED_<OPTION> say, and luigi.cfg beside them.

        Of luigi.cfg counts what it says about mails and in [cors]. Who may ask: see AccessConfig.from_environment.
        Raises ConfigurationError.
        """
        given = {name: environment.get(f"BSCHED_{name.upper()}") for name in OPTIONS}
        configuration = luigi_config.read()
        return AppConfig(
            redis_url=environment.get("BSCHED_REDIS"),
            namespace=environment.get("BSCHED_NAMESPACE", "default"),
            options={name: to_text(parse_option(name, text)) for name, text in given.items() if text is not None},
            mails=parse_settings(configuration),
            hosts=HostRule(environment.get("BSCHED_ALLOW_HOST", "").split()),
            access=AccessConfig.from_environment(environment),
            cors=parse_cors(configuration),
        )


def create_app(config: AppConfig | None = None) -> App:
    """Make the ASGI application that serves a namespace; nothing is connected before its lifespan starts.

    config: what to serve; None: what the environment says, so that any ASGI server can run it by name: `uvicorn
    --factory broker_sched.server:create_app`. Raises ConfigurationError.
    """
    return App(AppConfig.from_environment() if config is None else config)


class App:
    """Serves one namespace. Its state is in Redis: any number of processes may run one."""

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._namespace = Namespace.named(config.namespace)
        self._scheduler: AsyncScheduler | None = None
        self._api: Api | None = None
        self._scraping: Scraping | None = None
        self._access: Access | None = None
        self._refusals: Refusals | None = None
        self._cors = None if config.cors is None else Cors(config.cors)
        self.events = Events(config.streams or StreamLimit(Limits().filled_in(), counted_addresses(())))
        self._routes = routes(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or the lifespan."""
        if (
            scope["type"] == "http"
            and self._api is not None
            and self._access is not None
            and self._refusals is not None
        ):
            refusal = self._config.hosts.refusal(scope)
            if refusal is not None:
                await answer_to(refusal, scope).send(send)
                return
            path = path_of(scope)
            method = path[len(API) :] if path.startswith(API) else None
            if self._cors is not None and method is not None:
                send = self._cors.granting(scope, send)
            try:
                await self._access.admit(scope, path)
                if scope["method"] != "OPTIONS":
                    if method is not None:
                        check_role(caller_of(scope), method)
                    else:
                        check_path(caller_of(scope).sees, path)
            except BrokerSchedError as error:
                self._refusals.note(scope, method, error)
                await answer_to(error, scope).send(send)
                return
            if method is not None:
                await self._api(method, scope, receive, send)
                return
        await self._routes(scope, receive, secured(send))

    def note_refused_login(self, scope: Scope, name: str, error: BaseException) -> None:
        """Tell the audit of a login that failed. name: who they said to be."""
        if self._refusals is not None:
            self._refusals.note_login(scope, name, error)

    @property
    def scheduler(self) -> AsyncScheduler:
        """What carries the calls out, while the application runs."""
        if self._scheduler is None:
            raise RuntimeError("The application has not been started: its ASGI server must support lifespan.")
        return self._scheduler

    @property
    def scraping(self) -> Scraping:
        """What answers /metrics and /scale, while the application runs."""
        if self._scraping is None:
            raise RuntimeError("The application has not been started: its ASGI server must support lifespan.")
        return self._scraping

    @property
    def access(self) -> Access:
        """What tells who asks, while the application runs."""
        if self._access is None:
            raise RuntimeError("The application has not been started: its ASGI server must support lifespan.")
        return self._access

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connections, timers and mails, as long as the block lasts.

        Raises ConfigurationError when the URL can't be used, SchemaMismatch when the namespace is another version's.
        An unreachable Redis is no reason not to start: calls get 503 until it is there.
        """
        config = self._config
        connections = await asyncio.to_thread(open_connections, config.redis_url, self._namespace.prefix)
        redis_url = (user_of(config.redis_url), replicas_ack_of(config.redis_url))
        scheduler = AsyncScheduler(self._namespace, *connections, config.options, config.resources, *redis_url)
        try:
            with contextlib.closing(Access(config.access, scheduler)) as access:
                try:
                    await scheduler.configure()
                except RedisUnavailable as error:
                    log.warning("Calls are answered with 503 until Redis can be reached: %s", error)
                async with self._serving(scheduler, access):
                    yield
        finally:
            await scheduler.close()

    @contextlib.asynccontextmanager
    async def _serving(self, scheduler: AsyncScheduler, access: Access) -> AsyncIterator[None]:
        """What begins when the namespace is ready, and ends before the connections are closed."""
        large_calls, looks = _processes_beside(self._config)
        counters = Counters(scheduler)
        self._scraping = Scraping(scheduler, counters)
        self.events.begin(scheduler.events, access)
        self._scheduler, self._access, self._refusals = scheduler, access, Refusals(scheduler)
        trusted = () if self._cors is None else self._cors.trusted
        self._api = Api(scheduler, large_calls, looks, SharedLooks(scheduler.events), counters, trusted)
        pruner = asyncio.create_task(prune_for_ever(scheduler))
        mailing = _start_mailing(self._config.mails, scheduler)
        try:
            async with (
                announced(scheduler, self._config.address),
                telling(counters),
                telling_refusals(self._refusals),
            ):
                yield
        finally:
            pruner.cancel()
            if large_calls is not None and looks is not None:
                await asyncio.gather(large_calls.close(), looks.close())
            if mailing is not None:
                await asyncio.to_thread(mailing.stop)

    def end_waiting(self) -> None:
        """Answer those who wait for work, and end streams, now and from now on: this process is about to leave."""
        self.scheduler.end_waiting()


def _processes_beside(config: AppConfig) -> tuple[LargeCalls | None, FrequentLooks | None]:
    """What passes calls on to processes of their own, where others can reach this Redis. None is started yet."""
    if is_in_process(config.redis_url):
        return None, None
    place = (config.redis_url, config.namespace)
    return LargeCalls(*place), FrequentLooks(LargeCalls(*place, looks=True, nice=LOOKS_NICE))


def _start_mailing(settings: MailSettings | None, scheduler: AsyncScheduler) -> Mailing | None:
    """Send the namespace's mails, in a thread that asks this event loop for what it wants of Redis."""
    silent = why_silent(settings) if settings else "no settings are given"
    if settings is None or silent is not None:
        if settings is not None and settings.email.receivers:
            log.info("This server sends no mails: %s.", silent)
        return None
    loop = asyncio.get_running_loop()

    def drive(commands: Commands[Any]) -> Any:
        if loop.is_closed():
            raise RuntimeError("the server has ended")
        return asyncio.run_coroutine_threadsafe(scheduler.drive(commands), loop).result(DRIVE_SECONDS)

    mailing = Mailing(scheduler.namespace, settings, drive)
    mailing.start()
    return mailing
