-- Give back part of what a RUNNING task holds, never below 0; the members of its batch likewise.
--
-- ARGV  6 task_id  7… resource, amount, resource, amount, …
-- Reply 1, or 0 when the task is not RUNNING
-- Cost  O(resources × members of the batch)
-- Source: luigi.scheduler.Scheduler.decrease_running_task_resources, 3.8.1.
-- @include lib/header.lua
-- @include lib/crowds.lua
-- @include lib/workers.lua
-- @include lib/resources.lua
-- @include lib/tasks.lua

local function decrease(task, is_counted)
  for index = 7, #ARGV, 2 do
    local name, amount = ARGV[index], tonumber(ARGV[index + 1])
    local held = tonumber(call('HGET', key('held:', task.n), name))
    if held and amount > 0 then
      local left = math.max(0, held - amount)
      call('HSET', key('held:', task.n), name, number_text(left))
      if is_counted then use(name, left - held) end
    end
  end
end

local function decrease_resources()
  local task = load_task(ARGV[6])
  if not task or task.status ~= 'RUNNING' then return 0 end
  decrease(task, true)
  if task.batch_id then
    for _, n in ipairs(call('SMEMBERS', key('batch:', task.batch_id))) do
      decrease(load_task(call('HGET', key('ids', ''), n)), false)
    end
  end
  return 1
end

return answer(decrease_resources)
