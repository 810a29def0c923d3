-- A task is the hash task:<task_id>, with what is long or rare in detail:<task_id>. Inside sets it is its number n
-- (hash `ids`: n → task_id). Inside sorted sets it is its rank, which orders tasks of equal priority: the number under
-- which it was created, ten digits; '<that number>:<n>' for a task that was named before it was created. `missing_deps`
-- (task_id → n) are ids that tasks depend on and that are not there: never added, or removed.
--
-- A script changes a task through the one table that load_task gives, and ends with finish_task.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/workers/worker_sets.lua
-- @include lib/tasks/listing.lua

-- Names of fields, with spaces around them, that say where it is indexed. '' is nowhere: a task that is not indexed any
-- more has its change written with the other ones, in one command.
local PLACES = ' tally counted ready ready_since batched blocked '

local function is_place(name)
  return string.find(PLACES, ' ' .. name .. ' ', 1, true) ~= nil
end

local loaded_tasks = {}
-- What is known in this script, by number: is there unmet:<n>, blockers:<n>; was a blocker lost, and it was not yet
-- asked what is behind the others.
local known_edges = { unmet = {}, blockers = {}, lost_blocker = {} }
local CHANGED = 'changed' -- in place of what was known, or could be known from the task's places

local function look_for(known, kind, n)
  local found = known[n]
  if found == nil or found == CHANGED then
    found = call('EXISTS', key(kind, n)) == 1
    known[n] = found
  end
  return found
end

local function has_unmet(n)
  return look_for(known_edges.unmet, 'unmet:', n)
end

local function is_blocked(n)
  return look_for(known_edges.blockers, 'blockers:', n)
end

-- The task's edges change: what is known of them is so no more.
function known_edges.forget(n)
  known_edges.unmet[n], known_edges.blockers[n] = CHANGED, CHANGED
end

-- A PENDING task that is counted has no dep that blocks it; one that is ready has no unmet dep at all.
local function note_places(n, status, ready, counted)
  if known_edges.blockers[n] ~= nil or status ~= 'PENDING' then return end
  local is_ready = (ready or '') ~= ''
  if is_ready or (counted or '') ~= '' then known_edges.blockers[n] = false end
  if is_ready and known_edges.unmet[n] == nil then known_edges.unmet[n] = false end
end

-- Is this task a reason that those above it are UPSTREAM_DISABLED?
local function is_blocking(task)
  return task.status == 'DISABLED' or (task.status == 'PENDING' and is_blocked(task.n))
end

-- The task's state (see listing.lua), as its fields have it.
local function state_in_fields(task)
  if task.status ~= 'PENDING' then return task.status end
  return task.ready and 'READY' or task.blocked and 'BLOCKED' or 'WAITING'
end

-- Where the task is listed, before the script changes it.
local function note_listing(task)
  task.state, task.listed_family, task.listed_date = state_in_fields(task), task.family or '', task.date
  task.since = task.ready_since or task.updated
end

-- The task, or nil when it is not there. Always the same table within a script.
local function load_task(id)
  local task = loaded_tasks[id]
  if task then return task end
  local flat = call('HGETALL', key('task:', id))
  if not flat[1] then return nil end
  task = { -- with room for more than 16 fields, else Lua would make it anew as they come
    id = id, runner_set = '0', stakeholder_set = '0', resources = '', changes = {}, n = nil, rank = nil, status = nil,
    priority = nil, created = nil, updated = nil, family = nil, workers = nil, last = nil, state = nil, since = nil,
    was_done = nil,
  }
  for index = 1, #flat, 2 do
    local value = flat[index + 1]
    if value ~= '' or not is_place(flat[index]) then task[flat[index]] = value end
  end
  task.rank = task.rank or task.n
  task.was_done = task.status == 'DONE'
  task.old_status = task.status
  note_listing(task)
  note_places(task.n, task.status, task.ready, task.counted)
  task.was_blocking = is_blocking(task)
  loaded_tasks[id], id_by_number[task.n] = task, id
  return task
end

-- What a task is to those that depend on it: { id, n, status, priority, stakeholder set }; nil when it is not there.
local function load_as_dep(id)
  if loaded_tasks[id] then return loaded_tasks[id] end
  local fields = call('HMGET', key('task:', id), 'n', 'status', 'priority', 'stakeholder_set', 'ready', 'counted')
  if not fields[1] then return nil end
  note_places(fields[1], fields[2], fields[5], fields[6])
  return { id = id, n = fields[1], status = fields[2], priority = fields[3], stakeholder_set = fields[4] or '0' }
end

-- Change a field; nil (or false) removes it.
local function set(task, name, value)
  if not value then value = nil end
  if task[name] == value then return end
  task[name] = value
  task.changes[name] = true
end

-- Is this what a task without the field has?
local function is_neutral(name, value)
  if value == '0' then return name == 'runner_set' or name == 'stakeholder_set' end
  return value == '' and name == 'resources'
end

