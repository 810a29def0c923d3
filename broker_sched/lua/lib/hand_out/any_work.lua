-- get_work for every case: hand-outs that were lost, batches, assistants, deferred steps that wait, and better tasks
-- that have to go first.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/counts.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/statuses.lua
-- @include lib/deferred/run_deferred.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/choosing.lua
-- @include lib/hand_out/contact.lua
-- @rarely lib/batches/batching.lua

local BUDGET = 60
local AS_ASSISTANT = ARGS.assistant == '1'

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
  for index = 1, #ARGS.current_tasks do current[ARGS.current_tasks[index]] = true end
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
  reply[10], reply[11], reply[12] = task.module or '', params_text(task), task.attempt
end

local function append_batch(reply, batch, names_text, batch_id)
  local best = batch[1]
  reply[7], reply[8], reply[9] = 'batch', batch_id, best.family or ''
  reply[10], reply[11], reply[12] = best.module or '', names_text, {}
  for index, task in ipairs(batch) do reply[12][index] = { task.id, params_text(task) } end
  reply[13] = best.attempt
end

local function get_any_work()
  local worker = touch_worker(ARGS.worker)
  note_contact(worker)
  if worker.disabled then return { 'disabled', 0, 0, 0, {}, {}, 'none' } end
  run_deferred(BUDGET)

  local lost
  if ARGS.tells_current_tasks == '1' then
    local tasks = running_tasks(worker)
    lost = lost_task(tasks)
    release_orphaned_batches(worker, tasks)
    run_deferred(BUDGET)
  end
  local batch, names_text = { lost }, nil
  if not lost and OPTIONS.paused ~= 1 then
    local best, may_be_more = choose(worker, AS_ASSISTANT)
    if may_be_more then
      run_deferred(BUDGET) -- what was put right on the way is told to others
      return { 'active', 0, 0, 0, {}, {}, 'more' }
    end
    batch[1] = best
    if best and best.batchable == '1' then batch, names_text = batch_of(best, worker, AS_ASSISTANT) end
  end
  if batch[1] and wakeups.is_anybody_waiting() then -- others may take what this one leaves
    for _, queue in ipairs(own_queues(worker, AS_ASSISTANT)) do wakeups.note(queue) end
  end
  local reply = count_for(worker, batch[1] and ARGS.always_tells_running == '0')
  reply[7] = 'none'
  if #batch > 1 then
    append_batch(reply, batch, names_text, hand_out_batch(batch, worker))
  elseif batch[1] then
    hand_out(batch[1], worker)
    append_task(reply, batch[1])
  end
  run_deferred(BUDGET)
  return reply
end
