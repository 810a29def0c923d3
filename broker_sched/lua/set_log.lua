-- Keep what a task wrote, in a key that goes by itself, since it is much. Of an unknown task nothing is kept.
--
-- @args task_id size log attempt
--   size        how much it wrote in all, in characters
--   log         the end of it
--   attempt     of the run, '' for none
-- Reply 0; -1 when the run is superseded
-- Cost  O(1)
-- @include lib/core/header.lua
-- @include lib/tasks/superseded.lua

local KEPT_SECONDS = 86400

return answer(function()
  local fields = call('HMGET', key('task:', ARGS.task_id), 'status', 'attempt', 'family')
  if not fields[1] then return 0 end
  if is_older(ARGS.attempt, fields[2]) then
    return refuse_superseded(ARGS.task_id, fields[3] or '', fields[1], '', ARGS.attempt, 'log')
  end
  call('SET', key('log:', ARGS.task_id), NOW_TEXT .. ' ' .. ARGS.size .. ' ' .. ARGS.log, 'EX', KEPT_SECONDS)
  return 0
end)
