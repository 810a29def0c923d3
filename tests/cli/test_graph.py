"""`bsched graph`: each node is drawn once, and what graphviz and mermaid are given is of their grammar."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker_sched import Scheduler
from bsched.graph_formats import dot_of, mermaid_of, name_of, rows_of
from bsched.main import cli
from tests.harness import RedisProcess, ServerProcess
from tests.terminals import plain, shown_on_terminal

Bsched = Callable[..., Result]
NASTY = [
    'say "hi"',
    "back\\slash\\",
    "a]b[c",
    "x;y#z",
    "`code`",
    "<b>&amp;",
    "line\nend",
    "bell\x07\x1b[31m",
    "ümläut 🎉",
    "-->|5| n1",
    "//c",
]


@pytest.fixture(scope="module")
def bsched(own_redis: RedisProcess) -> Iterator[Bsched]:
    """Run a command on a namespace in which a mail needs a report of 200 sums of as many loads."""
    scheduler = Scheduler(own_redis.url, "graph", prune_interval_seconds=None)
    failed = {5, 6, 7}
    loads = [
        {
            "task_id": f"Load_{n}",
            "family": "Load",
            "params": {"n": str(n)},
            "status": "FAILED" if n in failed else "DONE",
        }
        for n in range(200)
    ]
    sums = [
        {"task_id": f"Sum_{n}", "family": "Sum", "params": {"n": str(n)}, "deps": [f"Load_{n}"]} for n in range(200)
    ]
    scheduler.add_tasks("w", loads)
    scheduler.add_tasks("w", sums)
    scheduler.add_task(worker="w", task_id="Conf", family="Conf", deps=["Load_5", "Never_1"])
    scheduler.add_task(worker="w", task_id="Report", family="Report", deps=["Conf", *(f"Sum_{n}" for n in range(200))])
    scheduler.add_task(worker="w", task_id="Mail", family="Mail", params={"to": "all"}, deps=["Report"])
    environment = {"BSCHED_REDIS": own_redis.url, "BSCHED_NAMESPACE": "graph"}

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(cli, arguments, env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    yield run
    scheduler.close()


def test_a_drawing_shows_each_node_once_below_a_nearest_one(bsched: Bsched) -> None:
    result = bsched("graph", "Mail", "--nodes", "20")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "Mail(to=all)  WAITING",
        "↓ Report()  WAITING",
        "├─ Sum(n=5)  WAITING",
        "│  ↓ 3 of Load  FAILED",
        "├─ Sum(n=6)  WAITING",
        "│  └─ ↑ 3 of Load  FAILED  drawn elsewhere",
        "├─ Sum(n=7)  WAITING",
        "│  └─ ↑ 3 of Load  FAILED  drawn elsewhere",
        "├─ Conf()  WAITING",
        "│  ├─ Never_1  UNKNOWN",
        "│  └─ ↑ 3 of Load  FAILED  drawn elsewhere",
        "└─ 197 of Sum  READY",
        "   ↓ 197 of Load  DONE",
    ]
    hint = "To see more: bsched graph Mail --nodes 20 --expand group:READY:Sum"
    assert result.stderr == f"{hint}\n"
    assert bsched(*hint.removeprefix("To see more: bsched ").split()).exit_code == 0


def test_down_draws_what_waits_for_a_task(bsched: Bsched) -> None:
    result = bsched("graph", "Load_5", "--down")
    assert result.stdout.splitlines() == [
        "Load(n=5)  FAILED",
        "├─ Sum(n=5)  WAITING",
        "│  ↓ Report()  WAITING",
        "│  ↓ Mail(to=all)  WAITING",
        "└─ Conf()  WAITING",
        "   └─ ↑ Report()  WAITING  drawn elsewhere",
    ]
    assert result.stderr == ""


def test_a_terminal_shows_states_in_colour_too(bsched: Bsched, own_redis: RedisProcess) -> None:
    code, shown = shown_on_terminal("graph", "Load_5", "--down", "--redis", own_redis.url, "--namespace", "graph")
    assert (code, "\x1b[31mFAILED" in shown) == (0, True)
    assert plain(shown).split("\n")[:2] == ["Load(n=5)  FAILED", "├─ Sum(n=5)  WAITING"]


def test_json_is_the_methods_answer_and_a_server_gives_the_same(bsched: Bsched, own_redis: RedisProcess) -> None:
    found = json.loads(bsched("graph", "Mail", "--json").stdout)
    scheduler = Scheduler(own_redis.url, "graph", prune_interval_seconds=None)
    assert found == scheduler.condensed_graph("Mail")
    scheduler.close()
    server = ServerProcess("--redis", own_redis.url, "--namespace", "graph").await_ready()
    try:
        assert json.loads(bsched("graph", "Mail", "--json", "--scheduler-url", server.url).stdout) == found
        drawn = [bsched("graph", "Mail", *place).stdout for place in ((), ("--scheduler-url", server.url))]
        assert drawn[0] == drawn[1]
    finally:
        assert server.stop() == 0


def test_a_misspelt_task_is_an_error_that_names_the_nearest(bsched: Bsched) -> None:
    result = bsched("graph", "Reporr")
    assert (result.exit_code, "Did you mean Report?" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "options", [["--dot", "--json"], ["--mermaid", "--json"], ["--nodes", "5"], ["--nodes", "151"]]
)
def test_options_that_cannot_be_are_wrong_usage(bsched: Bsched, options: list[str]) -> None:
    assert bsched("graph", "Mail", *options).exit_code == 2


def test_done_tasks_can_be_left_out(bsched: Bsched) -> None:
    graph = json.loads(bsched("graph", "Mail", "--nodes", "20", "--without-done", "--json").stdout)
    assert graph["nodes"] and "DONE" not in {each["state"] for each in graph["nodes"]}
    assert (
        "bsched graph Mail --without-done --nodes 20 --expand"
        in bsched("graph", "Mail", "--nodes", "20", "--without-done").stderr
    )


def test_dot_and_mermaid_have_every_node_and_every_edge(bsched: Bsched) -> None:
    graph = json.loads(bsched("graph", "Mail", "--nodes", "20", "--json").stdout)
    dot, mermaid = (bsched("graph", "Mail", "--nodes", "20", f"--{language}").stdout for language in ("dot", "mermaid"))
    assert parse_dot(dot) == parse_mermaid(mermaid) == expected_of(graph)


# The formats, of graphs that no scheduler has to be filled for


def node(name: str, state: str = "READY", count: int = 1, further: int = 0) -> dict[str, Any]:
    """A node as condensed_graph has it, in what is drawn of it."""
    single = count == 1
    return {
        **{
            "node": name,
            "task_id": name if single else None,
            "task": {"display_name": name, "family": "F"} if single else None,
        },
        **{"family": name, "state": state, "count": count, "exact": further == 0, "further": further},
    }


def graph_of(nodes: list[dict[str, Any]], edges: list[tuple[str, str, int]], direction: str = "deps") -> dict[str, Any]:
    return {
        "direction": direction,
        "nodes": nodes,
        "edges": [{"dependent": dependent, "dep": dep, "count": count} for dependent, dep, count in edges],
    }


def drawn(graph: dict[str, Any]) -> list[str]:
    return [f"{row.guides}{row.node['node'] if row.node else ''} {row.note}".rstrip() for row in rows_of(graph)]


def test_a_long_line_of_tasks_stays_at_the_left() -> None:
    names = [f"t{n}" for n in range(150)]
    graph = graph_of([node(name) for name in names], [(a, b, 1) for a, b in pairwise(names)])
    assert drawn(graph) == ["t0", *(f"↓ {name}" for name in names[1:])]


def test_who_is_not_told_a_display_name_sees_the_id() -> None:
    hidden = {**node("Load_1"), "task": {"family": "Load"}}
    assert name_of(hidden) == "Load_1"


def test_a_cycle_and_deps_within_a_group_are_said_not_followed() -> None:
    graph = graph_of([node("a"), node("b", count=7)], [("a", "a", 1), ("a", "b", 7), ("b", "b", 6), ("b", "a", 1)])
    assert drawn(graph) == ["a needs itself", "↓ b 6 deps among themselves", "└─ ↑ a drawn elsewhere"]


def test_of_many_nodes_that_are_drawn_elsewhere_only_some_are_named() -> None:
    names = [f"t{n}" for n in range(10)]
    edges = [("a", "b", 1), *(("a", name, 1) for name in names), *(("b", name, 1) for name in names)]
    lines = drawn(graph_of([node("a"), node("b"), *map(node, names)], edges))
    below_b = lines[lines.index("├─ b") + 1 :][:4]
    assert below_b == [*(f"│  ├─ ↑ t{n} drawn elsewhere" for n in range(3)), "│  └─ ↑ 7 more that are drawn elsewhere"]


def test_what_was_not_looked_at_is_told_of_its_node() -> None:
    graph = graph_of([node("a"), node("b", "DONE", 5, further=1200)], [("b", "a", 5)], "dependents")
    assert drawn(graph) == ["a", "↓ b 1,200 dependents not looked at"]
    assert parse_dot(dot_of(graph))[0][1] == ("at least 5 of b", "DONE", "1,200 dependents not looked at")


def test_no_text_of_a_task_gets_out_of_its_label() -> None:
    nodes = [node(name) for name in NASTY]
    graph = graph_of(nodes, [(NASTY[0], name, 2) for name in NASTY[1:]])
    assert parse_dot(dot_of(graph)) == parse_mermaid(mermaid_of(graph)) == expected_of(graph)
    for text in (dot_of(graph), mermaid_of(graph)):
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)


Parsed = tuple[list[tuple[str, ...]], Counter[tuple[int, int, int]]]  # the nodes' labels in lines; edges with counts


def expected_of(graph: dict[str, Any]) -> Parsed:
    """What both languages must say of it."""
    labels = []
    for each in graph["nodes"]:
        name = each["task_id"] or f"{each['count']} of {each['family']}"
        if each["task"] and each["task"]["family"]:
            name = each["task"]["display_name"]
        shown = name.replace("\n", "\\n").replace("\x07", "\\u0007").replace("\x1b", "\\u001b")
        labels.append((shown, each["state"]))
    order = {each["node"]: number for number, each in enumerate(graph["nodes"])}
    edges = Counter((order[each["dependent"]], order[each["dep"]], each["count"]) for each in graph["edges"])
    return labels, edges


DOT_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z_0-9]*|[0-9]+|->|[{}\[\]=,;])', re.DOTALL)
MERMAID_NODE = re.compile(r'  (n\d+)(?:\["([^"]*)"\]|\[\["([^"]*)"\]\])')
MERMAID_EDGE = re.compile(r"  n(\d+) -->(?:\|(\d+)\|)? n(\d+)")
MERMAID_STYLE = re.compile(r"  classDef [A-Z_]+ stroke:[a-z]+|  class n\d+(,n\d+)* [A-Z_]+")


def parse_dot(text: str) -> Parsed:
    """Read one digraph of attribute, node and edge statements, as graphviz's grammar has them, and nothing else."""
    tokens, position = [], 0
    while position < len(text.rstrip()):
        found = DOT_TOKEN.match(text, position)
        assert found, text[position : position + 40]
        tokens.append(found[1])
        position = found.end()
    assert (tokens[:2], tokens[-2:]) == (["digraph", "{"], [";", "}"])
    labels: dict[str, tuple[str, ...]] = {}
    edges: Counter[tuple[int, int, int]] = Counter()
    for statement in statements(tokens[2:-1]):
        name, *rest = statement
        if rest[0] == "=":
            assert len(statement) == 3
        elif rest[0] == "->":
            count = dot_attributes(rest[2:]).get("label", ("1",))[0]
            edges[int(name[1:]), int(rest[1][1:]), int(count)] += 1
        elif name != "node":
            labels[name] = dot_attributes(rest)["label"]
    assert list(labels) == [f"n{number}" for number in range(len(labels))]
    return list(labels.values()), edges


