"""The Lua sources: syntax, globals, headers, names of arguments, and errors that name file and line."""

import ast
import re
from importlib.resources import files

import pytest

import broker_sched
from broker_sched.lua import loader
from broker_sched.lua.arguments import Arguments
from broker_sched.redis_backend import script_call
from broker_sched.redis_backend.commands import Call
from broker_sched.redis_backend.namespace import SCHEMA_VERSION, Namespace
from tests.unit.lua_files import LUA, SOURCES, STANDARD, code_of, text_of
from tests.unit.lua_globals import globals_of


def test_a_script_writes_no_global_and_reads_only_those_every_server_has():
    for name in loader.names():
        read, written = globals_of(loader.load(name).source)
        assert written == set(), name
        assert read <= STANDARD, name


def test_the_globals_check_sees_both_kinds():
    assert globals_of("local a = b; c = a; return function() d = e end") == ({"b", "e"}, {"c", "d"})


def test_a_script_opens_with_its_guarantee_its_arguments_its_reply_and_its_cost():
    for name in loader.names():
        text = "\n".join(line for line in text_of(f"{name}.lua").splitlines() if line.startswith("--"))
        for heading in ("@args", "Reply", "Cost"):
            assert re.search(rf"^-- {heading}\b", text, re.M), (name, heading)


def test_a_file_can_be_read_in_one_sitting_with_short_lines():
    for source in SOURCES:
        lines = text_of(source).splitlines()
        assert len(lines) <= 400, source
        assert max(map(len, lines)) <= 120, source


def test_an_error_names_file_and_line_instead_of_a_line_of_the_whole():
    script = loader.load("get_work")
    assert script.source.count("local function number_in_rank(rank)") == 1
    line = script.source.splitlines().index("local function number_in_rank(rank)") + 1
    expected = (
        LUA.joinpath("lib/hand_out/ready_queues.lua")
        .read_text()
        .splitlines()
        .index("local function number_in_rank(rank)")
        + 1
    )
    assert loader.locate(script, f"user_script:{line}: boom") == f"lib/hand_out/ready_queues.lua:{expected}: boom"
    assert (
        loader.locate(script, f'[string "<python>"]:{line}: boom') == f"lib/hand_out/ready_queues.lua:{expected}: boom"
    )


def test_no_number_of_an_argument_stands_in_any_file():
    assert [source for source in SOURCES if "ARGV" in LUA.joinpath(source).read_text()] == []


def test_every_argument_that_a_script_declares_is_read():
    for name in loader.names():
        arguments = loader.load(name).arguments
        used = set(re.findall(r"\bARGS\.(\w+)", "".join(code_of(text_of(file)) for file in files_of(name))))
        assert used >= {*arguments.names, *filter(None, [arguments.tail])}, name


def files_of(name):
    return {origin.split(":")[0] for origin in loader.load(name).origins}


def test_names_become_numbers_behind_those_of_every_script():
    arguments = Arguments(["prefix", "now"], None).followed_by(Arguments(["worker"], "deps"))
    assert arguments.numbered("f(ARGS.now, ARGS.worker, #ARGS.worker)") == "f(ARGV[2], ARGV[3], #ARGV[3])"
    assert arguments.numbered("for i = 1, #ARGS.deps do f(ARGS.deps[i], ARGS.deps[i + 1], ARGS.deps[1]) end") == (
        "for i = 1, (#ARGV - 3) do f(ARGV[3 + i], ARGV[3 + i + 1], ARGV[3 + 1]) end"
    )


@pytest.mark.parametrize(
    "line", ["ARGS.wroker", "ARGS.deps", "#ARGS.deps[1]", "ARGS.deps[a or b]", "ARGS.worker[1]", "ARGS[1]", "f(ARGS)"]
)
def test_a_name_that_the_script_does_not_declare_is_an_error_when_it_is_loaded(line):
    with pytest.raises(ValueError, match=r"there are: worker deps…"):
        Arguments(["worker"], "deps").numbered(line)


@pytest.mark.parametrize("text", ["-- @args a… b", "-- @args A", "-- @args a\n-- @args a", "-- @args 7"])
def test_a_declaration_that_says_nothing_clear_is_refused(text):
    with pytest.raises(ValueError, match="argument"):
        Arguments.declared_in(text)


def test_a_long_declaration_goes_on_in_further_lines():
    declared = Arguments.declared_in("-- Does it.\n--\n-- @args a b\n-- @args c d…\n--   a  a number\n")
    assert (declared.names, declared.tail) == (("a", "b", "c"), "d")


def test_a_call_puts_its_arguments_in_the_order_of_the_script():
    call = Call("set_fields", fields=["name", "value"], option="", hash="config")
    assert (call.args, call.once) == (("config", "", "name", "value"), False)
    assert Call("read_clock").args == ()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"worker": "w"}, "start_id is missing"),
        ({"worker": "w", "start_id": "", "host": "h"}, "there is no host"),
        ({"wroker": "w", "start_id": ""}, "worker is missing, there is no wroker"),
    ],
)
def test_a_call_with_a_missing_or_unknown_name_fails_before_anything_is_sent(given, problem):
    with pytest.raises(TypeError, match=f"ping.lua has wrong arguments: {problem}"):
        Call("ping", **given)


def test_a_text_is_no_list_of_texts():
    with pytest.raises(TypeError, match="task_ids is a list of texts, not 'a'"):
        Call("stage_deps", token="t", task_ids="a")


def test_every_call_in_the_program_names_the_arguments_of_its_script():
    """Those that no test comes by, too."""
    package = files(broker_sched)
    calls = [call for path in package.rglob("*.py") for call in calls_in(ast.parse(path.read_text()))]
    assert {script for script, _ in calls} == set(loader.names())
    for script, given in calls:
        arguments = loader.load(script).arguments
        assert set(given) == {*arguments.names, *filter(None, [arguments.tail])}, script


def calls_in(tree):
    """Each Call of a script: (script, names of its arguments)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Call":
            yield node.args[0].value, [each.arg for each in node.keywords if each.arg != "once"]


def test_what_every_script_is_given_first_comes_in_the_order_of_the_header(monkeypatch):
    monkeypatch.setattr(script_call._weights, "getrandbits", lambda bits: bits)
    namespace = Namespace.named("n")
    script, command = script_call.evalsha(namespace, lambda: 1.5, Call("count_pending", worker="w"), "request")
    header = Arguments.declared_in(LUA.joinpath(loader.HEADER).read_text())
    given = dict(zip(header.followed_by(script.arguments).names, command[5:]))
    expected = {"prefix": namespace.prefix, "schema_version": str(SCHEMA_VERSION), "now": "1.500000"}
    assert given == {**expected, "request_id": "request", "random_bits": "48", "worker": "w"}


def test_every_deferred_step_that_is_added_can_be_run():
    texts = [LUA.joinpath(source).read_text() for source in SOURCES]
    added = {kind for text in texts for kind in re.findall(r"add_deferred_step\('(\w+)'", text)}
    looked_for = {kind for text in texts for kind in re.findall(r"match\(line, '\^(\w+) ", text)}
    run = set(re.findall(r"^function run\.(\w+)", LUA.joinpath("lib/deferred/deferred_steps.lua").read_text(), re.M))
    assert added == run
    assert looked_for
    assert looked_for <= run
