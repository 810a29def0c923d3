"""`bsched graph`: what a task depends on, or what depends on it, drawn in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from bsched.graph_formats import dot_of, mermaid_of, name_of, rows_of
from bsched.options.place import Place, place_options
from bsched.output import STYLES, Output, json_option
from bsched.terminal import echo

LANGUAGES = {"dot": dot_of, "mermaid": mermaid_of}


@click.command()
@click.argument("task_id", metavar="TASK")
@click.option("--up", "direction", flag_value="deps", default=True, help="What the task depends on; the default.")
@click.option("--down", "direction", flag_value="dependents", help="What depends on the task.")
@click.option("--nodes", type=click.IntRange(20, 150), default=150, help="How many there may be.  [20..150]")
@click.option("--expand", multiple=True, metavar="NODE", help="A node group:… whose tasks are shown one by one.")
@click.option("--without-done", is_flag=True, help="Leave out DONE tasks, and what is reached through them alone.")
@click.option("--dot", "language", flag_value="dot", help="Print it for graphviz.")
@click.option("--mermaid", "language", flag_value="mermaid", help="Print it for mermaid.")
@place_options
@json_option
def graph(
    task_id: str,
    direction: str,
    nodes: int,
    expand: tuple[str, ...],
    without_done: bool,
    language: str | None,
    place: Place,
    output: Output,
) -> None:
    """Draw what TASK depends on (--up), or what depends on it (--down).

    Near it, tasks stand one by one; beyond, those of one family in one state are one node. Each node is drawn once;
    ↑ says that it stands elsewhere, ↓ that this is all that is below the task above. At most 1,000 tasks are looked at,
    the nearest ones.
    """
    if language is not None and output.as_json:
        raise click.UsageError(f"Give one of --{language} and --json.")
    filters = {"include_done": False} if without_done else {}  # which a server of an older version does not know
    found = place.scheduler().condensed_graph(
        task_id=task_id, direction=direction, nodes=nodes, expand=list(expand), **filters
    )
    if language is not None:
        echo(LANGUAGES[language](found))
        return
    output.thing(found, lambda: ())
    if not output.as_json:
        for row in rows_of(found):
            said = [row.guides + (name_of(row.node) if row.node else "")]
            if row.node:
                said.append(click.style(row.node["state"], fg=STYLES.get(row.node["state"])))
            click.echo("  ".join([*said, *([row.note] if row.note else [])]))
        for told in _hints(found, place):
            output.note(told)


def _hints(found: Mapping[str, Any], place: Place) -> list[str]:
    """What is told below the drawing: that it is a part, and how to see more of it."""
    hints = []
    if not found["complete"]:
        hints.append(f"There is more than the {found['looked_at']:,} tasks that were looked at.")
    more = next((node["more"] for node in found["nodes"] if node["more"]), None)
    if more is not None:
        words = ["--down"] if more["direction"] == "dependents" else []
        words += ["--without-done"] if more.get("include_done") is False else []
        words += ["--nodes", str(more["nodes"])] if more["nodes"] != 150 else []
        words += [word for node in more.get("expand", ()) for word in ("--expand", node)]
        hints.append(f"To see more: {place.command('graph', more['task_id'], *words)}")
    return hints
