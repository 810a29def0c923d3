-- What comes to choosing.lua while deferred steps wait, the starvation guard where running tasks alone don't tell, and
-- what a worker must not have.

local MAX_CHECKED_DEPS = 200

-- While deferred steps wait, a ready task may have a dep that is not DONE any more. Puts that right; true when it did.
function is_stale(head)
  if not has_backlog() then return false end
  local n = number_in(head.rank)
  local suspects
  if call('SCARD', key('deps:', n)) <= MAX_CHECKED_DEPS then
    suspects = call('SMEMBERS', key('deps:', n))
  else
    suspects = {}
    for _, line in ipairs(call('LRANGE', key('deferred_steps', ''), 0, -1)) do
      local dep = string.match(line, '^tell_dependents (%d+)')
      if dep and call('SISMEMBER', key('deps:', n), dep) == 1 then suspects[#suspects + 1] = dep end
    end
  end
  local task, stale = load_task(id_of(n)), false
  for _, dep in ipairs(suspects) do
    local is_done, blocks = standing(dep)
    if not is_done then
      sync_edge(n, dep, is_done, blocks)
      stale = true
    end
  end
  if stale then finish_task(task) end
  return stale
end

-- @lazy merge lib/hand_out/starvation_guard.lua

-- The task that is this worker's turn; nil when there is none.
local function best_task(worker, as_assistant)
  local best, is_contested, left = best_for(worker, as_assistant, 'first')
  if is_contested then best = merge(worker, as_assistant, 'first') end
  if not best and left then
    best, is_contested = best_for(worker, as_assistant, 'last')
    if is_contested then best = merge(worker, as_assistant, 'last') end
  end
  return best and load_task(id_of(number_in(best.rank))), is_contested
end

local MAX_MOVED, CONTESTED_COST = 40, 5 -- tasks set apart by one script; what looking through contested ones costs

-- The task this worker should run next; nil when there is none, or, as the second value says, when there were too many
-- on the way that it must not have. They are set apart, each once, so that nobody meets them here again.
local function choose(worker, as_assistant)
  if not worker.refuses and not worker.modules then return (best_task(worker, as_assistant)) end
  local budget = MAX_MOVED
  while budget > 0 do
    local task, is_contested = best_task(worker, as_assistant)
    local kind = task and refuses(worker, task)
    if not kind then return task, false end
    local left = task.ready
    task.apart = kind
    finish_task(task)
    forget_queues(left, task.ready)
    budget = budget - (is_contested and CONTESTED_COST or 1)
  end
  return nil, true
end
