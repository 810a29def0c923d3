-- Keep what a task wrote, in a key that goes by itself, since it is much. Of an unknown task nothing is kept.
--
-- ARGV  6 task_id  7 how much it wrote in all, a space, and the end of it
-- Reply 0
-- Cost  O(1)
-- @include lib/header.lua

local KEPT_SECONDS = 86400

return answer(function()
  if call('EXISTS', key('task:', ARGV[6])) == 1 then
    call('SET', key('log:', ARGV[6]), NOW_TEXT .. ' ' .. ARGV[7], 'EX', KEPT_SECONDS)
  end
  return 0
end)
