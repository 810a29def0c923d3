-- Submissions: stakeholders that no process stands behind. A submission is a worker record that is in the set
-- `submissions`, by its number, and not in `workers`, so that it is never pruned. It has the crews and claims that the
-- worker had that scheduled its tasks. What is kept of it when it has ended is the hash submission:<id>.

local KEPT_SECONDS = 604800

local function find_submission(id)
  local worker = find_worker(id)
  return worker and worker.submission and worker or nil
end

-- How many of its tasks are still to be run or retried, run, and are ready. O(its crews and their ready groups).
local function left_of(submission)
  local pending, running, ready = 0, 0, 0
  for _, crew in ipairs(crews_of(submission)) do
    pending = pending + counters_of(crew).counted
    running = running + call('HLEN', key('crew:', crew .. ':running'))
    for _, group in ipairs(call('SMEMBERS', key('groups:', crew))) do
      ready = ready + call('ZCARD', key('ready:', group))
    end
  end
  return pending, running, ready
end

-- Whether members of a running batch are among its tasks: they are in no sum. O(members of running batches).
local function has_running_batch(submission)
  if call('EXISTS', key('tasks:', 'BATCH_RUNNING')) == 0 then return false end
  for _, claim in ipairs(call('SMEMBERS', key('worker_claims:', submission.w))) do
    if #call('SINTER', key('tasks:', 'BATCH_RUNNING'), key('claim:', claim .. ':tasks')) > 0 then return true end
  end
  return false
end

-- Nothing of it is left to be done. O(its crews), and mostly O(1).
local function is_over(submission)
  if call('EXISTS', key('jobs', '')) == 1 then return false end
  for _, crew in ipairs(crews_of(submission)) do
    if counters_of(crew).counted > 0 or call('EXISTS', key('crew:', crew .. ':running')) == 1 then return false end
  end
  return not has_running_batch(submission)
end
