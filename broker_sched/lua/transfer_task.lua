-- A run goes on on another worker, as the same attempt: from now on that one runs the task. Of a batch, the combined
-- task moves with all its members.
--
-- @args task_id worker to attempt host start_id
--   worker      who was handed the task
--   to          who runs it from now on: a known worker that is an assistant, or has a stake in the task
--   host        of `to`, '' for null, else '=' and the text
--   start_id    of `to`, '' for none
-- Reply { kind, … }, kind is
--       task        what get_work counts for `to` (see counts.lua), family, module or '', params (JSON), batch id
--                   or '', { id of a member, … }. Also when it runs there already
--       superseded  this attempt does not run on `worker`, nor on `to`
--       member      batch id: the task is part of a batch, whose combined task is to be moved
--       unknown, replaced, submission, disabled, no stake   why `to` can't run it
--       In all but the first two, nothing was changed.
-- Cost  O(members of the batch), and of counting as for get_work
-- @include lib/core/header.lua
-- @include lib/core/events.lua
-- @include lib/core/ids.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/counts.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/superseded.lua

local function is_this_attempt(task)
  return (task.status == 'RUNNING' or task.status == 'BATCH_RUNNING') and task.attempt == ARGS.attempt
    and (task.worker_running == ARGS.worker or task.worker_running == ARGS.to)
end

-- The task and, of a batch, its members: all that moves.
local function tasks_of_run(task)
  local moved = { task }
  for _, n in ipairs(task.batch_id and call('SMEMBERS', key('batch:', task.batch_id)) or {}) do
    moved[#moved + 1] = load_task(id_of(n))
  end
  return moved
end

-- Why the worker can't run these tasks; nil when it can. One that is neither an assistant nor a stakeholder would lose
-- them with the next prune.
local function why_not(worker, tasks)
  if worker.submission then return 'submission' end
  if worker.disabled then return 'disabled' end
  for _, task in ipairs(tasks) do
    if not worker.assistant and not is_stakeholder(task, worker) then return 'no stake' end
  end
end

-- The indexes of what runs where. Resources are held by the task, wherever it runs.
local function move(task, to)
  local from = task.worker_running
  if task.status == 'RUNNING' then
    call('SMOVE', key('running:', from), key('running:', to), task.n)
    local runner_set = string.match(task.tally or '', '^(%d+)R$')
    if runner_set then call('HSET', key('runner_set:', runner_set .. ':running'), task.id, to) end
  else
    local batches = key('worker_batches:', from)
    if call('HINCRBY', batches, task.batch_id, -1) <= 0 then call('HDEL', batches, task.batch_id) end
    call('HINCRBY', key('worker_batches:', to), task.batch_id, 1)
  end
  set(task, 'worker_running', to)
  flush(task)
end

local function note_host(worker)
  if ARGS.host ~= '' then call('HSET', key('worker:', worker.id), 'host', optional(ARGS.host)) end
end

local function reply_of(task, moved, worker)
  local members = {}
  for index = 2, #moved do members[index - 1] = moved[index].id end
  table.sort(members)
  return { 'task', count_for(worker), task.family or '', task.module or '', params_text(task), task.batch_id or '',
    members }
end

local function transfer_task()
  local worker = find_worker(ARGS.to)
  if not worker then return { 'unknown' } end
  if is_replaced(worker, ARGS.start_id) then return { 'replaced' } end
  local task = load_task(ARGS.task_id)
  if not task or not is_this_attempt(task) then
    local family, status = task and task.family or '', task and task.status or ''
    refuse_superseded(ARGS.task_id, family, status, worker.id, ARGS.attempt, 'transfer')
    return { 'superseded' }
  end
  if task.status == 'BATCH_RUNNING' then return { 'member', task.batch_id } end
  local moved = tasks_of_run(task)
  if task.worker_running ~= worker.id then
    local why = why_not(worker, moved)
    if why then return { why } end
    for _, each in ipairs(moved) do move(each, worker.id) end
    note_event(task.id, task.family or '', task.status, task.status, worker.id, 'asked', 'transfer')
  end
  touch_worker(worker.id)
  note_host(worker)
  return reply_of(task, moved, worker)
end

-- A repeated request is told that it was moved, not again what others run.
local function without_running(reply)
  if reply[1] ~= 'task' then return reply end
  local kept = { unpack(reply) }
  kept[2] = { unpack(reply[2]) }
  kept[2][5], kept[2][6] = {}, {}
  return kept
end

-- Does what was moved still run there? If not, a copy must not move it once more: it has ended, or went on elsewhere.
local function is_still_there(reply)
  if reply[1] ~= 'task' then return true end
  local fields = call('HMGET', key('task:', ARGS.task_id), 'worker_running', 'attempt')
  if fields[1] == ARGS.to and fields[2] == ARGS.attempt then return true end
  ARGS.worker = ARGS.to -- from where nothing is moved: so it is superseded
  return false
end

return answer(transfer_task, {}, without_running, is_still_there)
