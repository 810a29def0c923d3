"""Each Lua file names the files of which it uses something, and none is finished by another one."""

import re

from broker_sched.lua import loader
from tests.unit.lua_files import (
    LIBRARIES,
    SOURCES,
    called_at_end_in,
    defined_in,
    filled_in,
    included_in,
    taken_and_written,
    text_of,
)


def test_a_file_includes_every_file_of_which_it_uses_something():
    for source in SOURCES:
        text = text_of(source)
        taken, _ = taken_and_written(text)
        assert taken - set().union(*(defined_in(text_of(file)) for file in included_in(text))) == set(), source


def test_a_file_includes_nothing_that_it_does_not_use():
    """But what is called at the end of a script that includes it."""
    for source in SOURCES:
        text = text_of(source)
        taken, _ = taken_and_written(text)
        unused = [file for file in included_in(text) if not defined_in(text_of(file)) & taken]
        assert [file for file in unused if not called_at_end_in(text_of(file))] == [], source
        assert len(included_in(text)) == len(set(included_in(text))), source


def test_no_file_includes_itself_by_way_of_others():
    direct = {source: set(included_in(text_of(source))) for source in SOURCES}
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


def test_what_a_file_defines_stands_in_a_script_once():
    """Else what one copy has read, counted or left for later, the other would not know."""
    for name in loader.names():
        script = loader.load(name)
        lines = [each for each in zip(script.origins, script.source.splitlines()) if not each[0].endswith(":1")]
        assert len(lines) == len(set(lines)), name


def test_these_checks_see_what_they_look_for():
    text = """-- @include lib/a.lua
-- @rarely lib/b.lua
-- @at_end seen own
local seen = {}
local is_stale
local function own() return theirs(ARGS.worker) + f() end
function is_stale() backlog = 1 end
function theirs_too.x() end
wakeups.y = function() end
"""
    assert (included_in(text), called_at_end_in(text)) == (["lib/a.lua", "lib/b.lua"], {"own"})
    assert defined_in(text) == {"seen", "is_stale", "own"}
    assert taken_and_written(text) == ({"theirs", "f", "theirs_too", "wakeups"}, {"backlog"})
    assert list(filled_in(text)) == ["theirs_too", "wakeups"]


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
