"""The command beside a button does what the button does: the real command line takes each that our files can make."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

import click
import pytest

from broker_sched.contract.types import TaskAction
from broker_sched.server.page.build import HERE, find_node
from bsched.main import cli
from tests.page.commands import parsed

SOURCES = sorted({*HERE.glob("*.js"), *(HERE / "ui").rglob("*.js"), *(HERE / "views").rglob("*.js")})
ACTIONS = get_args(TaskAction)


class Made(NamedTuple):
    """A call of command() in a file: the name that it is given, and those options whose names stand there."""

    file: str
    name: str
    options: tuple[str, ...]


def inner(text: str, start: int) -> str:
    """What stands between the bracket at this place and its counterpart. Brackets within texts are left out there."""
    depth, quote = 0, ""
    for place in range(start, len(text)):
        letter = text[place]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"`":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : place]
    raise AssertionError(f"no end of the bracket in {text[start : start + 80]}")


def top_level(text: str) -> list[str]:
    """The parts of a list of arguments or of an object, parted at its own commas."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"`":
            quote = letter
        depth += (letter in "([{") - (letter in ")]}") if not quote else 0
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def calls() -> Iterator[Made]:
    for file in SOURCES:
        text = file.read_text()
        for found in re.finditer(r"(?<![\w.])command\(", text):
            if text[: found.start()].endswith("function "):
                continue
            name, *more = top_level(inner(text, found.end() - 1))
            fields = top_level(inner(more[0], 0)) if more and more[0].startswith("{") else []
            options = tuple(field.partition(":")[0].strip() for field in fields if not field.startswith("..."))
            for each in re.findall(r"['`]([a-z][a-z ${}.-]*)['`]", name, re.IGNORECASE):
                for action in ACTIONS if "${" in each else [""]:
                    yield Made(file.name, re.sub(r"\$\{[^}]*\}", action, each), options)


CALLS = sorted(set(calls()))


@pytest.mark.parametrize("made", CALLS, ids=lambda made: f"{made.file}: {made.name}")
def test_each_command_that_the_page_names_is_one_of_bsched_and_takes_these_options(made: Made) -> None:
    command: click.Command = cli
    for word in made.name.split():
        assert isinstance(command, click.Group), made
        found = command.get_command(click.Context(command), word)
        assert found is not None, made
        command = found
    assert not isinstance(command, click.Group), made
    names = {word for each in command.params for word in each.opts}
    takes_arguments = any(isinstance(each, click.Argument) for each in command.params)
    for option in made.options:
        assert takes_arguments if option == "args" else f"--{option.replace('_', '-')}" in names, (made, option)


def test_the_calls_are_found() -> None:
    assert len(CALLS) >= 10
    assert {made.name for made in CALLS} >= {"task retry", "task remove", "task list", "pause", "resume"}


def lines(*made: tuple[str, Mapping[str, Any]]) -> list[str]:
    """What commands.js makes of these names and options, in Node."""
    node, _ = find_node()
    script = f"import {{ command }} from {json.dumps((HERE / 'commands.js').as_uri())};"
    script += f"console.log(JSON.stringify({json.dumps(made)}.map((each) => command(...each))))"
    ended = subprocess.run([node, "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    return list(json.loads(ended.stdout))


def test_the_real_command_line_reads_every_value_as_it_was_meant() -> None:
    odd = ["it's", '"$(rm -rf ~)"', "a b;c|d&e>f", "-x", "--yes", "ü\n*", "{a,b}", "!1", "~", "", "#no", "\\"]
    filters = {"family": "F; x", "status": "FAILED", "text": "it's", "error": "-no", "worker": "W(a='b', c=1)"}
    found = lines(
        ("task list", {**filters, "param": ["a=b c", "d=="], "date": "2024-03-01", "oldest_first": True, "limit": 60}),
        ("task retry", {"args": odd}),
        ("task list", {"family": [""], "text": None, "error": "", "oldest_first": False}),
    )
    read = [parsed(line) for line in found]
    expected = {**filters, "params": ("a=b c", "d=="), "date": "2024-03-01", "oldest_first": True, "limit": 60}
    assert {name: read[0][name] for name in expected} == expected
    assert read[1]["task_ids"] == tuple(odd)
    assert (read[2]["family"], read[2]["oldest_first"]) == ("", False)
    assert found[2] == "bsched task list --family ''"
