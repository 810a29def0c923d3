-- A head of a ready queue is stale when one of its deps is not DONE any more, and the deferred step that is to tell it
-- still waits.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/tasks/tasks.lua
-- @include lib/deferred/backlog.lua
-- @include lib/tasks/links.lua
-- @include lib/hand_out/ready_queues.lua

local MAX_CHECKED_DEPS = 200

-- While deferred steps wait, a ready task may have a dep that is not DONE any more. Puts that right; true when it did.
local function is_stale(head)
  if not has_backlog() then return false end
  local n = number_in_rank(head.rank)
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
    local is_done, blocks = done_and_blocking(dep)
    if not is_done then
      sync_edge(n, dep, is_done, blocks)
      stale = true
    end
  end
  if stale then finish_task(task) end
  return stale
end
