-- What comes to choosing.lua while jobs wait, and the starvation guard where running tasks alone don't tell.

local MAX_CHECKED_DEPS = 200

-- While jobs wait, a ready task may have a dep that is not DONE any more. Puts that right; true when it did.
function is_stale(head)
  if not has_backlog() then return false end
  local n = number_in(head.rank)
  local suspects
  if call('SCARD', key('deps:', n)) <= MAX_CHECKED_DEPS then
    suspects = call('SMEMBERS', key('deps:', n))
  else
    suspects = {}
    for _, line in ipairs(call('LRANGE', key('jobs', ''), 0, -1)) do
      local dep = string.match(line, '^edges (%d+)')
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

-- @lazy merge lib/greedy.lua

-- The task this worker should run next; nil when there is none.
local function choose(worker, as_assistant)
  local best, is_contested = best_for(worker, as_assistant)
  if is_contested then best = merge(worker, as_assistant) end
  return best and load_task(id_of(number_in(best.rank)))
end
