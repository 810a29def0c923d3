-- A worker is new under an old name: what the former worker of this name ran is lost, and fails.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/workers/missed_workers.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/statuses.lua
-- @include lib/tasks/explanations.lua
-- @include lib/deferred/run_deferred.lua

local MISSED_PINGS = 2
local MAX_FAILED = 25 -- tasks, or batches, in one call
local BUDGET = 105

local function fail_numbers(numbers, why)
  for _, n in ipairs(numbers) do
    local task = load_task(id_of(n))
    if task.status == 'RUNNING' or task.status == 'BATCH_RUNNING' then -- not failed with the rest of its batch
      set_expl(task, why)
      set_status(task, 'FAILED')
      set(task, 'worker_running', nil)
      finish_task(task)
    end
  end
end

-- Fail some of what the former one of this name ran. Combined tasks first: their members go with them.
-- Returns 'lost' and the number of deferred steps left; 'more' when there is more to fail; 'alive', when the former one
-- was heard of last (s), and who it is, when it may live and run them.
local function lose_runs(worker)
  if not has_runs(worker.id) then return 'lost', 0 end
  local contact = tonumber(call('ZSCORE', key('workers', ''), worker.id) or 0)
  if NOW < contact + longest_silence(worker.id, MISSED_PINGS) then
    return 'alive', number_text(contact), worker_named(worker.id)
  end
  local why = why_replaced(worker.id)
  local running = call('SRANDMEMBER', key('running:', worker.id), MAX_FAILED)
  fail_numbers(running, why)
  if #running == 0 then
    for _, batch_id in ipairs(call('HKEYS', key('worker_batches:', worker.id))) do
      for _, n in ipairs(call('SMEMBERS', key('batch:', batch_id))) do
        local task = load_task(id_of(n))
        if task.worker_running == worker.id then fail_numbers({ n }, why) end
      end
    end
  end
  return has_runs(worker.id) and 'more' or 'lost', run_deferred(BUDGET)
end
