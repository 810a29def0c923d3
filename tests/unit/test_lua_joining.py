"""How a .lua file and those that it includes become one script (decision 0004)."""

from __future__ import annotations

import pytest
from lupa import lua51

from broker_sched.lua import loader

HEADER = """-- @args prefix
local PREFIX = ARGS.prefix

local function key(kind, name)
  return PREFIX .. kind .. name
end

local function run_whole(body)
  local reply = body()
  -- @run_at_end
  return reply
end
"""


def joined(main: str, **libraries: str) -> str:
    """The source of a script that consists of these files; those in lib/ are named without it."""
    texts = {"main.lua": main, loader.HEADER: HEADER}
    texts |= {f"lib/{name}.lua": text for name, text in libraries.items()}
    return loader.join("main", texts.__getitem__).source


def run(main: str, **libraries: str) -> object:
    """What the script returns."""
    runtime = lua51.LuaRuntime()
    runtime.execute("ARGV = { 'p:' }")
    return runtime.execute(joined(main, **libraries))


def test_what_is_not_called_is_not_made_and_what_nothing_leads_to_is_left_out() -> None:
    library = """
local made = {}
local function called() made[#made + 1] = 'called' return made end
local not_called = error
local boom = not_called and 1
local function not_led_to() return boom end
"""
    main = "-- @include lib/a.lua\nif ARGV == nil then return boom() end\nreturn #called()\n"
    assert run(main, a=library) == 1
    assert "not_led_to" not in joined(main, a=library)


def test_a_variable_is_made_once_and_kept_for_all_who_use_it() -> None:
    library = "local seen = {}\nlocal function note(what)\n  seen[#seen + 1] = what\n  return #seen\nend\n"
    assert run("-- @include lib/a.lua\nnote('x')\nnote('y')\nreturn #seen\n", a=library) == 2


def test_a_variable_that_is_nil_or_false_at_first_may_be_set_later() -> None:
    library = "local found\nlocal is_set = false\n"
    main = """-- @include lib/a.lua
local before = found == nil and not is_set
found, is_set = 7, true
return before and is_set and found
"""
    assert run(main, a=library) == 7


def test_names_in_texts_comments_fields_and_keys_are_left_as_they_are() -> None:
    library = "local function name()\n  return 1\nend\n"
    main = """-- @include lib/a.lua
local function body(given)
  local found = { name = 'name', other = given.name } -- name
  return found.name .. found.other .. name()
end
return body({ name = ' name ' })
"""
    assert run(main, a=library) == "name name 1"


def test_a_constant_and_a_key_are_written_where_they_are_used() -> None:
    main = """-- @include lib/core/header.lua
local MOST, LEAST = 30 * 2, -1
local function body(found, n)
  return key('task:', n) .. key('all', '') .. key(found and 'a' or 'b', n .. ',') .. MOST .. LEAST
end
return body(true, 7)
"""
    assert run(main) == "p:task:7p:allp:a7,60-1"
    assert "(PREFIX .. 'task:' .. n) .. (PREFIX .. 'all')" in joined(main)


def test_functions_in_a_table_are_found_by_name_also_by_one_that_is_not_fixed() -> None:
    fixed = "local sums = {}\nfunction sums.plus(a, b)\n  return a + b\nend\n"
    assert run("-- @include lib/a.lua\nreturn sums.plus(1, 2)\n", a=fixed) == 3
    dynamic = """
local run = {}
function run.it(a)
  return a + 1
end
local function act(what)
  return run[what](4)
end
"""
    assert run("-- @include lib/a.lua\nreturn act('it')\n", a=dynamic) == 5


@pytest.mark.parametrize(("body", "reply"), [("count()", "xx"), ("", "x")])
def test_what_was_kept_is_written_at_the_end_only_where_something_was(body: str, reply: str) -> None:
    library = """
-- @include lib/out.lua
-- @at_end counted write
local counted = {}
local function count() counted[1] = true end
local function write() note() end
"""
    out = "local text = { 'x' }\nlocal function note() text[1] = text[1] .. 'x' end\n"
    main = f"""-- @include lib/core/header.lua
-- @include lib/a.lua
-- @include lib/out.lua
local function body()
  {body}
end
run_whole(body)
return text[1]
"""
    assert run(main, a=library, out=out) == reply


