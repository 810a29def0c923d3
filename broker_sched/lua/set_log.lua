-- Keep what a task wrote, in a key that goes by itself, since it is much. Of an unknown task nothing is kept.
--
-- ARGV  6 task_id  7 how much it wrote in all, a space, and the end of it  8 attempt of the run, '' for none
-- Reply 0; -1 when the run is superseded
-- Cost  O(1)
-- @include lib/core/header.lua
-- @include lib/tasks/superseded.lua

local KEPT_SECONDS = 86400

return answer(function()
  local fields = call('HMGET', key('task:', ARGV[6]), 'status', 'attempt')
  if not fields[1] then return 0 end
  if is_older(ARGV[8], fields[2]) then return refuse_superseded(ARGV[6], fields[1], '', ARGV[8], 'log') end
  call('SET', key('log:', ARGV[6]), NOW_TEXT .. ' ' .. ARGV[7], 'EX', KEPT_SECONDS)
  return 0
end)
