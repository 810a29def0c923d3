"""`bsched server`: the scheduler over HTTP, for Luigi's workers and browsers."""

from __future__ import annotations

import logging
import os

import click

from broker_sched import luigi_config
from broker_sched.config import to_text
from broker_sched.mails.settings import parse_settings
from bsched.namespace import namespace_options
from bsched.settings import from_arguments, from_environment

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8082, show_default=True, help="0: any free one.")
@click.option("--unix-socket", metavar="PATH", help="Listen on this unix socket instead.")
@namespace_options
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="debug logs every call, without its data.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A scheduler option (retry_delay=60) or a limit (resources.db=3), written to the namespace. "
    "Also as BSCHED_<NAME> in the environment; --set wins.",
)
def server(
    host: str,
    port: int,
    unix_socket: str | None,
    redis_url: str | None,
    namespace: str,
    log_level: str,
    settings: tuple[str, ...],
) -> None:
    """Serve a namespace over HTTP until SIGTERM. Any number of servers can share one namespace."""
    from broker_sched.http.server import ServerConfig, serve  # here, since other commands need no HTTP

    given = from_arguments(settings)
    options = {**from_environment(os.environ), **given.options}
    logging.basicConfig(format=LOG_FORMAT, level=logging.WARNING)
    logging.getLogger("bsched").setLevel(log_level.upper())
    serve(
        ServerConfig(
            redis_url=redis_url,
            namespace=namespace,
            host=host,
            port=port,
            unix_socket=unix_socket,
            options={name: to_text(value) for name, value in options.items()},
            resources=given.resources,
            mails=parse_settings(luigi_config.read()),
        ),
        announce=click.echo,
    )
