"""`bsched server`: the scheduler over HTTP, for Luigi's workers and browsers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from broker_sched import luigi_config
from broker_sched.config import to_text
from broker_sched.log_lines import note_process
from broker_sched.luigi_config import LuigiConfig
from broker_sched.mails.settings import parse_settings
from broker_sched.worker.default_scheduler import scheduler_settings
from bsched.logs import SERVERS_FILE, log_format_option, start_logging
from bsched.options.access import access_options
from bsched.options.luigi import without_effect
from bsched.options.namespace import namespace_options
from bsched.options.network import network_options
from bsched.options.scheduler import tell_unhonoured
from bsched.options.settings import Settings, from_arguments, from_environment
from bsched.options.tls import tls_files, tls_options
from bsched.terminal import echo

if TYPE_CHECKING:
    from broker_sched.server.access.access import AccessConfig

IN_BACKGROUND = "start it with systemd (deploy/bsched-server.service), or with: nohup bsched server --logdir DIR &"
NO_STATE = "Redis keeps the state; say which one with --redis or BSCHED_REDIS"


@click.command()
@click.option(
    "--host",
    "--address",
    "host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; 0.0.0.0 for all.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8082, show_default=True, help="0: any free one.")
@click.option("--unix-socket", metavar="PATH", help="Listen on this unix socket instead.")
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="So many processes answer, on the one port or socket; each uses one core. One that dies is replaced.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    envvar="BSCHED_ALLOW_HOST",
    help="A name in the Host header under which it may be asked; may be repeated; '*' for all. At a loopback address, "
    "loopback's names are allowed anyway, and no others; elsewhere all are until one is given.  "
    "[env: BSCHED_ALLOW_HOST]",
)
@network_options
@tls_options
@access_options
@namespace_options
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    help="info if not given; debug logs every call, without its data.",
)
@log_format_option
@click.option("--logdir", metavar="DIR", help=f"Log there, in {SERVERS_FILE}, instead of on stderr.")
@click.option("--pidfile", metavar="PATH", help="Write the process's id there, and keep other servers from using it.")
@without_effect("--background", IN_BACKGROUND, is_flag=True)
@without_effect("--state-path", NO_STATE)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A scheduler option (retry_delay=60) or a limit (resources.db=3), written to the namespace. "
    "Also as BSCHED_<NAME> in the environment, and in [scheduler] and [resources] of luigi.cfg; --set wins.",
)
def server(
    host: str,
    port: int,
    unix_socket: str | None,
    processes: int,
    allowed_hosts: tuple[str, ...],
    access: AccessConfig,
    insecure: bool,
    redis_url: str | None,
    namespace: str,
    log_level: str | None,
    log_format: str | None,
    logdir: str | None,
    pidfile: str | None,
    settings: tuple[str, ...],
    **more: Any,
) -> None:
    """Serve a namespace over HTTP until SIGTERM. Any number of servers can share one namespace."""
    from broker_sched.server.app import AppConfig  # here, since other commands need no HTTP
    from broker_sched.server.cors import parse_cors
    from broker_sched.server.serve import ServerConfig, serve

    config = luigi_config.read()
    given = from_arguments(settings)
    start_logging(config, log_level, "info", directory=logdir, has_level=False, form=log_format)
    note_process(namespace=namespace)
    tell_unhonoured(config, "server")
    chosen = _settings(config, Settings({**from_environment(os.environ), **given.options}, given.resources))
    with _pid_written(pidfile):
        serve(
            ServerConfig(
                app=AppConfig(
                    redis_url=redis_url,
                    namespace=namespace,
                    options={name: to_text(value) for name, value in chosen.options.items()},
                    resources=chosen.resources,
                    mails=parse_settings(config),
                    access=access,
                    cors=parse_cors(config),
                ),
                host=host,
                port=port,
                unix_socket=unix_socket,
                processes=processes,
                allowed_hosts=allowed_hosts,
                tls=tls_files(more),
                proxies=more["proxies"],
                limits=more["limits"],
                is_insecure=insecure,
            ),
            announce=echo,
        )


def _settings(config: LuigiConfig, given: Settings) -> Settings:
    """What is given, and before it what luigi's configuration says; tells what is taken from there."""
    found = scheduler_settings(config)
    taken = {name: value for name, value in found.options.items() if name not in given.options}
    limits = {name: value for name, value in found.resources.items() if name not in given.resources}
    told = [*taken.items(), *((f"resources.{name}", limit) for name, limit in limits.items())]
    for name, value in told:
        echo(f"bsched server: {name} = {value}, from {found.places[name]}", err=True)
    return Settings({**taken, **given.options}, {**limits, **given.resources})


@contextlib.contextmanager
def _pid_written(path: str | None) -> Iterator[None]:
    """The file holds this process's id while the block runs; it is locked, so that a stale one stops nobody."""
    if path is None:
        yield
        return
    import fcntl  # which Windows does not have

    try:
        file = open(path, "a+")  # noqa: SIM115  # until the end of the block
    except OSError as error:
        raise click.UsageError(f"--pidfile: {path} can't be written: {error.strerror}.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise click.ClickException(
                f"Another server uses {path}, process {file.read().strip()}. Stop it, or choose another --pidfile."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            os.unlink(path)
