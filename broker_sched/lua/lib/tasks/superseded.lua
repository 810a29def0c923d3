-- A run that is not the task's latest attempt is superseded, and what it says is refused: it changes nothing, but is
-- counted, and told to whoever follows the events. The reply is SUPERSEDED, of which callers make an error.
-- Stock clients send no attempt: for them Luigi's rules are all there is. (That a worker can't load a task is another
-- refusal, see refuse_tasks.lua and labels.lua.)

-- @include lib/core/header.lua
-- @include lib/core/events.lua

local SUPERSEDED = -1

-- Is this attempt older than the task's latest one? '' (none was sent) never is.
local function is_older(attempt, latest)
  return attempt ~= '' and tonumber(attempt) < tonumber(latest or 0)
end

-- what: the status that was reported, or the name of the script.
local function refuse_superseded(task_id, family, status, worker_id, attempt, what)
  call('HINCRBY', key('counters', ''), 'superseded', 1)
  note_event(task_id, family, status, status, worker_id, 'refused', what, 'attempt', attempt)
  return SUPERSEDED
end
