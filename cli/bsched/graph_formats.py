"""A condensed graph as text: a drawing for a terminal, and the languages of graphviz and mermaid."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from broker_sched.plain_text import on_one_line

Graph = Mapping[str, Any]  # a CondensedGraph, as it comes from any scheduler
Node = Mapping[str, Any]

MENTIONS = 3  # told of each node
COLOURS = {  # of a node's border: dot and mermaid know these names
    "DONE": "green",
    "RUNNING": "blue",
    "BATCH_RUNNING": "blue",
    "FAILED": "red",
    "DISABLED": "purple",
    "BLOCKED": "purple",
    "MISSING": "orange",
    "UNKNOWN": "orange",
}


class Row(NamedTuple):
    """A line of the drawing: the guides before the node, the node or None, and what is said behind it."""

    guides: str
    node: Node | None
    note: str = ""


def name_of(node: Node) -> str:
    """Return what a node is called, on one line, without its state."""
    if node["task_id"] is not None:
        # A placeholder and a missing dep have only an id, and a viewer who does not see parameters is told no more.
        name = node["task"]["family"] and node["task"].get("display_name") if node["task"] else None
        return on_one_line(name or node["task_id"])
    number = f"{node['count']:,}" if node["exact"] else f"at least {node['count']:,}"
    family = "other families" if node["family"] is None else node["family"] or "(no family)"
    return on_one_line(f"{number} of {family}")


def further_of(node: Node, direction: str) -> str:
    """Return what is said of deps (or dependents) that were not looked at; '' when there are none."""
    if not node["further"]:
        return ""
    is_one = node["further"] == 1
    what = direction.removesuffix("s") if is_one else direction
    return f"{node['further']:,} {what} not looked at"


def rows_of(graph: Graph) -> list[Row]:
    """Return the lines of a drawing: a tree in which each node stands once, under one that is nearest to the first.

    Further edges to it are mentions, `↑`. An only child stands below its parent, behind `↓`, so that a long line of
    tasks does not run out of the terminal.
    """
    nodes = {node["node"]: node for node in graph["nodes"]}
    neighbours: dict[str, dict[str, int]] = defaultdict(dict)
    start, end = ("dependent", "dep") if graph["direction"] == "deps" else ("dep", "dependent")
    for edge in graph["edges"]:
        neighbours[edge[start]][edge[end]] = edge["count"]
    order = {name: position for position, name in enumerate(nodes)}
    first = next(iter(nodes))
    parents: dict[str, str | None] = {first: None}
    wave = deque([first])
    while wave:
        name = wave.popleft()
        for child in sorted(neighbours[name], key=order.__getitem__):
            if child not in parents:
                parents[child] = name
                wave.append(child)

    def draw(name: str, lead: str, below: str) -> Iterator[Row]:
        own: list[str] = []
        elsewhere: list[str] = []
        note = further_of(nodes[name], graph["direction"])
        for child in sorted(neighbours[name], key=order.__getitem__):
            if child == name:
                among = f"{neighbours[name][child]:,} {graph['direction']} among themselves"
                note = ", ".join(filter(None, [among if nodes[name]["count"] > 1 else "needs itself", note]))
            else:
                (own if parents[child] == name else elsewhere).append(child)
        yield Row(lead, nodes[name], note)
        if len(own) == 1 and not elsewhere:
            yield from draw(own[0], f"{below}↓ ", below)
            return
        told = elsewhere if len(elsewhere) <= MENTIONS + 1 else elsewhere[:MENTIONS]
        lines = len(own) + len(told) + (len(told) < len(elsewhere))
        for position, child in enumerate([*own, *told]):
            guide, under = ("└─ ", "   ") if position == lines - 1 else ("├─ ", "│  ")
            if position < len(own):
                yield from draw(child, below + guide, below + under)
            else:
                yield Row(f"{below}{guide}↑ ", nodes[child], "drawn elsewhere")
        if len(told) < len(elsewhere):
            yield Row(f"{below}└─ ↑ {len(elsewhere) - len(told):,} more that are drawn elsewhere", None)

    return list(draw(first, "", ""))


def dot_of(graph: Graph) -> str:
    """Return the graph in graphviz's language; an arrow leads from a task to what it needs."""
    lines = ["digraph {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    names = {node["node"]: f"n{number}" for number, node in enumerate(graph["nodes"])}
    for node in graph["nodes"]:
        label = "\\n".join(map(_in_dot, _label(node, graph["direction"])))
        shape = ", peripheries=2" if node["count"] > 1 else ""
        colour = COLOURS.get(node["state"], "black")
        lines.append(f'  {names[node["node"]]} [label="{label}", color={colour}{shape}];')
    for edge in graph["edges"]:
        label = f' [label="{edge["count"]}"]' if edge["count"] > 1 else ""
        lines.append(f"  {names[edge['dependent']]} -> {names[edge['dep']]}{label};")
    return "\n".join([*lines, "}"])


def mermaid_of(graph: Graph) -> str:
    """Return the graph in mermaid's language; an arrow leads from a task to what it needs."""
    lines = ["flowchart LR"]
    names = {node["node"]: f"n{number}" for number, node in enumerate(graph["nodes"])}
    for node in graph["nodes"]:
        label = "<br/>".join(map(_in_mermaid, _label(node, graph["direction"])))
        start, end = ("[[", "]]") if node["count"] > 1 else ("[", "]")
        lines.append(f'  {names[node["node"]]}{start}"{label}"{end}')
    for edge in graph["edges"]:
        arrow = f"-->|{edge['count']}|" if edge["count"] > 1 else "-->"
        lines.append(f"  {names[edge['dependent']]} {arrow} {names[edge['dep']]}")
    for state, colour in COLOURS.items():
        of_state = [names[node["node"]] for node in graph["nodes"] if node["state"] == state]
        if of_state:
            lines += [f"  classDef {state} stroke:{colour}", f"  class {','.join(of_state)} {state}"]
    return "\n".join(lines)


def _label(node: Node, direction: str) -> list[str]:
    return [each for each in (name_of(node), node["state"], further_of(node, direction)) if each]


def _in_dot(text: str) -> str:
    """As a part of a quoted text, in which a backslash begins what graphviz replaces, and so does `&`."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _in_mermaid(text: str) -> str:
    """As a part of a quoted text: what is neither letter, digit nor harmless is written as a number."""
    return re.sub(r"[^\w ,.()=+/:-]", lambda found: f"#{ord(found[0])};", text)
