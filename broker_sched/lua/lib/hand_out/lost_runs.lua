-- What runs on a worker according to us, and not according to itself, was lost on its way: the best of it is handed out
-- again, and members of batches whose combined task does not run are ready again.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/deferred/run_deferred.lua
-- @include lib/tasks/attempts.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/metric_notes.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/statuses.lua
-- @include lib/tasks/tasks.lua
-- @include lib/hand_out/ready_queues.lua

-- The tasks that run on this worker according to us.
local function running_tasks(worker)
  local tasks = {}
  for index, n in ipairs(call('SMEMBERS', key('running:', worker.id))) do
    tasks[index] = load_task(id_of(n))
  end
  return tasks
end

-- The best-ranked of them that does not run according to the worker.
local function best_lost(tasks)
  local current, best = {}, nil
  for index = 1, #ARGS.current_tasks do current[ARGS.current_tasks[index]] = true end
  for _, task in ipairs(tasks) do
    if not current[task.id] then
      local entry = { score = -tonumber(task.priority), rank = task.rank, task = task }
      if not best or before(entry, best) then best = entry end
    end
  end
  return best and best.task
end

local function release_orphaned_batches(worker, tasks)
  local running_batches = {}
  for _, task in ipairs(tasks) do
    if task.batch_id then running_batches[task.batch_id] = true end
  end
  for _, batch_id in ipairs(call('HKEYS', key('worker_batches:', worker.id))) do
    if not running_batches[batch_id] then
      for _, n in ipairs(call('SMEMBERS', key('batch:', batch_id))) do
        local task = load_task(id_of(n))
        if task.worker_running == worker.id then
          set_status(task, 'PENDING')
          finish_task(task)
        end
      end
    end
  end
end

-- The lost task that the worker is to be handed again; nil when there is none. `budget`: for what follows from batches
-- that were lost.
local function find_lost(worker, budget)
  local tasks = running_tasks(worker)
  local lost = best_lost(tasks)
  release_orphaned_batches(worker, tasks)
  run_deferred(budget)
  return lost
end

-- It begins anew, with what it needs by now.
local function hand_out_again(task)
  note_metric('s', task.family or '')
  use_all(held_amounts(task), -1)
  hold_needs(task)
  use_all(held_amounts(task), 1)
  set(task, 'time_running', NOW_TEXT)
  set(task, 'attempt', attempt_after(task.attempt))
  finish_task(task)
end
