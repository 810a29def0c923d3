-- Set a task's status message or progress; a RUNNING combined task passes it on to the members of its batch.
--
-- @args task_id field value attempt
--   field       status_message, progress_percentage
--   value       '' for null, else '=' and the text
--   attempt     of the run that says so, '' for none
-- Reply 1; 0 when the task is unknown; -1 when the run is superseded
-- Cost  O(members of the batch)
-- Source: luigi.scheduler.Scheduler.set_task_status_message, set_task_progress_percentage, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/tasks/superseded.lua

local function write(id)
  local value = optional(ARGS.value)
  if value then
    call('HSET', key('detail:', id), ARGS.field, value)
  else
    call('HDEL', key('detail:', id), ARGS.field)
  end
end

local function set_detail()
  local fields = call('HMGET', key('task:', ARGS.task_id), 'status', 'batch_id', 'attempt', 'family')
  if not fields[1] then return 0 end
  if is_older(ARGS.attempt, fields[3]) then
    return refuse_superseded(ARGS.task_id, fields[4] or '', fields[1], '', ARGS.attempt, ARGS.field)
  end
  write(ARGS.task_id)
  if fields[1] == 'RUNNING' and fields[2] then
    for _, n in ipairs(call('SMEMBERS', key('batch:', fields[2]))) do write(call('HGET', key('ids', ''), n)) end
  end
  return 1
end

return answer(set_detail)
