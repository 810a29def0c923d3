-- Hand out the best task, or batch, that this worker may run now.
--
-- ARGV  6 worker  7 host ('' or '=host')  8 assistant: 0, 1; 0p, 1p when just pruned
--       9 current tasks: '' for null, else their number  10… the current tasks
-- Reply { state, pending, unique, last_scheduled, { task_id, worker, … }, { worker, {info…}, … }, kind, … }, kind is
--       none
--       prune  prune_on_get_work is on and much is due: prune, then ask again. Nothing else was done.
--       task   task_id, family, module or '', params (JSON)
--       batch  provisional batch id, family, module or '', batched names (JSON), { {task_id, params}, … }
-- Cost  O(crews and groups of the worker), O(log n) in ready tasks; with contested resources O(running tasks +
--       idle slots + groups).
-- Source: luigi.scheduler.Scheduler.get_work, 3.8.1.
-- @include lib/header.lua
-- @include lib/crowds.lua
-- @include lib/workers.lua
-- @include lib/resources.lua
-- @include lib/tasks.lua
-- @lazy enter_batches, leave_batches, batch_signature lib/batch_index.lua
-- @include lib/placing.lua
-- @include lib/links.lua
-- @include lib/statuses.lua
-- @include lib/working_off.lua
-- @include lib/counts.lua
-- @include lib/choosing.lua
-- @lazy batch_of, hand_out_batch lib/batching.lua
-- @lazy prune lib/pruning.lua

local BUDGET = 60
local AS_ASSISTANT = string.sub(ARGV[8], 1, 1) == '1'
local IS_PRUNED = string.sub(ARGV[8], 2) == 'p'

local function contact(worker)
  local fields = { 'last_get_work', NOW_TEXT }
  if ARGV[7] ~= '' then
    fields[3], fields[4] = 'host', optional(ARGV[7])
  end
  if AS_ASSISTANT and not worker.disabled and not worker.assistant then
    fields[#fields + 1], fields[#fields + 2] = 'assistant', '1'
    call('HSET', key('worker_info:', worker.id), 'assistant', 'true')
    worker.assistant = true
  end
  call('HSET', key('worker:', worker.id), unpack(fields))
end

-- The tasks that run on this worker according to us.
local function running_tasks(worker)
  local tasks = {}
  for index, n in ipairs(call('SMEMBERS', key('running:', worker.id))) do
    tasks[index] = load_task(id_of(n))
  end
  return tasks
end

-- The best-ranked of them that does not run according to the worker: its hand-out was lost.
local function lost_task(tasks)
  local current, best = {}, nil
  for index = 10, #ARGV do current[ARGV[index]] = true end
  for _, task in ipairs(tasks) do
    if not current[task.id] then
      local entry = { score = -tonumber(task.priority), rank = task.rank, task = task }
      if not best or before(entry, best) then best = entry end
    end
  end
  return best and best.task
end

-- Members of batches whose combined task does not run go back to PENDING.
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

local function append_task(reply, task)
  reply[7], reply[8], reply[9] = 'task', task.id, task.family or ''
  reply[10], reply[11] = task.module or '', params_text(task)
end

local function append_batch(reply, batch, names_text, batch_id)
  local best = batch[1]
  reply[7], reply[8], reply[9] = 'batch', batch_id, best.family or ''
  reply[10], reply[11], reply[12] = best.module or '', names_text, {}
  for index, task in ipairs(batch) do reply[12][index] = { task.id, params_text(task) } end
end

local function get_work()
  if OPTIONS.prune_on_get_work == 1 and not IS_PRUNED and prune(BUDGET) > 0 then
    return { 'active', 0, 0, 0, {}, {}, 'prune' }
  end
  local worker = touch_worker(ARGV[6])
  contact(worker)
  if worker.disabled then return { 'disabled', 0, 0, 0, {}, {}, 'none' } end
  work_off(BUDGET)

  local lost
  if ARGV[9] ~= '' then
    local tasks = running_tasks(worker)
    lost = lost_task(tasks)
    release_orphaned_batches(worker, tasks)
    work_off(BUDGET)
  end
  local batch, names_text = { lost }, nil
  if not lost and OPTIONS.paused ~= 1 then
    local best = choose(worker, AS_ASSISTANT)
    batch[1] = best
    if best and best.batchable == '1' then batch, names_text = batch_of(best, worker) end
  end
  if batch[1] and waking.is_anybody_waiting() then -- others may take what this one leaves
    for _, group in ipairs(own_groups(worker, AS_ASSISTANT)) do waking.note(group) end
  end
  local reply = count_for(worker)
  reply[7] = 'none'
  if #batch > 1 then
    append_batch(reply, batch, names_text, hand_out_batch(batch, worker))
  elseif batch[1] then
    hand_out(batch[1], worker)
    append_task(reply, batch[1])
  end
  work_off(BUDGET)
  return reply
end

-- A repeated request is told what it was handed, not again what others run.
local function without_running(reply)
  local kept = {}
  for index, value in ipairs(reply) do kept[index] = value end
  kept[5], kept[6] = {}, {}
  return kept
end

return answer(get_work, { 'prune_on_get_work', 'paused' }, without_running)
