-- One ready task is handed out. Nothing is read of it but what is needed for that, and where it stands then is written
-- at once: what placing.lua would work out for any change of any task is known here.

-- @include lib/core/header.lua
-- @include lib/core/events.lua
-- @include lib/core/ids.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/attempts.lua
-- @include lib/tasks/metric_notes.lua
-- @include lib/tasks/placing.lua
-- @include lib/tasks/tasks.lua
-- @include lib/hand_out/ready_queues.lua
-- @rarely lib/batches/batch_index.lua

-- The task at this entry of a ready queue, as far as its hand-out needs it.
local function read_ready_task(entry)
  local n = number_in_rank(entry.rank)
  local id = id_of(n)
  local fields = call('HMGET', key('task:', id), 'runner_set', 'stakeholder_set', 'resources', 'counted', 'ready',
    'family', 'module', 'params', 'attempt', 'ready_since', 'updated', 'date', 'batched')
  return { n = n, id = id, rank = entry.rank, runner_set = fields[1] or '0', stakeholder_set = fields[2] or '0',
    resources = fields[3] or '', counted = fields[4], ready = fields[5], family = fields[6] or '', module = fields[7],
    params = fields[8], attempt = attempt_after(fields[9]), ready_since = fields[10],
    since = (fields[10] or '') ~= '' and fields[10] or fields[11], date = fields[12], batched = fields[13],
    has_run = fields[9] ~= false }
end

-- What this script has changed of it before is written now; what it knows of it is forgotten.
local function settle(task)
  settle_listings()
  loaded_tasks[task.id] = nil
end

-- Move it from where a ready task stands to where a running one does.
local function move_to_running(task, entry, worker)
  local n, runner_set = task.n, task.runner_set
  call('ZREM', key('tasks:', 'READY:' .. task.family), n)
  call('ZADD', key('tasks:', 'RUNNING:' .. task.family), NOW_TEXT, n)
  if task.date then -- see lib/tasks/dated.lua
    local day = task.date .. ':' .. task.family
    call('SMOVE', key('dated:', 'READY:' .. day), key('dated:', 'RUNNING:' .. day), n)
  end
  call('SADD', key('running:', worker.id), n)
  call('ZADD', key('running', ''), number_text(entry.score), entry.rank)
  call('HSET', key('runner_set:', runner_set .. ':running'), task.id, worker.id)
  count_in(runner_set, 'pending', -1)
  if task.resources ~= '' then count_in(runner_set, 'with_resources', -1) end
  if (task.counted or '') ~= '' and call('SREM', key('counted:', task.counted), n) == 1 then
    count_in(string.match(task.counted, '^%d+'), 'counted', -1)
  end
  leave_queue(task.ready, entry.is_alone, entry.rank)
  if (task.batched or '') ~= '' then leave_batches({ task }) end
  if task.resources ~= '' then use_all(amounts(task.resources), 1) end
end

-- The next prune fails what runs where it has no stake.
-- …  numbers of tasks that the worker is to run, all with this stakeholder set
local function note_orphaned_runs(worker, stakeholder_set, ...)
  if not worker.assistant and not is_in_worker_set('stakeholder_set', stakeholder_set, worker.w) then
    call('SADD', key('orphaned_runs', ''), ...)
  end
end

-- entry  in a ready queue, as head_of gives it. `is_alone` is nil where that is not known.
local function hand_out(task, entry, worker)
  if loaded_tasks[task.id] then settle(task) end
  move_to_running(task, entry, worker)
  note_orphaned_runs(worker, task.stakeholder_set, task.n)
  record_event(task.id, task.family, 'PENDING', 'RUNNING', worker.id)
  call('HSET', key('task:', task.id), 'status', 'RUNNING', 'updated', NOW_TEXT, 'time_running', NOW_TEXT,
    'worker_running', worker.id, 'held', task.resources ~= '' and task.resources or NOTHING,
    'tally', task.runner_set .. 'R', 'ready', '', 'counted', '', 'attempt', task.attempt,
    task.ready_since and 'ready_since' or 'ready', '')
  if (task.batched or '') ~= '' then call('HSET', key('task:', task.id), 'batched', '') end
  note_metric('S', task.family, task.since)
end
