-- Keep a chunk of a long list of deps for the add_task that will name this token.
--
-- @args token task_ids…
-- Reply how many are staged
-- Cost  O(ids given)
-- @include lib/core/header.lua

local function stage_deps()
  local staged = key('staged:', ARGS.token)
  local count
  for index = 1, #ARGS.task_ids do count = call('RPUSH', staged, ARGS.task_ids[index]) end
  call('EXPIRE', staged, 900)
  return count
end

return answer(stage_deps)
