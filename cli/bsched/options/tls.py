"""The options by which a server speaks TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from broker_sched.server.tls import TLSFiles

OPTIONS = {
    "certificate": "--tls-cert",
    "key": "--tls-key",
    "key_password_file": "--tls-key-password-file",
    "client_ca": "--tls-client-ca",
    "requires_client_certificate": "--tls-require-client-cert",
}


def tls_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options --tls-…; `tls_files` makes of them what a server takes."""
    for decorate in (
        click.option(
            "--tls-require-client-cert",
            "requires_client_certificate",
            is_flag=True,
            envvar="BSCHED_TLS_REQUIRE_CLIENT_CERT",
            help="Refuse the handshake of clients without such a certificate; else they may log in otherwise.  "
            "[env: BSCHED_TLS_REQUIRE_CLIENT_CERT]",
        ),
        _file("client_ca", "Ask clients for a certificate; those are believed that these authorities have issued."),
        _file("key_password_file", "The password of an encrypted key."),
        _file("key", "Its private key, if that does not stand in the same file."),
        _file(
            "certificate",
            "Speak TLS with this certificate, in PEM, the intermediate ones behind it. SIGHUP: read all files anew.",
        ),
    ):
        function = decorate(function)
    return function


def tls_files(options: dict[str, Any]) -> TLSFiles | None:
    """Take the options --tls-… out of a command's; None: plain HTTP. Raises click.UsageError."""
    from broker_sched.server.tls import TLSFiles  # here, since other commands need no HTTP

    given = {name: options.pop(name) for name in OPTIONS}
    if given["certificate"] is None:
        if others := [OPTIONS[name] for name, value in given.items() if value]:
            raise click.UsageError(f"{' and '.join(others)}: give the certificate, too, with --tls-cert.")
        return None
    if given["requires_client_certificate"] and given["client_ca"] is None:
        raise click.UsageError("--tls-require-client-cert: say with --tls-client-ca who issues such certificates.")
    return TLSFiles(**given)


def _file(name: str, text: str) -> Callable[..., Any]:
    flag = OPTIONS[name]
    variable = f"BSCHED_{flag[2:].replace('-', '_').upper()}"
    return click.option(flag, name, metavar="FILE", envvar=variable, help=f"{text}  [env: {variable}]")
