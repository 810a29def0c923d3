"""`bsched verify`: compare every index in Redis with the tasks it comes from."""

from __future__ import annotations

import json
from typing import Any

import click

from bsched.options.namespace import namespace_options, open_existing
from bsched.terminal import echo


@click.command()
@namespace_options
@click.option("--repair", is_flag=True, help="Put right what differs; meanwhile all others wait, for some seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of {key, expected, found}.")
@click.pass_context
def verify(context: click.Context, redis_url: str | None, namespace: str, repair: bool, as_json: bool) -> None:
    """Recompute every index and print what differs. Exit code 1 when something does (after a repair: still does)."""
    scheduler = open_existing(redis_url, namespace)
    differences = scheduler.verify(repair=repair)
    if as_json:
        rows = [{"key": d.key, "expected": d.expected, "found": d.found} for d in differences]
        echo(json.dumps(rows, default=_listed, ensure_ascii=False))
    else:
        for difference in differences:
            echo(str(difference))
        echo(_summary(namespace, len(differences), repair))
    left = scheduler.verify() if repair and differences else differences
    scheduler.close()
    context.exit(1 if left else 0)


def _summary(namespace: str, count: int, repair: bool) -> str:
    if not count:
        return f"Namespace {namespace}: every index is right."
    advice = "repaired; run `bsched verify` again" if repair else "`bsched verify --repair` puts them right"
    return f"Namespace {namespace}: {count} {'difference' if count == 1 else 'differences'}; {advice}."


def _listed(value: Any) -> Any:
    return sorted(value, key=str) if isinstance(value, (set, frozenset)) else str(value)
