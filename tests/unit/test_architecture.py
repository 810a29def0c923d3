"""Imports point one way, files are short, docs are current, nothing is left for later."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "broker_sched"
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "cli").rglob("*.py")])

# Each room, a folder or a file, and the other rooms that its modules may import: the table in docs/architecture.md.
ROOMS = dict(
    re.findall(
        r"^\| `([\w/]+?)(?:\.py|/)` \| [^|]+ \| ([a-z_ ]*?) ?\|$", (ROOT / "docs/architecture.md").read_text(), re.M
    )
)


@cache
def tree_of(path: Path) -> ast.Module:
    """What is written in a file."""
    return ast.parse(path.read_text())


@cache
def imports_of(path: Path) -> set[str]:
    """The modules a file imports, in full."""
    found = set()
    for part in ast.walk(tree_of(path)):
        if isinstance(part, ast.Import):
            found.update(alias.name for alias in part.names)
        elif isinstance(part, ast.ImportFrom) and part.module:
            found.add(part.module)
            found.update(f"{part.module}.{alias.name}" for alias in part.names)
    return found


def assert_nothing_wrong(found: Mapping[Path, object]) -> None:
    """A rule of all files is one test: a test for each would cost more than to look. What is found is told by file."""
    assert {str(path.relative_to(ROOT)): wrong for path, wrong in found.items() if wrong} == {}


def test_a_module_imports_only_from_the_rooms_that_its_own_may_use() -> None:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).parts
        own = "worker/executors/rq" if "rq" in parts else parts[0].removesuffix(".py")
        if own != "__init__":  # the package itself has a test of its own
            used = {module.split(".")[1] for module in imports_of(path) if module.startswith("broker_sched.")}
            found[path] = {room for room in used & ROOMS.keys() if room != own and room not in ROOMS[own].split()}
    assert_nothing_wrong(found)


def test_every_module_is_in_a_room_and_every_room_is_in_the_tour() -> None:
    assert {word for allowed in ROOMS.values() for word in allowed.split()} <= ROOMS.keys()
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    assert found == {*(room for room in ROOMS if "/" not in room), "__init__"}


def test_the_package_imports_only_errors_before_it_is_asked_for_more() -> None:
    code = "import sys, broker_sched; print(*sorted(m for m in sys.modules if m.startswith('broker_sched.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["broker_sched.errors"]


def test_who_reaches_no_redis_imports_none_of_its_clients() -> None:
    names = "Worker, Task, submit, RemoteScheduler"
    code = f"import sys; from broker_sched import {names}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"redis", "fakeredis", "lupa", "luigi"} & set(done.stdout.split())


def test_a_server_without_users_imports_nothing_that_only_logins_need() -> None:
    code = """
import asyncio, sys
from broker_sched.server import AppConfig, create_app
async def run():
    async with create_app(AppConfig("memory:")).running():
        print(*{name.split(".")[0] for name in sys.modules})
asyncio.run(run())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "starlette" in done.stdout.split()
    assert not {"argon2", "joserfc", "luigi"} & set(done.stdout.split())


def test_one_place_reaches_redis() -> None:
    """Besides it, only RQ's executor does: RQ has a Redis of its own."""
    rooms = (PACKAGE / "redis_backend", PACKAGE / "worker" / "executors" / "rq")
    others = [path for path in SOURCES if not any(path.is_relative_to(room) for room in rooms)]
    clients = {"redis", "fakeredis", "hiredis"}
    assert_nothing_wrong({path: clients & {module.split(".")[0] for module in imports_of(path)} for path in others})


def test_a_room_that_lists_its_modules_lists_all_of_them() -> None:
    listed = 0
    for path in PACKAGE.rglob("__init__.py"):
        said = re.findall(r"^\| (\w+) \|", ast.get_docstring(tree_of(path)) or "", re.M)
        if said[:1] == ["module"]:
            listed += 1
            assert sorted(said[1:]) == sorted(each.stem for each in path.parent.glob("*.py") if each != path), path
    assert listed


def test_luigi_is_no_dependency_of_the_program() -> None:
    assert not [path for path in SOURCES if any(name.split(".")[0] == "luigi" for name in imports_of(path))]


def test_the_operations_do_no_io() -> None:
    for path in (PACKAGE / "scheduler" / "operations").glob("*.py"):
        assert not {"redis", "socket", "time"} & {name.split(".")[0] for name in imports_of(path)}, path