def statements(tokens: list[str]) -> Iterator[list[str]]:
    """What stands between semicolons."""
    statement: list[str] = []
    for token in tokens:
        if token == ";":
            yield statement
            statement = []
        else:
            statement.append(token)
    assert not statement


def dot_attributes(tokens: list[str]) -> dict[str, tuple[str, ...]]:
    """Attributes in brackets, each value in its lines: `\\n` begins another, a backslash makes the next a plain one."""
    if not tokens:
        return {}
    assert (tokens[0], tokens[-1]) == ("[", "]") and not set(tokens[1:-1]) & set("[]{};")
    found = {}
    for position in range(1, len(tokens) - 1, 4):
        name, equals, value = tokens[position : position + 3]
        assert equals == "=" and tokens[position + 3] in (",", "]")
        lines = re.sub(
            r"\\(.)", lambda escape: "\n" if escape[1] == "n" else escape[1], value[1:-1] if value[0] == '"' else value
        )
        found[name] = tuple(html.unescape(lines).split("\n"))
    return found


def parse_mermaid(text: str) -> Parsed:
    """Read a flowchart, line by line; in labels only what mermaid shows as it is, and characters by number."""
    first, *lines = text.rstrip("\n").split("\n")
    assert first == "flowchart LR"
    labels: dict[str, tuple[str, ...]] = {}
    edges: Counter[tuple[int, int, int]] = Counter()
    for line in lines:
        if found := MERMAID_NODE.fullmatch(line):
            parts = (found[2] or found[3]).split("<br/>")
            assert all(re.fullmatch(r"(?:[\w ,.()=+/:-]|#\d+;)*", part) for part in parts), line
            labels[found[1]] = tuple(re.sub(r"#(\d+);", lambda code: chr(int(code[1])), part) for part in parts)
        elif found := MERMAID_EDGE.fullmatch(line):
            edges[int(found[1]), int(found[3]), int(found[2] or 1)] += 1
        else:
            assert MERMAID_STYLE.fullmatch(line), line
    assert list(labels) == [f"n{number}" for number in range(len(labels))]
    return list(labels.values()), edges
