-- get_work for what most calls of it are: a known, enabled worker, which lost nothing, is given one ready task of its
-- own, or nothing. Whatever is not that plain is found out before a task changes, and left to any_work.lua, which has
-- every rule; both write the same.

-- @include lib/core/header.lua
-- @include lib/core/events.lua
-- @include lib/core/ids.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/counts.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/attempts.lua
-- @include lib/tasks/metric_notes.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/best_head.lua
-- @include lib/hand_out/contact.lua

local MAX_RUNNING = 100 -- on one worker

-- Whether deferred steps wait or a batch runs on this worker, and whether any worker waits. Mostly nothing of all that
-- is there, as one command tells.
local function look_around()
  local steps, batches = key('deferred_steps', ''), key('worker_batches:', ARGS.worker)
  local count = call('EXISTS', steps, batches, key('idle', ''), key('idle_assistants', ''))
  if count == 0 then return false, false end
  local found = call('EXISTS', steps, batches)
  return found > 0, count > found
end

-- Nothing that runs on this worker was lost: it names each itself, or does not tell.
local function knows_what_it_runs(worker)
  if ARGS.tells_current_tasks == '0' then return true end
  local numbers, current = call('SMEMBERS', key('running:', worker.id)), {}
  if #numbers == 0 then return true end
  if #numbers > MAX_RUNNING then return false end
  for index = 1, #ARGS.current_tasks do current[ARGS.current_tasks[index]] = true end
  for _, id in ipairs(call('HMGET', key('ids', ''), unpack(numbers))) do
    if not current[id] then return false end
  end
  return true
end

-- The task behind a head; nil when it may go in a batch, or its runner would have no stake in it.
local function read_plain_task(head, worker)
  local n = number_in_rank(head.rank)
  local id = id_of(n)
  local fields = call('HMGET', key('task:', id), 'runner_set', 'stakeholder_set', 'resources', 'counted', 'batchable',
    'family', 'module', 'params', 'attempt', 'ready_since', 'updated', 'date')
  local task = { n = n, id = id, runner_set = fields[1], resources = fields[3] or '', counted = fields[4],
    family = fields[6] or '', module = fields[7] or '', params = fields[8], attempt = attempt_after(fields[9]),
    ready_since = fields[10], updated = fields[11], date = fields[12] }
  if fields[5] == '1' or not is_in_worker_set('stakeholder_set', fields[2] or '0', worker.w) then return nil end
  task.params = task.params or call('HGET', key('detail:', id), 'params') or '{}'
  return task
end

-- Where a task stands that runs, and no longer where it stood when it was ready.
local function move_to_running(task, head, worker)
  local n, runner_set, queue = task.n, task.runner_set, head.queue
  call('ZREM', key('tasks:', 'READY:' .. task.family), n)
  call('ZADD', key('tasks:', 'RUNNING:' .. task.family), NOW_TEXT, n)
  if task.date then -- see lib/tasks/dated.lua
    local day = task.date .. ':' .. task.family
    call('SMOVE', key('dated:', 'READY:' .. day), key('dated:', 'RUNNING:' .. day), n)
  end
  call('SADD', key('running:', worker.id), n)
  call('ZADD', key('running', ''), number_text(head.score), head.rank)
  call('HSET', key('runner_set:', runner_set .. ':running'), task.id, worker.id)
  count_in(runner_set, 'pending', -1)
  if task.resources ~= '' then count_in(runner_set, 'with_resources', -1) end
  if task.counted and call('SREM', key('counted:', task.counted), n) == 1 then
    count_in(string.match(task.counted, '^%d+'), 'counted', -1)
  end
  call('ZREM', key('ready:', queue), head.rank)
  if head.is_alone then
    call('SREM', key('ready_queues', ''), queue)
    call('SREM', key('ready_queues:', runner_set), queue)
  end
  if task.resources ~= '' then use_all(amounts(task.resources), 1) end
  record_event(task.id, task.family, 'PENDING', 'RUNNING', worker.id)
end

local function hand_out_plainly(task, head, worker)
  move_to_running(task, head, worker)
  call('HSET', key('task:', task.id), 'status', 'RUNNING', 'updated', NOW_TEXT, 'time_running', NOW_TEXT,
    'worker_running', worker.id, 'held', task.resources ~= '' and task.resources or NOTHING,
    'tally', task.runner_set .. 'R', 'ready', '', 'counted', '', 'attempt', task.attempt,
    task.ready_since and 'ready_since' or 'ready', '')
  note_metric('S', task.family, task.ready_since ~= '' and task.ready_since or task.updated)
end

-- The reply; nil when the call is not that plain. Then at most the worker's contact was noted.
-- @with look_around knows_what_it_runs touch_worker get_worker note_contact optional best_for own_queues runner_sets_of
-- @with runner_sets_by_number ready_queues queues_of best_head look_up_needs amounts needs_of needs_by_queue no_needs
-- @with look_up fits valid_head_of head_of heads read_plain_task number_in_rank id_of id_by_number attempt_after
-- @with is_in_worker_set count_for counters_of counters_by_runner_set COUNTERS add_running hand_out_plainly
-- @with move_to_running number_text count_in record_event note_event note_metric write_counters
local function get_plain_work()
  if ARGS.assistant == '1' or OPTIONS.paused == 1 then return nil end
  local is_odd, is_anybody_waiting = look_around()
  if is_odd then return nil end
  local worker = find_worker(ARGS.worker)
  if not worker or worker.disabled or worker.refuses or not knows_what_it_runs(worker) then return nil end
  touch_worker(ARGS.worker)
  note_contact(worker)
  local head, is_contested, left = best_for(worker, false, 'first')
  local task = head and read_plain_task(head, worker)
  local needs_any_work = is_contested or (not head and left) or (head and not task)
  if needs_any_work or (task and is_anybody_waiting) then return nil end
  local reply = count_for(worker, task and ARGS.always_tells_running == '0')
  reply[7] = 'none'
  if task then
    hand_out_plainly(task, head, worker)
    reply[7], reply[8], reply[9], reply[10], reply[11] = 'task', task.id, task.family, task.module, task.params
    reply[12] = task.attempt
  end
  return reply
end
