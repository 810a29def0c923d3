-- Keep, or take, a task's response to a message.
--
-- ARGV  6 task_id  7 message id  8 '' to take it, else '=' and the response as JSON
-- Reply the response taken, or ''
-- Cost  O(1)
-- Source: luigi.scheduler.Scheduler.add_scheduler_message_response, get_scheduler_message_response, 3.8.1.
-- @include lib/core/header.lua

local function message_response()
  local detail, field, response = key('detail:', ARGV[6]), 'response:' .. ARGV[7], optional(ARGV[8])
  if call('EXISTS', key('task:', ARGV[6])) == 0 then return '' end
  if response then
    call('HSET', detail, field, response)
    return ''
  end
  local kept = call('HGET', detail, field) or ''
  call('HDEL', detail, field)
  return kept
end

return answer(message_response)
