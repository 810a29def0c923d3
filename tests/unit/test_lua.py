"""The Lua sources: syntax, globals, headers, and errors that name file and line."""

import re
from importlib.resources import files

import pytest

from broker_sched.lua import loader
from tests.unit.lua_globals import globals_of

# What a script may read: Redis's own, and the standard library as Redis 6.2 to 8 and fakeredis all have it.
ALLOWED = set(
    """redis KEYS ARGV cjson string table math tonumber tostring type pairs ipairs unpack setmetatable rawset
    pcall error next""".split()
)
LUA = files("broker_sched.lua")
LIBRARIES = [f"lib/{folder.name}/{f.name}" for folder in LUA.joinpath("lib").iterdir() for f in folder.iterdir()]
SOURCES = sorted([*(f"{name}.lua" for name in loader.names()), *LIBRARIES])


@pytest.mark.parametrize("name", loader.names())
def test_a_script_writes_no_global_and_reads_only_those_every_server_has(name):
    read, written = globals_of(loader.load(name).source)
    assert written == set()
    assert read <= ALLOWED


def test_the_globals_check_sees_both_kinds():
    assert globals_of("local a = b; c = a; return function() d = e end") == ({"b", "e"}, {"c", "d"})


@pytest.mark.parametrize("name", loader.names())
def test_a_script_opens_with_its_guarantee_its_arguments_its_reply_and_its_cost(name):
    header = [line for line in LUA.joinpath(f"{name}.lua").read_text().splitlines() if line.startswith("--")]
    text = "\n".join(header)
    for heading in ("ARGV", "Reply", "Cost"):
        assert re.search(rf"^-- {heading}\b", text, re.M), heading


@pytest.mark.parametrize("source", SOURCES)
def test_a_file_can_be_read_in_one_sitting_with_short_lines(source):
    lines = LUA.joinpath(source).read_text().splitlines()
    assert len(lines) <= 400
    assert max(map(len, lines)) <= 120


def test_an_error_names_file_and_line_instead_of_a_line_of_the_whole():
    script = loader.load("get_work")
    line = script.source.splitlines().index("local function number_in(rank)") + 1
    expected = (
        LUA.joinpath("lib/hand_out/choosing.lua").read_text().splitlines().index("local function number_in(rank)") + 1
    )
    assert loader.locate(script, f"user_script:{line}: boom") == f"lib/hand_out/choosing.lua:{expected}: boom"
    assert loader.locate(script, f'[string "<python>"]:{line}: boom') == f"lib/hand_out/choosing.lua:{expected}: boom"


def test_each_included_file_stands_in_a_script_once():
    for name in loader.names():
        lines = [origin for origin in loader.load(name).origins if origin == "lib/core/header.lua:1"]
        assert len(lines) <= 1


def test_every_deferred_step_that_is_added_can_be_run():
    texts = [LUA.joinpath(source).read_text() for source in SOURCES]
    added = {kind for text in texts for kind in re.findall(r"add_deferred_step\('(\w+)'", text)}
    assert added == set(
        re.findall(r"^function run\.(\w+)", LUA.joinpath("lib/deferred/deferred_steps.lua").read_text(), re.M)
    )
