-- add_task for what most calls of it are: an enabled worker reports a task that is to be run, which was unknown or a
-- placeholder so far, and of whose deps none needs more than a placeholder. All is decided before anything is written:
-- what is not that plain is left to adding.lua, which has every rule. Both write the same, this at half the cost.

-- @include lib/core/header.lua
-- @include lib/core/events.lua
-- @include lib/tasks/listing.lua
-- @include lib/tasks/dated.lua

local FIELDS_OF_PLACEHOLDER = 6 -- n, status, priority, created, updated, stakeholder set

-- The worker set that is this worker alone; false or nil when there is none yet.
local function worker_set_of_one(kind, w, weight)
  local worker_set = string.match(call('HGET', key(kind, 's'), weight) or '', '^(%d+) 1$')
  return worker_set and call('SISMEMBER', key(kind, ':' .. worker_set .. ':workers'), w) == 1 and worker_set
end

-- The task's fields, {} when it is unknown; nil when it is more than a placeholder in which this worker has a stake.
local function read_placeholder(size, stakeholder_sets, w)
  local fields = {}
  if size == 0 then return call('HEXISTS', key('missing_deps', ''), ARGS.task_id) == 0 and fields or nil end
  local flat = call('HGETALL', key('task:', ARGS.task_id))
  for index = 1, #flat, 2 do fields[flat[index]] = flat[index + 1] end
  local is_plain = fields.status == 'UNKNOWN' and fields.stakeholder_set
    and tonumber(fields.priority) == tonumber(ARGS.priority)
    and call('EXISTS', key('deps:', fields.n), key('unlink:', fields.n)) == 0
    and call('EXISTS', key('detail:', ARGS.task_id)) == 0
  if not is_plain then return nil end
  local stakeholder_set = fields.stakeholder_set
  stakeholder_sets[stakeholder_set] = stakeholder_sets[stakeholder_set]
    or call('SISMEMBER', key('stakeholder_set:', stakeholder_set .. ':workers'), w) == 1
  return stakeholder_sets[fields.stakeholder_set] and fields or nil
end

