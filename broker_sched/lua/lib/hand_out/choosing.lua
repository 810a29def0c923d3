-- The task that a worker is given is chosen here: the best head of its ready queues, or what the starvation guard lets
-- go first where running tasks alone don't tell; without what this worker, or anybody, must not have.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/deferred/backlog.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/best_head.lua
-- @rarely lib/tasks/tasks.lua
-- @rarely lib/tasks/links.lua
-- @rarely lib/hand_out/stale_heads.lua
-- @rarely lib/hand_out/paused_families.lua
-- @rarely lib/hand_out/restrictions.lua
-- @rarely lib/hand_out/starvation_guard.lua

-- The entry of a ready queue that is this worker's turn; nil when there is none.
local function best_entry(worker, as_assistant)
  local stale = has_backlog() and is_stale or nil
  local best, is_contested, left = best_for(worker, as_assistant, 'first', stale)
  if is_contested then best = merge(worker, as_assistant, 'first') end
  if not best and left then
    best, is_contested = best_for(worker, as_assistant, 'last', stale)
    if is_contested then best = merge(worker, as_assistant, 'last') end
  end
  return best, is_contested
end

local MAX_MOVED, CONTESTED_COST = 40, 5 -- tasks set apart by one script; what looking through contested ones costs

-- By which kind of label the worker must not have the task; nil when it may have it.
local function kind_against(worker, task)
  if OPTIONS.paused_families ~= '' and is_paused(task.family) then return 'family' end
  return refuses(worker, task)
end

-- The best entry that the worker may have. Those before it are set apart, each once, so that nobody meets them here
-- again; second, whether there were too many of them.
local function best_allowed(worker, as_assistant)
  local budget = MAX_MOVED
  while budget > 0 do
    local entry, is_contested = best_entry(worker, as_assistant)
    local task = entry and load_task(id_of(number_in_rank(entry.rank)))
    local kind = task and kind_against(worker, task)
    if not kind then return entry, false end
    local left = task.ready
    task.apart = kind
    finish_task(task)
    forget_queues(left, task.ready)
    budget = budget - (is_contested and CONTESTED_COST or 1)
  end
  return nil, true
end

-- Might a head be a task that the worker must not have? Its own tasks it has loaded, whatever its filter says, and the
-- tasks of a paused family stand apart when no deferred step is left to have them do so.
local function has_to_look_at_each(worker, as_assistant)
  return worker.refuses or (worker.modules and as_assistant) or (OPTIONS.paused_families ~= '' and has_backlog())
end

-- The entry of a ready queue that this worker should run next; nil when there is none, or, as the second value says,
-- when there were too many on the way that it must not have.
local function choose(worker, as_assistant)
  if has_to_look_at_each(worker, as_assistant) then return best_allowed(worker, as_assistant) end
  return (best_entry(worker, as_assistant))
end
