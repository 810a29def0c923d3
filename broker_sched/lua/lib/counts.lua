-- What a worker still has to do: sums over its crews, never over tasks. O(its crews + what is running in them).
-- Reply: { state, pending, unique, last_scheduled, { {task_id, worker, {info…}}, … } }
-- Source: luigi.scheduler.Scheduler.count_pending, 3.8.1.

local function running_in(crew, list)
  for _, n in ipairs(call('SMEMBERS', key('crew:', crew .. ':running'))) do
    local task_id = call('HGET', key('ids', ''), n)
    local runner = get_worker(call('HGET', key('task:', task_id), 'worker_running'))
    list[#list + 1] = { task_id, runner.id, worker_info(runner.id) }
  end
end

local function count_for(worker)
  local pending, unique, last_scheduled, running = 0, 0, 0, {}
  for _, crew in ipairs(call('SMEMBERS', key('worker_crews:', worker.w))) do
    local fields = call('HMGET', key('crew:', crew), 'counted', 'size')
    local counted = tonumber(fields[1] or 0)
    pending = pending + counted
    if fields[2] == '1' then unique = unique + counted end
    if counted > 0 then
      last_scheduled = last_scheduled + call('SCARD', key('counted:', crew .. ':' .. worker.w))
    end
    running_in(crew, running)
  end
  return { worker.disabled and 'disabled' or 'active', pending, unique, last_scheduled, running }
end

-- Not an assistant, and none of its PENDING tasks needs resources.
local function is_trivial(worker)
  if worker.assistant then return false end
  for _, crew in ipairs(call('SMEMBERS', key('worker_crews:', worker.w))) do
    if tonumber(call('HGET', key('crew:', crew), 'with_resources') or 0) > 0 then return false end
  end
  return true
end