-- Write what was changed.
local function flush(task)
  local write, remove = {}, {}
  for name in pairs(task.changes) do
    local value = task[name]
    if value == nil and is_place(name) then value = '' end
    if value == nil or is_neutral(name, value) then
      remove[#remove + 1] = name
    else
      write[#write + 1] = name
      write[#write + 1] = value
    end
  end
  task.changes = {}
  if #write > 0 then call('HSET', key('task:', task.id), unpack(write)) end
  if #remove > 0 then call('HDEL', key('task:', task.id), unpack(remove)) end
end

-- The number that stands for this id, whether the task exists or not; made when there is none.
local function number_of(id)
  if loaded_tasks[id] then return loaded_tasks[id].n end
  local n = call('HGET', key('task:', id), 'n') or call('HGET', key('missing_deps', ''), id)
  if n then return n end
  n = tostring(call('HINCRBY', key('counters', ''), 'task', 1))
  call('HSET', key('ids', ''), n, id)
  call('HSET', key('missing_deps', ''), id, n)
  return n
end

-- Forget a missing dep that no task depends on any more.
local function drop_unneeded_missing_dep(n)
  if call('EXISTS', key('dependents:', n)) == 1 then return end
  local id = id_of(n)
  if id and call('HDEL', key('missing_deps', ''), id) == 1 then call('HDEL', key('ids', ''), n) end
  id_by_number[n] = nil
end

-- No task ever had a lower priority: who has it need not look whether to raise its deps.
local function note_lowest_priority(priority)
  if tonumber(priority) < OPTIONS.lowest_priority then
    OPTIONS.lowest_priority = tonumber(priority)
    call('HSET', key('config', ''), 'lowest_priority', priority)
  end
end

-- A new task, written by flush; finish_task lists it, a placeholder is listed here. `priority` is a number's text;
-- `number` its place in the order of creation, nil to be the last.
local function create_task(id, status, priority, number)
  local missing_dep = call('HGET', key('missing_deps', ''), id)
  local seq = number or tostring(call('HINCRBY', key('counters', ''), 'task', 1))
  if missing_dep then
    call('HDEL', key('missing_deps', ''), id)
  else
    call('HSET', key('ids', ''), seq, id)
  end
  local n = missing_dep or seq
  local task = {
    id = id, n = n, rank = missing_dep and (seq .. ':' .. n) or n, status = status, priority = priority,
    created = NOW_TEXT, updated = NOW_TEXT, runner_set = '0', stakeholder_set = '0', resources = '', is_new = true,
    was_missing_dep = missing_dep ~= false, was_done = false, was_blocking = false, old_status = status,
    changes = { n = true, status = true, priority = true, created = true, updated = true },
  }
  if missing_dep then task.changes.rank = true end -- else it is n
  if not missing_dep then known_edges.unmet[n], known_edges.blockers[n] = false, false end
  if status == 'UNKNOWN' then
    call('ZADD', key('tasks:', 'UNKNOWN:'), NOW_TEXT, n)
    enter_family('')
    note_listing(task)
  end
  note_lowest_priority(priority)
  loaded_tasks[id], id_by_number[n] = task, id
  return task
end

-- The numbers of the workers that can run it, first to join first.
local function workers_of(task)
  local workers = {}
  if task.workers and task.runner_set ~= '0' then
    for w in string.gmatch(task.workers, '%d+') do
      if is_in_worker_set('runner_set', task.runner_set, w) then workers[#workers + 1] = w end
    end
  end
  return workers
end

local function params_text(task)
  return task.params or call('HGET', key('detail:', task.id), 'params') or '{}'
end

-- Let a worker run the task. Joining again changes nothing.
local function join_workers(task, worker)
  if is_in_worker_set('runner_set', task.runner_set, worker.w) then return end
  local runner_set = join_worker_set('runner_set', task.runner_set, worker)
  local workers = workers_of(task)
  workers[#workers + 1] = worker.w
  local old = task.runner_set
  set(task, 'workers', table.concat(workers, ','))
  set(task, 'last', worker.w)
  task.last_is_live = true
  set(task, 'runner_set', runner_set)
  task.left_runner_set = task.left_runner_set or old
end

-- Give a worker a stake in the task, so that it is not removed while the worker lives.
local function join_stakeholder_set(task, worker)
  local stakeholder_set = join_worker_set('stakeholder_set', task.stakeholder_set, worker)
  if stakeholder_set == task.stakeholder_set then return end
  change_stakeholder_set(task.n, task.stakeholder_set, stakeholder_set)
  set(task, 'stakeholder_set', stakeholder_set)
end

-- A stake, and a part in the sums of those that can run the task, where there are any.
local function join_both(task, worker)
  join_stakeholder_set(task, worker)
  if task.runner_set ~= '0' then join_workers(task, worker) end
end

local function is_stakeholder(task, worker)
  return worker ~= nil and is_in_worker_set('stakeholder_set', task.stakeholder_set, worker.w)
end
