"""`bsched verify`: compare every index in Redis with the tasks it comes from."""

from __future__ import annotations

import json
from typing import Any

import click

from bsched.exit_codes import DONE, REFUSED
from bsched.options.place import Place, redis_options
from bsched.output import Output, json_option
from bsched.terminal import echo


@click.command()
@redis_options
@click.option("--repair", is_flag=True, help="Put right what differs; meanwhile all others wait, for some seconds.")
@json_option
@click.pass_context
def verify(context: click.Context, place: Place, repair: bool, output: Output) -> None:
    """Recompute every index and print what differs. Exit code 1 when something does (after a repair: still does)."""
    scheduler = place.existing()
    differences = scheduler.verify(repair=repair)
    if output.as_json:
        for each in differences:
            echo(json.dumps(each._asdict(), default=_listed, ensure_ascii=False))
    else:
        for difference in differences:
            echo(str(difference))
        echo(_summary(place.namespace, len(differences), repair))
    left = scheduler.verify() if repair and differences else differences
    context.exit(REFUSED if left else DONE)


def _summary(namespace: str, count: int, repair: bool) -> str:
    if not count:
        return f"Namespace {namespace}: every index is right."
    advice = "repaired; run `bsched verify` again" if repair else "`bsched verify --repair` puts them right"
    return f"Namespace {namespace}: {count} {'difference' if count == 1 else 'differences'}; {advice}."


def _listed(value: Any) -> Any:
    return sorted(value, key=str) if isinstance(value, (set, frozenset)) else str(value)
