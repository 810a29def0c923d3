-- Keep, or take, a task's response to a message.
--
-- @args task_id message_id response
--   response    '' to take it, else '=' and the response as JSON
-- Reply the response taken, or ''
-- Cost  O(1)
-- Source: luigi.scheduler.Scheduler.add_scheduler_message_response, get_scheduler_message_response, 3.8.1.
-- @include lib/core/header.lua

local function message_response()
  local detail, field, response = key('detail:', ARGS.task_id), 'response:' .. ARGS.message_id, optional(ARGS.response)
  if call('EXISTS', key('task:', ARGS.task_id)) == 0 then return '' end
  if response then
    call('HSET', detail, field, response)
    return ''
  end
  local kept = call('HGET', detail, field) or ''
  call('HDEL', detail, field)
  return kept
end

return answer(message_response)
