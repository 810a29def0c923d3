-- What a worker still has to do is counted by sums over its runner sets, never over tasks. O(its runner sets + what is
-- running in them).
-- Reply: { state, pending, unique, last_scheduled, { task_id, worker, task_id, worker, … }, { worker, {info…}, … } }
-- Source: luigi.scheduler.Scheduler.count_pending, 3.8.1.

-- @include lib/core/header.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/workers/workers.lua

local runner_sets_by_number = {}

local function runner_sets_of(worker)
  local runner_sets = runner_sets_by_number[worker.w]
  if not runner_sets then
    runner_sets = call('SMEMBERS', key('worker_runner_sets:', worker.w))
    runner_sets_by_number[worker.w] = runner_sets
  end
  return runner_sets
end

-- Luigi: a runner that is unknown becomes known.
local function add_running(runner_set, running, infos, seen)
  local flat = call('HGETALL', key('runner_set:', runner_set .. ':running'))
  local size = #running
  for index = 1, #flat, 2 do
    local runner = flat[index + 1]
    running[size + index], running[size + index + 1] = flat[index], runner
    if not seen[runner] then
      seen[runner] = true
      get_worker(runner)
      infos[#infos + 1] = runner
      infos[#infos + 1] = call('HGETALL', key('worker_info:', runner))
    end
  end
end

-- without_running: the last two of the reply are empty.
local function count_for(worker, without_running)
  local pending, unique, last_scheduled = 0, 0, 0
  local running, infos, seen = {}, {}, {}
  for _, runner_set in ipairs(runner_sets_of(worker)) do
    local counters = counters_of(runner_set)
    local counted = counters.counted
    pending = pending + counted
    if counters.size == 1 then unique = unique + counted end
    if counted > 0 then
      last_scheduled = last_scheduled + call('SCARD', key('counted:', runner_set .. ':' .. worker.w))
    end
    if not without_running then add_running(runner_set, running, infos, seen) end
  end
  return { worker.disabled and 'disabled' or 'active', pending, unique, last_scheduled, running, infos }
end

-- Not an assistant, and none of its PENDING tasks needs resources.
local function is_trivial(worker)
  if worker.assistant then return false end
  for _, runner_set in ipairs(runner_sets_of(worker)) do
    if counters_of(runner_set).with_resources > 0 then return false end
  end
  return true
end
