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
