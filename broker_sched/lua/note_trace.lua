-- Keep the trace of a submission, or of the latest attempt, beside each of these tasks, in keys that go by themselves.
--
-- @args field traceparent task_ids…
--   field        submission, attempt
--   traceparent  the context of a span, as W3C writes it
-- Reply 0
-- Cost  O(tasks)
-- @include lib/core/header.lua

local KEPT_SECONDS = 604800

return answer(function()
  for index = 1, #ARGS.task_ids do
    local task_id = ARGS.task_ids[index]
    if call('EXISTS', key('task:', task_id)) == 1 then
      call('HSET', key('trace:', task_id), ARGS.field, ARGS.traceparent)
      call('EXPIRE', key('trace:', task_id), KEPT_SECONDS)
    end
  end
  return 0
end)
