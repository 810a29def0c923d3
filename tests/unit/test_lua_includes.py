"""Each Lua file names the files of which it uses something, and none is finished by another one."""

import re

from broker_sched.lua import loader
from tests.unit.lua_files import (
    LIBRARIES,
    SOURCES,
    defined_in,
    filled_in,
    included_in,
    keeps_something,
    lazy_in,
    taken_and_written,
    text_of,
)

# Copies may differ in what they have read: nothing of it changes while a script chooses a task.
READ_AGAIN = {"lib/hand_out/streams.lua", "lib/hand_out/restrictions.lua", "lib/hand_out/paused_families.lua"}


def test_a_file_includes_every_file_of_which_it_uses_something():
    for source in SOURCES:
        text = text_of(source)
        taken, _ = taken_and_written(text)
        by_include = [defined_in(text_of(file)) for file in included_in(text)]
        assert taken - set().union(*by_include, *lazy_in(text).values()) == set(), source


def test_a_file_includes_nothing_that_neither_it_nor_what_it_makes_lazily_uses():
    for source in SOURCES:
        text = text_of(source)
        taken, _ = taken_and_written(text)
        for names in lazy_in(text).values():
            assert names <= taken, source
        for file in lazy_in(text):
            taken = taken | taken_and_written(text_of(file))[0]
        unused = [file for file in included_in(text) if not defined_in(text_of(file)) & taken]
        assert [file for file in unused if defined_in(text_of(file))] == [], source


def test_what_is_made_lazily_is_defined_by_the_file_that_is_named():
    for source in SOURCES:
        for file, names in lazy_in(text_of(source)).items():
            assert names <= defined_in(text_of(file)), source


def test_no_file_includes_itself_by_way_of_others():
    direct = {source: {*included_in(text_of(source)), *lazy_in(text_of(source))} for source in SOURCES}
    for source in SOURCES:
        reached: set[str] = set()
        ahead = direct[source]
        while ahead:
            reached |= ahead
            ahead = set().union(*(direct[file] for file in ahead)) - reached
        assert source not in reached


def test_a_name_that_others_use_is_defined_by_one_file_only():
    """Else it would be chance which of two a file gets."""
    used = set().union(*(taken_and_written(text_of(source))[0] for source in SOURCES))
    for name in used:
        assert len([file for file in LIBRARIES if name in defined_in(text_of(file))]) == 1, name


def test_no_file_fills_in_what_another_one_declares():
    for source in SOURCES:
        text = text_of(source)
        _, written = taken_and_written(text)
        assert written == set(), source
        assert set(filled_in(text)) <= defined_in(text), source


def test_a_file_that_keeps_something_stands_in_a_script_once():
    """Else what one copy has read, counted or left for later, the other would not know."""
    for name in loader.names():
        beginnings = [origin.removesuffix(":1") for origin in loader.load(name).origins if origin.endswith(".lua:1")]
        twice = {file for file in beginnings if beginnings.count(file) > 1}
        assert [file for file in twice - READ_AGAIN if keeps_something(text_of(file))] == [], name


def test_these_checks_see_what_they_look_for():
    text = """-- @include lib/a.lua
-- @lazy f, g lib/b.lua
local seen = {}
local is_stale
local function own() return theirs(ARGS.worker) + f() end
function is_stale() backlog = 1 end
function theirs_too.x() end
wakeups.y = function() end
"""
    assert (included_in(text), lazy_in(text)) == (["lib/a.lua"], {"lib/b.lua": {"f", "g"}})
    assert defined_in(text) == {"seen", "is_stale", "own"}
    assert taken_and_written(text) == ({"theirs", "f", "theirs_too", "wakeups"}, {"backlog"})
    assert list(filled_in(text)) == ["theirs_too", "wakeups"]
    assert [keeps_something(each) for each in (text, "local is_stale", "at_end[1] = f", "local MAX = {}")] == [
        True,
        True,
        True,
        False,
    ]


def test_a_script_that_may_make_work_possible_wakes_those_who_wait():
    """What makes it possible: a task enters a ready queue, a resource is given back, a task counts no more."""
    for name in loader.names():
        files = {origin.split(":")[0] for origin in loader.load(name).origins}
        causes = [file for file in files if makes_work_possible(text_of(file))]
        assert not causes or "lib/wakeups/wake_up.lua" in files, name


def makes_work_possible(text):
    taken, _ = taken_and_written(text)
    notes = re.search(r"(?<!function )wakeups\.(note\(|freed\[name\] = true)", text)
    return notes is not None or bool(taken & {"use", "use_all", "count_in"})