-- The deps, each { n, status, … }, n false where a placeholder is to be made; nil when one needs more: a stake for
-- this worker, a higher priority, or it blocks.
local function read_deps(stakeholder_sets, w)
  local deps, priority = {}, tonumber(ARGS.priority)
  for index = 1, #ARGS.deps do
    local id = ARGS.deps[index]
    local dep = call('HMGET', key('task:', id), 'n', 'status', 'priority', 'stakeholder_set', 'ready', 'counted')
    local status, stakeholder_set = dep[2], dep[4]
    if id == ARGS.task_id then return nil end
    if dep[1] then
      local may_block = status == 'PENDING' and (dep[5] or '') == '' and (dep[6] or '') == '' or status == 'DISABLED'
      if may_block or not stakeholder_set or tonumber(dep[3]) < priority then return nil end
      if stakeholder_sets[stakeholder_set] == nil then
        local workers = key('stakeholder_set:', stakeholder_set .. ':workers')
        stakeholder_sets[stakeholder_set] = call('SISMEMBER', workers, w) == 1
      end
      if not stakeholder_sets[stakeholder_set] then return nil end
    elseif call('HEXISTS', key('missing_deps', ''), id) == 1 then
      return nil
    end
    deps[#deps + 1] = dep
  end
  return deps
end

-- A number for a new task, and what every new task has.
local function write_new(id, stakeholder_set)
  local n = tostring(call('HINCRBY', key('counters', ''), 'task', 1))
  call('HSET', key('ids', ''), n, id)
  call('SADD', key('stakeholder_set:', stakeholder_set .. ':tasks'), n)
  return n
end

-- Returns whether all of them are DONE.
local function write_deps(n, deps, stakeholder_set)
  local numbers, unmet, made = {}, {}, {}
  for index, dep in ipairs(deps) do
    local id = ARGS.deps[index]
    local number = dep[1] or made[id]
    if not number then
      number = write_new(id, stakeholder_set)
      call('ZADD', key('tasks:', 'UNKNOWN:'), NOW_TEXT, number)
      enter_family('')
      call('HSET', key('task:', id), 'n', number, 'status', 'UNKNOWN', 'priority', ARGS.priority,
        'created', NOW_TEXT, 'updated', NOW_TEXT, 'stakeholder_set', stakeholder_set)
      made[id] = number
    end
    call('SADD', key('dependents:', number), n)
    numbers[index] = number
    if dep[2] ~= 'DONE' then unmet[#unmet + 1] = number end
  end
  if #numbers > 0 then call('SADD', key('deps:', n), unpack(numbers)) end
  if #unmet > 0 then call('SADD', key('unmet:', n), unpack(unmet)) end
  return #unmet == 0
end

local function write_ready(queue, runner_set, rank)
  local ready_key = key('ready:', queue)
  call('ZADD', ready_key, number_text(-tonumber(ARGS.priority)), rank)
  if call('ZCARD', ready_key) == 1 then
    call('SADD', key('ready_queues', ''), queue)
    call('SADD', key('ready_queues:', runner_set), queue)
  end
end

-- The sums of the runner set, as placing.lua keeps them.
local function count_task(runner_set, needs)
  local runner_set_key = key('runner_set:', runner_set)
  local sums = call('HMGET', runner_set_key, 'tasks', 'pending', 'counted', 'with_resources')
  call('HSET', runner_set_key,
    'tasks', (sums[1] or 0) + 1, 'pending', (sums[2] or 0) + 1, 'counted', (sums[3] or 0) + 1)
  if needs ~= '' then call('HSET', runner_set_key, 'with_resources', (sums[4] or 0) + 1) end
end

-- A placeholder becomes a task that is to be run.
local function fill_in(n)
  call('ZREM', key('tasks:', 'UNKNOWN:'), n)
  leave_family('UNKNOWN', '')
  call('ZREM', key('due:remove', ''), n)
  call('HDEL', key('detail:', ARGS.task_id), 'tracking_url')
  record_event(ARGS.task_id, ARGS.family, 'UNKNOWN', 'PENDING', '')
end

-- Names and values of the fields that are reported, where there is something in them.
local function reported_fields()
  local fields, module, params = {}, optional(ARGS.module), optional(ARGS.params)
  if ARGS.family ~= '' then fields[1], fields[2] = 'family', ARGS.family end
  if module and module ~= '' then fields[#fields + 1], fields[#fields + 2] = 'module', module end
  if params and #params > MAX_INLINE then
    call('HSET', key('detail:', ARGS.task_id), 'params', params)
  elseif params then
    fields[#fields + 1], fields[#fields + 2] = 'params', params
  end
  if ARGS.owners ~= '' then call('HSET', key('detail:', ARGS.task_id), 'owners', ARGS.owners) end
  if ARGS.accepts_messages == '1' then fields[#fields + 1], fields[#fields + 2] = 'accepts_messages', '1' end
  if ARGS.resources ~= '' then fields[#fields + 1], fields[#fields + 2] = 'resources', ARGS.resources end
  if ARGS.retry_policy ~= '' then fields[#fields + 1], fields[#fields + 2] = 'policy', ARGS.retry_policy end
  return fields
end

local function write_task(known, deps, w, stakeholder_set, runner_set)
  local n = known.n or write_new(ARGS.task_id, stakeholder_set)
  local task_key, needs = key('task:', ARGS.task_id), ARGS.resources
  local fields, tally, counted = reported_fields(), runner_set .. (needs == '' and 'p' or 'r'), runner_set .. ':' .. w
  local is_ready = write_deps(n, deps, stakeholder_set)
  call('ZADD', key('tasks:', (is_ready and 'READY:' or 'WAITING:') .. ARGS.family), NOW_TEXT, n)
  enter_family(ARGS.family)
  if ARGS.date ~= '' then
    enter_date(n, is_ready and 'READY' or 'WAITING', ARGS.date, ARGS.family)
    fields[#fields + 1], fields[#fields + 2] = 'date', ARGS.date
  end
  if is_ready then
    write_ready(runner_set .. '|' .. needs, runner_set, n)
    fields[#fields + 1], fields[#fields + 2] = 'ready', runner_set .. '|' .. needs
  end
  call('SADD', key('counted:', counted), n)
  count_task(runner_set, needs)
  if known.n then
    fill_in(n)
    call('HSET', task_key, 'status', 'PENDING', 'updated', NOW_TEXT, 'workers', w, 'last', w, 'runner_set', runner_set,
      'tally', tally, 'counted', counted, unpack(fields))
  else
    call('HSET', task_key, 'n', n, 'status', 'PENDING', 'priority', ARGS.priority, 'created', NOW_TEXT,
      'updated', NOW_TEXT, 'workers', w, 'last', w, 'runner_set', runner_set, 'stakeholder_set', stakeholder_set,
      'tally', tally, 'counted', counted, unpack(fields))
  end
end

-- Is the task ready, and are there workers that wait? They are to be woken.
local function wakes_others(deps)
  for _, dep in ipairs(deps) do
    if dep[2] ~= 'DONE' then return false end
  end
  return call('EXISTS', key('idle', ''), key('idle_assistants', '')) > 0
end

-- @with worker_set_of_one read_placeholder read_deps wakes_others write_task write_new reported_fields write_deps
-- @with write_ready count_task
-- Returns 0, the number of deferred steps left; nil when the report is not that plain, and nothing was written.
local function add_plain_task()
  local size = call('HLEN', key('task:', ARGS.task_id))
  if size ~= 0 and size ~= FIELDS_OF_PLACEHOLDER then return nil end
  if call('EXISTS', key('deferred_steps', ''), key('submissions', '')) > 0 then return nil end
  local worker = call('HMGET', key('worker:', ARGS.worker), 'w', 'weight', 'disabled', 'submission')
  local w, weight = worker[1], worker[2]
  if not w or worker[3] == '1' or worker[4] == '1' then return nil end
  local stakeholder_set = worker_set_of_one('stakeholder_set', w, weight)
  local runner_set = worker_set_of_one('runner_set', w, weight)
  if not stakeholder_set or not runner_set then return nil end
  local stakeholder_sets = { [stakeholder_set] = true } -- those that this worker is in
  local known = read_placeholder(size, stakeholder_sets, w)
  local deps = known and read_deps(stakeholder_sets, w)
  if not deps or wakes_others(deps) then return nil end
  call('ZADD', key('workers', ''), NOW_TEXT, ARGS.worker)
  write_task(known, deps, w, stakeholder_set, runner_set)
  return 0
end
