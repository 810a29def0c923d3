-- Set a task's status message or progress; a RUNNING combined task passes it on to the members of its batch.
--
-- ARGV  6 task_id  7 field: status_message, progress_percentage  8 value: '' for null, else '=' and the text
--       9 attempt of the run that says so, '' for none
-- Reply 1; 0 when the task is unknown; -1 when the run is superseded
-- Cost  O(members of the batch)
-- Source: luigi.scheduler.Scheduler.set_task_status_message, set_task_progress_percentage, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/tasks/superseded.lua

local function write(id)
  local value = optional(ARGV[8])
  if value then
    call('HSET', key('detail:', id), ARGV[7], value)
  else
    call('HDEL', key('detail:', id), ARGV[7])
  end
end

local function set_detail()
  local fields = call('HMGET', key('task:', ARGV[6]), 'status', 'batch_id', 'attempt')
  if not fields[1] then return 0 end
  if is_older(ARGV[9], fields[3]) then return refuse_superseded(ARGV[6], fields[1], '', ARGV[9], ARGV[7]) end
  write(ARGV[6])
  if fields[1] == 'RUNNING' and fields[2] then
    for _, n in ipairs(call('SMEMBERS', key('batch:', fields[2]))) do write(call('HGET', key('ids', ''), n)) end
  end
  return 1
end

return answer(set_detail)
