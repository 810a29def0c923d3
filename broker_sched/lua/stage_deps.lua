-- Keep a chunk of a long list of deps for the add_task that will name this token.
--
-- ARGV  6 token  7… task ids
-- Reply how many are staged
-- Cost  O(ids given)
-- @include lib/core/header.lua

local function stage_deps()
  local staged = key('staged:', ARGV[6])
  local count
  for index = 7, #ARGV do count = call('RPUSH', staged, ARGV[index]) end
  call('EXPIRE', staged, 900)
  return count
end

return answer(stage_deps)
