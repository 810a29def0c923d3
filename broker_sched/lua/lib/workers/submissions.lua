-- A submission is a stakeholder that no process stands behind. Its record is that of the worker that scheduled its
-- tasks, with the runner sets and stakeholder sets which this worker had; but its number is in the set `submissions`,
-- and its id not in `workers`, so that it is never pruned. The hash submission:<id> is kept for a while when it has
-- ended.

-- @include lib/core/header.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/counts.lua

local KEPT_SECONDS = 604800

local function find_submission(id)
  local worker = find_worker(id)
  return worker and worker.submission and worker or nil
end

-- How many of its tasks are still to be run or retried, run, and are ready. O(its runner sets and their ready queues).
local function left_of(submission)
  local pending, running, ready = 0, 0, 0
  for _, runner_set in ipairs(runner_sets_of(submission)) do
    pending = pending + counters_of(runner_set).counted
    running = running + call('HLEN', key('runner_set:', runner_set .. ':running'))
    for _, queue in ipairs(call('SMEMBERS', key('ready_queues:', runner_set))) do
      ready = ready + call('ZCARD', key('ready:', queue))
    end
  end
  return pending, running, ready
end

-- Whether members of a running batch are among its tasks: they are in no sum. O(members of running batches).
local function has_running_batch(submission)
  if call('EXISTS', key('batch_running', '')) == 0 then return false end
  for _, stakeholder_set in ipairs(call('SMEMBERS', key('worker_stakeholder_sets:', submission.w))) do
    local tasks = key('stakeholder_set:', stakeholder_set .. ':tasks')
    if #call('SINTER', key('batch_running', ''), tasks) > 0 then return true end
  end
  return false
end

-- Nothing of it is left to be done. O(its runner sets), and mostly O(1).
local function is_over(submission)
  if call('EXISTS', key('deferred_steps', '')) == 1 then return false end
  for _, runner_set in ipairs(runner_sets_of(submission)) do
    local running = key('runner_set:', runner_set .. ':running')
    if counters_of(runner_set).counted > 0 or call('EXISTS', running) == 1 then return false end
  end
  return not has_running_batch(submission)
end