def test_what_is_seldom_used_has_the_last_numbers_and_no_room_at_the_start() -> None:
    main = "-- @rarely lib/rare.lua\n-- @include lib/often.lua\nreturn rare() + often()\n"
    rare = "local function deep() return 1 end\nlocal function rare() return deep() end\n"
    source = joined(main, rare=rare, often="local function often() return 1 end\n")
    assert "LIB[1] = often" in source
    assert "setmetatable({ nil, }" in source


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("local function body(name) return name end", "parameter"),
        ("local function body()\n  local name = 1\n  return name\nend", "local variable"),
        ("local function body()\n  for _, name in ipairs({}) do return name end\nend", "variable of a loop"),
    ],
)
def test_a_variable_with_the_name_of_a_function_that_can_be_used_is_refused(body: str, what: str) -> None:
    with pytest.raises(ValueError, match=r"^main.lua:2: name is the name of a function or variable"):
        joined(f"-- @include lib/a.lua\n{body}\nreturn body()\n", a="local function name() return 1 end\n")


def test_a_function_that_uses_what_a_statement_of_the_script_sets_is_refused() -> None:
    main = "local now = tonumber('1')\nlocal function body()\n  return now\nend\nreturn body()\n"
    with pytest.raises(ValueError, match="now may not be there when this is made"):
        joined(main)


def test_what_is_made_together_keeps_what_a_variable_had_in_it_before() -> None:
    library = """
local seen = {}
local function note(what)
  seen[#seen + 1] = what
end
-- @with note seen helper
local function act()
  return helper() .. #seen
end
local function helper() return 'h' end
"""
    assert run("-- @include lib/a.lua\nnote(1)\nnote(2)\nreturn act()\n", a=library) == "h2"
    main = "-- @include lib/a.lua\nif not act then note(1) end\nreturn helper() .. #seen .. act()\n"
    assert run(main, a=library) == "h0h0"


@pytest.mark.parametrize("names", ["gone", "helper unused"])
def test_what_is_to_be_made_together_must_be_used_by_the_script(names: str) -> None:
    unused, helper = "local function unused() end\n", "local function helper() end\n"
    library = f"{unused}{helper}-- @with {names}\nlocal function act() helper() end\n"
    with pytest.raises(ValueError, match=r"@with \w+: of what the script uses, 0 have this name"):
        joined("-- @include lib/a.lua\nact()\n", a=library)


@pytest.mark.parametrize(
    "statement",
    [
        "local text = 'a' ..\n  'b'",
        "function at:method()\nend",
        "at[#at + 1] = 'x'",
        "at.one = 1",
        "if at then at = 1 end",
    ],
)
def test_a_statement_in_lib_is_refused_since_nobody_would_carry_it_out(statement: str) -> None:
    line = 2 + statement.startswith("local")
    with pytest.raises(ValueError, match=rf"^lib/a.lua:{line}: a file in lib/ has no statements, and a value ends on"):
        joined("-- @include lib/a.lua\nreturn #at\n", a=f"local at = {{}}\n{statement}\n")


@pytest.mark.parametrize(
    ("text", "what"), [("local function f()\n", "no line that is"), ("local a = {\n", "not closed")]
)
def test_what_does_not_end_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"^lib/a.lua:1: .*{what}"):
        joined("-- @include lib/a.lua\nreturn f, a\n", a=text)


@pytest.mark.parametrize("use", ["pairs(acts)", "acts[x]", "x(acts)", "{ acts }", "acts:one()"])
def test_a_table_whose_functions_are_made_one_by_one_is_not_used_whole(use: str) -> None:
    library = "local acts = {}\nfunction acts.one()\n  return 1\nend\n"
    with pytest.raises(ValueError, match=r"^main.lua:2: the functions of acts are made one by one.*lib/a.lua"):
        joined(f"-- @include lib/a.lua\nlocal found = {use}\nreturn found\n", a=library)
    with pytest.raises(ValueError, match=r"^lib/b.lua:2: the functions of acts are made one by one"):
        joined(
            "-- @include lib/b.lua\nreturn use()\n",
            a=library,
            b=f"-- @include lib/a.lua\nlocal function use(x) return {use} end\n",
        )


def test_a_table_that_its_own_file_indexes_can_be_used_whole() -> None:
    library = "local acts = {}\nfunction acts.one()\n  return 1\nend\nlocal function act(x) return acts[x]() end\n"
    main = "-- @include lib/a.lua\nlocal sum = act('one')\nfor _, each in pairs(acts) do sum = sum + each() end\n"
    assert run(f"{main}return sum\n", a=library) == 2


