-- Give back part of what a RUNNING task holds, never below 0; the members of its batch likewise.
--
-- @args task_id attempt amounts…
--   attempt     of the run, '' for none
--   amounts     resource, amount, resource, amount, …
-- Reply 1; 0 when the task is not RUNNING, or was never handed out (Luigi fails then); -1 when the run is superseded
-- Cost  O(resources × members of the batch)
-- Source: luigi.scheduler.Scheduler.decrease_running_task_resources, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/tasks.lua
-- @include lib/wakeups/wake_up.lua
-- @include lib/tasks/superseded.lua

-- {"name":amount}, sorted by name.
local function encode(held)
  local parts = {}
  for name, amount in pairs(held) do parts[#parts + 1] = cjson.encode(name) .. ':' .. number_text(amount) end
  table.sort(parts)
  return '{' .. table.concat(parts, ',') .. '}'
end

-- The write that Redis may refuse for lack of memory comes first. What is left of a fraction is rounded: so all that
-- was held is taken from what is in use, and what is left is put back.
local function decrease(task, is_counted)
  if not task.held or task.held == NOTHING then return end
  local before, held = amounts(task.held), cjson.decode(task.held)
  for index = 1, #ARGS.amounts, 2 do
    local name, amount = ARGS.amounts[index], tonumber(ARGS.amounts[index + 1])
    if held[name] and amount > 0 then
      held[name] = math.max(held[name] - amount, 0)
    end
  end
  set(task, 'held', encode(held))
  flush(task)
  if not is_counted then return end
  for name, amount in pairs(held) do
    if amount < before[name] then
      use(name, -before[name])
      use(name, amount)
    end
  end
end

local function decrease_resources()
  local task = load_task(ARGS.task_id)
  if task and is_older(ARGS.attempt, task.attempt) then
    return refuse_superseded(task.id, task.family or '', task.status, '', ARGS.attempt, 'decrease_resources')
  end
  if not task or task.status ~= 'RUNNING' or not task.held then return 0 end
  decrease(task, true)
  if task.batch_id then
    for _, n in ipairs(call('SMEMBERS', key('batch:', task.batch_id))) do
      decrease(load_task(id_of(n)), false)
    end
  end
  return 1
end

return answer(decrease_resources)
