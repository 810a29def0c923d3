-- Pruning does what is due, a bounded part at a time: it removes dead workers, fails what they ran, marks tasks without
-- stakeholders, ends disables, retries failed tasks, ends postponements, and removes tasks; in this order, as Luigi
-- does for each task.
-- Source: luigi.scheduler.Scheduler.prune, 3.8.1.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/workers/missed_workers.lua
-- @include lib/workers/remove_worker.lua
-- @include lib/tasks/tasks.lua
-- @include lib/deferred/backlog.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/statuses.lua
-- @include lib/tasks/explanations.lua
-- @include lib/tasks/remove_task.lua
-- @include lib/deferred/run_deferred.lua

local MAX_WORKERS = 20

-- Strict: silent for longer than worker_disconnect_delay.
local function prune_workers(budget)
  local delay = OPTIONS.worker_disconnect_delay
  local silent = call('ZRANGEBYSCORE', key('workers', ''), '-inf', number_text(NOW - delay + 1), 'WITHSCORES',
    'LIMIT', 0, MAX_WORKERS)
  local removed = 0
  for index = 1, #silent, 2 do
    if tonumber(silent[index + 1]) + delay < NOW then
      remove_worker(silent[index], NOW)
      removed = removed + 1
    end
  end
  return removed == MAX_WORKERS and budget or removed
end

local function tasks_of(numbers)
  local tasks = {}
  for _, n in ipairs(numbers) do
    local id = id_of(n)
    local task = id and load_task(id)
    if task then tasks[#tasks + 1] = task end
  end
  table.sort(tasks, function(a, b) return a.rank < b.rank end)
  return tasks
end

local function fail_orphaned_run(task)
  if not is_orphaned_run(task) then return end
  local why, host = why_missed(task.worker_running)
  task.lost_host = host
  if task.status == 'BATCH_RUNNING' then set_own_expl(task, why) else set_expl(task, why) end
  set_status(task, 'FAILED')
  set(task, 'worker_running', nil)
  finish_task(task)
end

-- Luigi: tasks fail in the order of their creation. So members of a batch that are older than the combined task fail
-- on their own; the others get its status passed on.
local function fail_orphaned_batch(combined)
  for _, member in ipairs(tasks_of(call('SMEMBERS', key('batch:', combined.batch_id)))) do
    if member.rank < combined.rank then fail_orphaned_run(member) end
  end
  fail_orphaned_run(combined)
end

-- The oldest of a part first; see docs/decisions/0003 for the order across parts.
local function fail_orphaned_runs(budget)
  local tasks = tasks_of(call('SPOP', key('orphaned_runs', ''), budget))
  for _, task in ipairs(tasks) do
    if task.status == 'RUNNING' and task.batch_id and is_orphaned_run(task) then
      fail_orphaned_batch(task)
    else
      fail_orphaned_run(task)
    end
  end
  return #tasks
end

local function mark_without_stakeholders(budget)
  local tasks = tasks_of(call('SPOP', key('without_stakeholders', ''), budget))
  for _, task in ipairs(tasks) do
    if task.stakeholder_set == '0' then mark_for_removal(task, NOW) end
  end
  return #tasks
end

local function end_disables(budget)
  local numbers = call('ZRANGEBYSCORE', key('due:enable', ''), '-inf', number_text(NOW - OPTIONS.disable_persist + 1),
    'LIMIT', 0, budget)
  local ended = 0
  for _, task in ipairs(tasks_of(numbers)) do
    if NOW - tonumber(task.disabled_at) > OPTIONS.disable_persist then
      re_enable(task)
      finish_task(task)
      ended = ended + 1
    end
  end
  return ended
end

local function retry_failed(budget)
  if OPTIONS.retry_delay < 0 then return 0 end
  local numbers = call('ZRANGEBYSCORE', key('due:retry', ''), '-inf', '(' .. NOW_TEXT, 'LIMIT', 0, budget)
  local tasks = tasks_of(numbers)
  for _, task in ipairs(tasks) do
    set_status(task, 'PENDING')
    finish_task(task)
  end
  return #tasks
end

-- Tasks that were refused stand with the others again.
local function end_postponements(budget)
  local due = key('due:postponed', '')
  local numbers = call('ZRANGEBYSCORE', due, '-inf', '(' .. NOW_TEXT, 'LIMIT', 0, budget)
  if #numbers > 0 then call('ZREM', due, unpack(numbers)) end
  for _, task in ipairs(tasks_of(numbers)) do
    set(task, 'postponed', nil)
    finish_task(task)
  end
  return #numbers
end

local function remove_due(budget)
  local tasks = tasks_of(call('ZRANGEBYSCORE', key('due:remove', ''), '-inf', NOW_TEXT, 'LIMIT', 0, budget))
  for _, task in ipairs(tasks) do remove_task(task) end
  return #tasks
end

-- One part. Each phase starts when the one before has nothing left, so that its order holds across parts.
-- Returns 1 while there is more to do, else 0.
local function prune(budget)
  if has_backlog() then
    run_deferred(budget)
    return 1
  end
  local phases = {
    prune_workers, fail_orphaned_runs, mark_without_stakeholders, end_disables, retry_failed, end_postponements,
    remove_due,
  }
  for _, phase in ipairs(phases) do
    local share = math.ceil(budget / 4)
    local steps = phase(share)
    budget = budget - 4 * steps
    if run_deferred(math.max(budget, 10)) > 0 or steps >= share then return 1 end
  end
  return 0
end