def test_setting_to_nil_what_would_become_what_it_was_at_first_is_refused() -> None:
    library = "local first\nlocal seen = { n = 1 }\n"
    assert run("-- @include lib/a.lua\nfirst = 1\nfirst = nil\nseen.n = nil\nreturn first == nil\n", a=library) is True
    with pytest.raises(
        ValueError, match=r"^main.lua:2: seen = nil would make it what it was at first: set it to false"
    ):
        joined("-- @include lib/a.lua\nseen = nil\n", a=library)


def test_what_is_made_together_leaves_a_variable_false_that_was_set_so() -> None:
    library = "local is_on = true\n-- @with is_on\nlocal function act() return is_on end\n"
    assert run("-- @include lib/a.lua\nis_on = false\nreturn act()\n", a=library) is False


@pytest.mark.parametrize("value", ["#seen", "{ #seen }", "count()", "{ n = count() }", "'' .. #seen", "ARGS.prefix"])
def test_a_value_that_a_script_computes_is_made_where_it_stands(value: str) -> None:
    library = "local seen = {}\nlocal function count() return #seen end\n"
    main = f"""-- @include lib/core/header.lua
-- @include lib/a.lua
local before = {value}
seen[1] = 'x'
ARGS.prefix = 'y'
if type(before) == 'table' then before = before.n or before[1] end
return before
"""
    assert run(main, a=library) in (0, "0", "p:")


@pytest.mark.parametrize("value", ["redis.call('TIME')", "call('GET', 'x')", "{ a = call('GET', 'x') }"])
def test_a_value_in_lib_that_asks_redis_is_refused(value: str) -> None:
    with pytest.raises(
        ValueError, match=r"^lib/a.lua:2: this value is made when first asked for: ask Redis in a function"
    ):
        joined("-- @include lib/a.lua\nreturn now\n", a=f"local call = redis\nlocal now = {value}\n")


@pytest.mark.parametrize("name", ["LIB", "PREFIX"])
def test_a_name_that_stands_in_what_is_made_is_refused(name: str) -> None:
    main = "-- @include lib/core/header.lua\n-- @include lib/a.lua\n"
    for text in (f"local {name} = 1\n", f"local function {name}() end\n"):
        with pytest.raises(ValueError, match=f"^lib/a.lua: call {name} otherwise"):
            joined(f"{main}return {name}\n", a=text)
    for text in (f"local function f({name}) end", f"local function f()\n  local {name} = 1\nend"):
        with pytest.raises(ValueError, match=f"^lib/a.lua:2: {name} is "):
            joined(f"{main}return f()\n", a=f"-- @include lib/core/header.lua\n{text}\n")


@pytest.mark.parametrize("kind", ["n\n  and 'a' or 'b'", "n == 7 and\n'a' or 'b'"])
def test_a_key_of_several_lines_keeps_lines_and_looser_parts_in_brackets(kind: str) -> None:
    main = f"""-- @include lib/core/header.lua
local function body(n)
  local found = key({kind},
    n)
  return found .. failing()
end
return body(7)
"""
    texts = {"main.lua": main, loader.HEADER: HEADER}
    script = loader.join("main", texts.__getitem__)
    lines = script.source.split("\n")
    failing = next(index for index, line in enumerate(lines) if "failing" in line)
    assert script.origins[failing] == f"main.lua:{5 + kind.count(chr(10))}"
    assert run(main.replace("failing()", "''")) == "p:a7"


def test_what_is_compared_in_a_key_is_in_brackets() -> None:
    main = "-- @include lib/core/header.lua\nreturn key('a', ARGV == nil and 1 or 2)\n"
    assert "(PREFIX .. 'a' .. (ARGV == nil and 1 or 2))" in joined(main)


@pytest.mark.parametrize(
    ("line", "what"),
    [("return key('a')", r"key\(kind, name\) has two"), ("return ARGS.unknown", "names no argument rightly")],
)
def test_a_mistake_is_told_with_its_file_and_line(line: str, what: str) -> None:
    main = f"-- @include lib/core/header.lua\nlocal function body()\n  {line}\nend\nreturn body()\n"
    with pytest.raises(ValueError, match=rf"^main.lua:[23]: .*{what}"):
        joined(main)
