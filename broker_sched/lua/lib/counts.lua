-- What a worker still has to do: sums over its crews, never over tasks. O(its crews + what is running in them).
-- Reply: { state, pending, unique, last_scheduled, { task_id, worker, task_id, worker, … }, { worker, {info…}, … } }
-- Source: luigi.scheduler.Scheduler.count_pending, 3.8.1.

local crews_by_number = {}

local function crews_of(worker)
  local crews = crews_by_number[worker.w]
  if not crews then
    crews = call('SMEMBERS', key('worker_crews:', worker.w))
    crews_by_number[worker.w] = crews
  end
  return crews
end

-- Luigi: a runner that is unknown becomes known.
local function add_running(crew, running, infos, seen)
  local flat = call('HGETALL', key('crew:', crew .. ':running'))
  local size = #running
  for index = 1, #flat, 2 do
    local runner = flat[index + 1]
    running[size + index], running[size + index + 1] = flat[index], runner
    if not seen[runner] then
      seen[runner] = true
      get_worker(runner)
      infos[#infos + 1] = runner
      infos[#infos + 1] = call('HGETALL', key('worker_info:', runner))
    end
  end
end

local function count_for(worker)
  local pending, unique, last_scheduled = 0, 0, 0
  local running, infos, seen = {}, {}, {}
  for _, crew in ipairs(crews_of(worker)) do
    local counters = counters_of(crew)
    local counted = counters.counted
    pending = pending + counted
    if counters.size == 1 then unique = unique + counted end
    if counted > 0 then
      last_scheduled = last_scheduled + call('SCARD', key('counted:', crew .. ':' .. worker.w))
    end
    add_running(crew, running, infos, seen)
  end
  return { worker.disabled and 'disabled' or 'active', pending, unique, last_scheduled, running, infos }
end

-- Not an assistant, and none of its PENDING tasks needs resources.
local function is_trivial(worker)
  if worker.assistant then return false end
  for _, crew in ipairs(crews_of(worker)) do
    if counters_of(crew).with_resources > 0 then return false end
  end
  return true
end
