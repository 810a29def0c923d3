"""`bsched user`: the users file of a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker_sched.errors import ConfigurationError
from bsched.options.access import users_file_option
from bsched.output import Output, column, json_option

if TYPE_CHECKING:
    from broker_sched.server.access.users_file import User

SHORTEST = 8  # characters of a password
COLUMNS = (column("User", "name"), column("Login", "login"), column("Roles", "roles", " ".join))


def password_option(function: Any) -> Any:
    """Add --password-file; the command gets password_file."""
    return click.option(
        "--password-file",
        metavar="PATH",
        help="Where the password stands, in the first line. Without it, it is asked for on a terminal, else read from "
        "standard input.",
    )(function)


@click.group()
def user() -> None:
    """Say who may ask a server, in a file of users: servers that use it follow within half a second."""


@user.command()
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    metavar="ROLE@NAMESPACE",
    help="viewer, worker, operator or admin, in a namespace or in all (worker@etl, viewer@*); may be repeated.",
)
@click.option("--certificate", is_flag=True, help="No password: a client certificate with this name.")
@password_option
@users_file_option
@json_option
def add(
    name: str,
    roles: tuple[str, ...],
    certificate: bool,
    password_file: str | None,
    users_file: str | None,
    output: Output,
) -> None:
    """Add a user to the file, which is made if it is not there."""
    from broker_sched.server.access.grants import parse_grants
    from broker_sched.server.access.users_file import User, changing_users, check_name, read_users

    if certificate and password_file:
        raise click.UsageError("Who comes with a --certificate has no password.")
    path = _path(users_file)
    added = User(check_name(name), None, parse_grants(roles))
    if os.path.exists(path):
        _refuse_second(read_users(path), name)  # before a password is asked for
    if not certificate:
        added = added._replace(password_hash=_hash_of(name, password_file))
    with changing_users(path) as users:
        _refuse_second(users, name)
        users[name] = added
    _answer(output, users[name], "There is now")


@user.command()
@click.argument("name")
@password_option
@users_file_option
@json_option
def passwd(name: str, password_file: str | None, users_file: str | None, output: Output) -> None:
    """Give a user of the file another password; the former one is refused within half a second."""
    from broker_sched.server.access.users_file import changing_users, read_users

    path = _path(users_file)
    if _found(read_users(path), name).password_hash is None:
        raise click.ClickException(f"{name} comes with a certificate, and has no password.")
    made = _hash_of(name, password_file)
    with changing_users(path) as users:
        users[name] = _found(users, name)._replace(password_hash=made)
    _answer(output, users[name], "Another password has")


@user.command()
@click.argument("name")
@users_file_option
@json_option
def remove(name: str, users_file: str | None, output: Output) -> None:
    """Remove a user from the file; servers that use it refuse them within half a second."""
    from broker_sched.server.access.users_file import changing_users

    with changing_users(_path(users_file)) as users:
        found = _found(users, name)
        del users[name]
    _answer(output, found, "Removed is")


@user.command("list")
@users_file_option
@json_option
def list_(users_file: str | None, output: Output) -> None:
    """List the users in the file, how each logs in, and their roles."""
    from broker_sched.server.access.users_file import read_users

    output.rows(map(_row, read_users(_path(users_file)).values()), COLUMNS, "No users.")


def _row(each: User) -> dict[str, Any]:
    from broker_sched.server.access.grants import write_grants

    login = "password" if each.password_hash else "certificate"
    return {"name": each.name, "login": login, "roles": write_grants(each.grants).split()}


def _answer(output: Output, changed: User, what: str) -> None:
    row = _row(changed)
    output.thing(row, lambda: f"{what} {row['name']}, {' '.join(row['roles']) or 'without a role'}.")


def _path(users_file: str | None) -> str:
    if users_file is None:
        raise click.UsageError("Which file? Give --users-file PATH, or BSCHED_USERS_FILE.")
    return users_file


def _refuse_second(users: Mapping[str, User], name: str) -> None:
    if name in users:
        raise click.ClickException(f"There is a user {name} already; `bsched user passwd` changes the password.")


def _found(users: Mapping[str, User], name: str) -> User:
    if name not in users:
        raise click.ClickException(f"There is no user {name}; `bsched user list` shows those that there are.")
    return users[name]


def _hash_of(name: str, password_file: str | None) -> str:
    from broker_sched.server.access.passwords import LONGEST, hash_password
    from broker_sched.server.access.tokens import is_token

    password = _password(name, password_file)
    if not SHORTEST <= len(password) <= LONGEST:
        raise click.ClickException(f"A password has {SHORTEST} to {LONGEST} characters. Nothing was changed.")
    if is_token(password):  # a server would look for it among the tokens
        raise click.ClickException("A password can't begin as a token does. Nothing was changed.")
    return hash_password(password)


def _password(name: str, password_file: str | None) -> str:
    if password_file is None and sys.stdin.isatty():
        asked: str = click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    if password_file is None or password_file == "-":
        return sys.stdin.readline().rstrip("\r\n")
    try:
        text = Path(password_file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--password-file: {password_file} can't be read: {error}.") from None
    return text.partition("\n")[0].rstrip("\r")
