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
-- @include lib/hand_out/plain_work.lua
-- @rarely lib/hand_out/any_work.lua

local function get_work()
  if OPTIONS.prune_on_get_work == 1 and ARGS.is_pruned == '0' then return { 'active', 0, 0, 0, {}, {}, 'prune' } end
  if is_replaced(find_worker(ARGS.worker), ARGS.start_id) then return { 'active', 0, 0, 0, {}, {}, 'replaced' } end
  return get_plain_work() or get_any_work()
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
