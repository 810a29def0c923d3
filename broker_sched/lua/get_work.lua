-- Hand out the best task, or batch, that this worker may run now.
--
-- @args worker host assistant is_pruned start_id always_tells_running tells_current_tasks current_tasks…
--   host            '' for null, else '=' and the text
--   assistant       0, 1
--   is_pruned       1 when the caller has just pruned, or was told to ask again; else 0
--   start_id        '' for none
--   always_tells_running  0: what runs is told only where nothing is handed out; else 1
--   tells_current_tasks  0 when the worker does not say which tasks it runs, else 1: `current_tasks` are their ids
-- Reply { state, pending, unique, last_scheduled, { task_id, worker, … }, { worker, {info…}, … }, kind, … }, kind is
--       none
--       replaced  another worker has its name by now. Nothing was done.
--       prune  prune_on_get_work is on: prune, then ask again. Nothing was done.
--       more   so far only tasks that this worker must not have, which stand apart now: ask again. No more was done.
--       task   task_id, family, module or '', params (JSON), attempt
--       batch  provisional batch id, family, module or '', batched names (JSON), { {task_id, params}, … }, attempt
-- Cost  O(runner sets and ready queues of the worker), O(log n) in ready tasks; with contested resources O(running
--       tasks + idle slots + ready queues).
-- Source: luigi.scheduler.Scheduler.get_work, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/counts.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/deferred/backlog.lua
-- @include lib/deferred/run_deferred.lua
-- @include lib/tasks/tasks.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/contact.lua
-- @include lib/hand_out/choosing.lua
-- @include lib/hand_out/one_task.lua
-- @rarely lib/hand_out/lost_runs.lua
-- @rarely lib/batches/batching.lua

local BUDGET = 60
local MAX_RUNNING = 100 -- on one worker: more are looked at one by one
local AS_ASSISTANT = ARGS.assistant == '1'

-- Whether a batch runs on this worker, and whether any worker waits. Mostly neither, and no deferred step waits, as one
-- command tells.
local function look_around()
  local batches = key('worker_batches:', ARGS.worker)
  local count = call('EXISTS', key('deferred_steps', ''), batches, key('idle', ''), key('idle_assistants', ''))
  if count == 0 then
    backlog.waiting = 0
    return false, false
  end
  local runs_batch = call('EXISTS', batches) == 1
  return runs_batch, count > (runs_batch and 1 or 0) + (has_backlog() and 1 or 0)
end

-- Does the worker name all that runs on it? Else something was lost.
local function names_all_that_runs(worker)
  local numbers, current = call('SMEMBERS', key('running:', worker.id)), {}
  if #numbers == 0 then return true end
  if #numbers > MAX_RUNNING then return false end
  for index = 1, #ARGS.current_tasks do current[ARGS.current_tasks[index]] = true end
  for _, id in ipairs(call('HMGET', key('ids', ''), unpack(numbers))) do
    if not current[id] then return false end
  end
  return true
end

-- What the worker lost on its way, to be handed out again; nil when it tells of nothing of the kind.
local function lost_by(worker, runs_batch)
  if ARGS.tells_current_tasks == '0' then return nil end
  if not runs_batch and names_all_that_runs(worker) then return nil end
  return find_lost(worker, BUDGET)
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

-- Others may take what this worker leaves.
local function wake_for_what_is_left(worker)
  for _, queue in ipairs(own_queues(worker, AS_ASSISTANT)) do wakeups.note(queue) end
end

-- @with look_around backlog touch_worker get_worker note_contact optional run_deferred has_backlog lost_by
-- @with names_all_that_runs choose has_to_look_at_each best_entry best_for own_queues runner_sets_of
-- @with runner_sets_by_number ready_queues queues_of best_head look_up_needs amounts needs_of needs_by_queue no_needs
-- @with look_up fits valid_head_of head_of heads read_ready_task number_in_rank id_of id_by_number attempt_after
-- @with count_for counters_of counters_by_runner_set COUNTERS add_running hand_out loaded_tasks move_to_running
-- @with note_orphaned_runs number_text count_in leave_queue is_in_worker_set record_event note_event note_metric
-- @with note_of keep_notes append_task params_text write_counters
local function hand_out_work()
  local runs_batch, is_anybody_waiting = look_around()
  local worker = touch_worker(ARGS.worker)
  note_contact(worker)
  if worker.disabled then return { 'disabled', 0, 0, 0, {}, {}, 'none' } end
  run_deferred(BUDGET)
  local lost, entry, may_be_more = lost_by(worker, runs_batch), nil, false
  if not lost and OPTIONS.paused ~= 1 then entry, may_be_more = choose(worker, AS_ASSISTANT) end
  if may_be_more then
    run_deferred(BUDGET) -- what was put right on the way is told to others
    return { 'active', 0, 0, 0, {}, {}, 'more' }
  end
  local task, batch, names_text = lost or (entry and read_ready_task(entry)), nil, nil
  if entry and (task.batched or '') ~= '' then batch, names_text = batch_of(task, entry, worker, AS_ASSISTANT) end
  if task and is_anybody_waiting then wake_for_what_is_left(worker) end
  local reply = count_for(worker, task and ARGS.always_tells_running == '0')
  reply[7] = 'none'
  if batch and #batch > 1 then
    append_batch(reply, batch, names_text, hand_out_batch(batch, worker))
  elseif lost then
    hand_out_again(lost)
    append_task(reply, lost)
  elseif task then
    hand_out(task, entry, worker)
    append_task(reply, task)
  end
  run_deferred(BUDGET)
  return reply
end

local function get_work()
  if OPTIONS.prune_on_get_work == 1 and ARGS.is_pruned == '0' then return { 'active', 0, 0, 0, {}, {}, 'prune' } end
  if is_replaced(find_worker(ARGS.worker), ARGS.start_id) then return { 'active', 0, 0, 0, {}, {}, 'replaced' } end
  return hand_out_work()
end

-- A repeated request is told what it was handed, not again what others run.
local function without_running(reply)
  local kept = {}
  for index, value in ipairs(reply) do kept[index] = value end
  kept[5], kept[6] = {}, {}
  return kept
end

-- Does what was handed out still run here, in that attempt? The worker may have been missed meanwhile.
local function is_still_handed_out(reply)
  local kind = reply[7]
  if kind ~= 'task' and kind ~= 'batch' then return true end
  local id = kind == 'task' and reply[8] or reply[12][1][1]
  local fields = call('HMGET', key('task:', id), 'status', 'worker_running', 'attempt')
  local is_so = fields[1] == (kind == 'task' and 'RUNNING' or 'BATCH_RUNNING') and fields[2] == ARGS.worker
    and fields[3] == reply[kind == 'task' and 12 or 13]
  -- It is asked anew, maybe by a copy that was held back: what the worker ran when it was sent tells nothing of now.
  if not is_so then ARGS.tells_current_tasks = '0' end
  return is_so
end

return answer(get_work, { 'prune_on_get_work', 'paused' }, without_running, is_still_handed_out)
