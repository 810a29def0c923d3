"""Mistakes that somebody could make in the scripts. Each breaks a rule that the simulation must see broken."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from broker_sched.lua.loader import Script, join, text_of


class Mutant(NamedTuple):
    """A text of the .lua files and what stands there instead."""

    old: str
    new: str


MUTANTS = {
    "two hand-outs in one moment have one number": Mutant("tonumber(previous or 0) + 1))", "0))"),
    "what a superseded run says counts": Mutant(
        "  return attempt ~= '' and tonumber(attempt) < tonumber", "  return false and tonumber(attempt) < tonumber"
    ),
    "a late copy is carried out": Mutant("elseif is_lower(number, kept_number) then", "elseif false then"),
    "a repeated question is answered by what was handed out long ago": Mutant(
        "if not holds or holds(reply) then", "if true then"
    ),
    "resources have no limits": Mutant("  return excess > 0 and (is_whole", "  return false and (is_whole"),
    "what ran gives nothing back": Mutant(
        "    use_all(held_amounts(task), -1)\n    if task.stakeholder_set", "    if task.stakeholder_set"
    ),
    "what runs holds nothing": Mutant("  if task.resources ~= '' then use_all(amounts(task.resources), 1) end\n", ""),
    "deps need not be DONE": Mutant(
        "if task.status == 'PENDING' and not has_unmet(task.n) then", "if task.status == 'PENDING' then"
    ),
    "workers are missed too early": Mutant(
        "if tonumber(silent[index + 1]) + delay < NOW then", "if tonumber(silent[index + 1]) + delay < NOW + 40 then"
    ),
    "what a dead worker ran goes on for ever": Mutant(
        "  for _, task in ipairs(tasks) do\n    if task.status == 'RUNNING' and task.batch_id and is_orphaned",
        "  for _, task in ipairs({}) do\n    if task.status == 'RUNNING' and task.batch_id and is_orphaned",
    ),
    "what has failed is not tried again": Mutant(
        "    set_status(task, 'PENDING')\n    finish_task(task)\n  end\n  return #tasks", "  end\n  return 0"
    ),
    "what was handed out stays in its queue": Mutant(
        "  leave_queue(task.ready, entry.is_alone, entry.rank)\n", "  leave_queue(task.ready, false, '')\n"
    ),
    "members of a batch stay in their queue": Mutant(
        "for queue, leaving in pairs(ranks) do leave_queue(queue, nil, unpack(leaving)) end",
        "for queue in pairs(ranks) do leave_queue(queue, nil, '') end",
    ),
    "a new process takes a living one's name": Mutant(
        "  if NOW < contact + longest_silence(worker.id, MISSED_PINGS) then", "  if false then"
    ),
    "adding a task again ends its run": Mutant(
        "  return not is_running(task) or (started and task.worker_running == worker.id) or HAS_NEW_DEPS",
        "  return true",
    ),
    "the members of a batch stay as they are": Mutant(
        "    set_status(member, new)\n    finish_task(member)", "    finish_task(member)"
    ),
    "pauses are not heard": Mutant("if not lost and OPTIONS.paused ~= 1 then", "if not lost then"),
    "dependents are not told": Mutant(
        "  for _, dependent in ipairs(page) do\n    local unmet_flips",
        "  for _, dependent in ipairs({}) do\n    local unmet_flips",
    ),
    "what was given back is not ready again": Mutant(
        "    set_status(task, 'PENDING')\n  end\n  set(task, 'worker_running', nil)",
        "  end\n  set(task, 'worker_running', nil)",
    ),
    "everybody may report on a run": Mutant(
        "  if is_running(task) then return task.worker_running ~= worker.id end\n", ""
    ),
    "more may be given back than is held": Mutant("math.max(held[name] - amount, 0)", "held[name] - amount"),
    "what was refused stands apart for ever": Mutant(
        "  for _, task in ipairs(tasks_of(numbers)) do\n    set(task, 'postponed', nil)",
        "  for _, task in ipairs({}) do\n    set(task, 'postponed', nil)",
    ),
    "whoever it is was heard of": Mutant(
        "  local delay = OPTIONS.worker_disconnect_delay\n", "  local delay = OPTIONS.worker_disconnect_delay - 59\n"
    ),
    "the number of a run is forgotten": Mutant(
        "    'tally', task.runner_set .. 'R', 'ready', '', 'counted', '', 'attempt', task.attempt,",
        "    'tally', task.runner_set .. 'R', 'ready', '', 'counted', '',",
    ),
}


def scripts_with(mutant: Mutant) -> Callable[[str], Script]:
    """A loader whose scripts have this mistake, where they have the text at all."""

    @cache
    def mutated_text_of(file_name: str) -> str:
        return text_of(file_name).replace(mutant.old, mutant.new)

    return cache(lambda name: join(name, mutated_text_of))
