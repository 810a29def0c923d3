-- What became of runs, for whoever looks: a task's last ones, and each failure.
--
--   attempts:<n>     list of the task's last runs, oldest first, each JSON: [attempt, started (s), ended (s), how,
--                    worker, host, error line or ""]. How: DONE, FAILED, DISABLED; PENDING when it was given back,
--                    WAITING when its run() wanted more deps. The run that made a task DONE stands in the task's own
--                    fields (attempt, time_running, updated, worker_running), and here when it is DONE no more
--   failed_runs      stream, each failure
--   family:<family>  hash: `last_error`, the error line of its last failure, `last_failed` (s), `last_failed_task`

-- @include lib/core/header.lua
-- @include lib/workers/workers.lua
-- @include lib/tasks/error_texts.lua
-- @include lib/tasks/run_counts.lua

local MAX_ATTEMPTS = 20

-- The worker of a run and its host; '' for what is not known.
local function place_of_run(task)
  local id = task.worker_running or ''
  local worker = id ~= '' and find_worker(id)
  return id, task.lost_host or worker and worker.host or ''
end

local function keep_attempt(task, ended_at, how, line)
  local worker_id, host = place_of_run(task)
  local times = (task.attempt or 'null') .. ',' .. (task.time_running or 'null') .. ',' .. ended_at
  local texts = string.sub(cjson.encode({ how, worker_id, host, line }), 2)
  local attempts = key('attempts:', task.n)
  local count = call('RPUSH', attempts, '[' .. times .. ',' .. texts)
  if count > MAX_ATTEMPTS then call('LPOP', attempts) end
end

-- The task is about to be DONE no more.
local function keep_done_run(task)
  local last = call('LINDEX', key('attempts:', task.n), -1)
  if last and string.match(last, '^%[(%d+)') == task.attempt then return end -- no run of its own made it DONE
  keep_attempt(task, task.updated, 'DONE', '')
end

-- The task's run has ended otherwise than DONE: it has its new status.
local function note_end_of_run(task)
  local how, line = task.status, ''
  if task.is_given_back then how = 'PENDING' end
  if how == 'PENDING' and task.wants_deps then how = 'WAITING' end
  if how == 'FAILED' or how == 'DISABLED' then line = task.error_line or error_line(task) end
  keep_attempt(task, NOW_TEXT, how, line)
end

-- The task fails, and is disabled when that was once too often.
local function note_failed_run(task, is_disabled)
  local family, line, worker_id, host, attempt = task.family or '', error_line(task), '', '', ''
  if task.status == 'RUNNING' or task.status == 'BATCH_RUNNING' then
    worker_id, host = place_of_run(task)
    attempt = task.attempt or ''
  end
  task.error_line = line
  call('XADD', key('failed_runs', ''), 'MAXLEN', '~', 10000, '*', 'task_id', task.id, 'family', family,
    'worker', worker_id, 'host', host, 'attempt', attempt, 'status', is_disabled and 'DISABLED' or 'FAILED',
    'error', line, 'time', NOW_TEXT)
  call('HSET', key('family:', family), 'last_error', line, 'last_failed', NOW_TEXT, 'last_failed_task', task.id)
  run_counts.add('FAILED')
  run_counts.add('failed:' .. family)
  if worker_id ~= '' then run_counts.add('failed_on:' .. worker_id) end
end