def test_a_file_can_be_read_in_one_sitting() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in SOURCES}
    assert_nothing_wrong({path: count for path, count in lines.items() if count > 420})


def test_a_function_can_be_read_on_one_screen() -> None:
    assert_nothing_wrong(
        {
            path: [
                part.name
                for part in ast.walk(tree_of(path))
                if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))
                and (part.end_lineno or 0) - part.lineno > 75
            ]
            for path in SOURCES
        }
    )


NO_SUBJECT = frozenset(  # who begins so makes the reader guess what is meant
    """it its they them their those that these see the_same also so then of for from to by as at in on unless until
    with without""".split()
)
NAMES_A_VALUE = frozenset("the a an one all each every what how who why where".split())
VERBS = re.compile(
    r"\b(that|which|who|whose|where|when|while|whether|until|if|as|is|are|was|were|has|have|had|can|may|must|does|do|did"
    r"|returns?|raises?|gives?|makes?|takes?|needs?|says?|holds?|wants?|knows?|keeps?|comes?|goes|stands?|runs?)\b"
)


def public_docstrings(path: Path) -> Iterator[tuple[str, str, ast.AST]]:
    """Name, docstring and definition of all that a module shows: also the methods of its classes."""

    def within(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, str, ast.AST]]:
        for part in body:
            is_definition = isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            if is_definition and not part.name.startswith("_"):
                yield f"{prefix}{part.name}", ast.get_docstring(part) or "", part
                if isinstance(part, ast.ClassDef):
                    yield from within(part.body, f"{prefix}{part.name}.")

    yield from within(tree_of(path).body, "")


def what_is_wrong(docstring: str, part: ast.AST) -> str:
    """Why a stranger could not understand it alone; "" when there is nothing to say against it."""
    first = docstring.split("\n\n")[0]
    words = [word.strip("`'(,.:;").lower() for word in first.split()]
    start = "the_same" if words[:2] == ["the", "same"] else words[0]
    if len(docstring) < 30 or len(words) < 4:
        return "is too short: say what it does, its arguments with units, what is returned and raised"
    if start in NO_SUBJECT:
        return f"begins with {start!r}: begin with a verb, or with what it is about"
    if not first.endswith((".", ":", "!", "?")):
        return "does not begin with a sentence"
    is_function = isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)) and not part.decorator_list
    if is_function and start in NAMES_A_VALUE and not VERBS.search(docstring):
        return "names a value and has no verb: say what the function does, as in `Return the …`"
    return ""


def test_every_public_thing_says_in_a_sentence_what_it_is() -> None:
    assert_nothing_wrong({path: dict(badly_described(path)) for path in SOURCES})


def badly_described(path: Path) -> Iterator[tuple[str, str]]:
    """What a module shows and does not describe, and why a stranger would not understand the description."""
    if not ast.get_docstring(tree_of(path)):
        yield "the module", "has no docstring"
    for name, docstring, part in public_docstrings(path):
        if docstring and (wrong := what_is_wrong(docstring, part)):
            yield name, wrong
        if not docstring and "." not in name and path.name != "replies.py":  # plain records
            yield name, "has no docstring"


@pytest.mark.parametrize(
    "docstring",
    ["One script.", "The other way.", "Begin.", "See TaskRun, please, all of it.", "Of a fleet, what it has done.",
     "The same with other words in it.", "The number of things in the list of lists."],
)  # fmt: skip
def test_a_docstring_that_must_be_decoded_is_refused(docstring: str) -> None:
    assert what_is_wrong(docstring, ast.parse("def f(): ...").body[0])


def test_the_generated_docs_are_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_left_for_later() -> None:
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")))
    files = [*SOURCES, *PACKAGE.rglob("*.lua"), *(ROOT / "tests").rglob("*.py")]
    assert not [path for path in files if marks.search(path.read_text())]


def test_words_that_only_we_understood_stay_gone() -> None:
    gone = re.compile(
        r"\b(crews?|crowds?|ghosts?|strays?|bury|burying|entrust\w*|planner|intake|attendants?|wakers?|lanes?"
        r"|work_?offs?|worked off|bites?)\b",
        re.IGNORECASE,
    )
    pages = [page for page in (ROOT / "docs").rglob("*.md") if "superseded by" not in page.read_text()]
    files = [*SOURCES, *PACKAGE.rglob("*.lua"), *pages, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    found = {path: gone.findall(path.read_text()) for path in files}
    assert not {path: words for path, words in found.items() if words}
