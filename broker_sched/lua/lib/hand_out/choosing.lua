-- The task that a worker is given is chosen here, with all that plain_work.lua leaves out: deferred steps that wait,
-- the starvation guard where running tasks alone don't tell, and what a worker, or anybody, must not have.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/links.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/best_head.lua
-- @include lib/hand_out/stale_heads.lua
-- @rarely lib/hand_out/paused_families.lua
-- @rarely lib/hand_out/restrictions.lua
-- @rarely lib/hand_out/starvation_guard.lua

-- The task that is this worker's turn; nil when there is none.
local function best_task(worker, as_assistant)
  local best, is_contested, left = best_for(worker, as_assistant, 'first', is_stale)
  if is_contested then best = merge(worker, as_assistant, 'first') end
  if not best and left then
    best, is_contested = best_for(worker, as_assistant, 'last', is_stale)
    if is_contested then best = merge(worker, as_assistant, 'last') end
  end
  return best and load_task(id_of(number_in_rank(best.rank))), is_contested
end

local MAX_MOVED, CONTESTED_COST = 40, 5 -- tasks set apart by one script; what looking through contested ones costs

-- By which kind of label the worker must not have the task; nil when it may have it.
local function kind_against(worker, task)
  if OPTIONS.paused_families ~= '' and is_paused(task.family) then return 'family' end
  return refuses(worker, task)
end

-- The task this worker should run next; nil when there is none, or, as the second value says, when there were too many
-- on the way that it must not have. They are set apart, each once, so that nobody meets them here again.
local function choose(worker, as_assistant)
  local may_have_all = not worker.refuses and not worker.modules and OPTIONS.paused_families == ''
  if may_have_all then return (best_task(worker, as_assistant)) end
  local budget = MAX_MOVED
  while budget > 0 do
    local task, is_contested = best_task(worker, as_assistant)
    local kind = task and kind_against(worker, task)
    if not kind then return task, false end
    local left = task.ready
    task.apart = kind
    finish_task(task)
    forget_queues(left, task.ready)
    budget = budget - (is_contested and CONTESTED_COST or 1)
  end
  return nil, true
end
