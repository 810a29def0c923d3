-- Worker sets are interned sets of workers. A task refers to two of them by number: its runner set, the workers that
-- can run it, and its stakeholder set, the workers that hold a stake in it. With either word as <kind>:
--
--   <kind>:<number>          hash: key, size, and of a runner set the sums of its tasks
--   <kind>:<number>:workers  set of its workers' numbers
--   <kind>s                  hash, key → '<number> <size>'
--   worker_<kind>s:<w>       set of the numbers of those that worker w is in
--
-- A worker that leaves touches its worker sets and never the tasks. Worker set '0' is nobody and has no keys.
--
-- A worker set is found by its key: the sum of its workers' random weights, modulo 2^52. Of two worker sets with one
-- key the second is not interned; who joins tells them apart by size and by being a member itself.

-- @include lib/core/header.lua
-- @include lib/workers/runner_sets.lua

local WEIGHT_LIMIT = 4503599627370496
local joined = {} -- what join_worker_set answered before, in this script

local function make_worker_set(kind, from, w, worker_set_key, size)
  local worker_set = tostring(call('HINCRBY', key('counters', ''), kind, 1))
  local workers_key = key(kind, ':' .. worker_set .. ':workers')
  call('HSET', key(kind, ':' .. worker_set), 'key', worker_set_key, 'size', size)
  if from ~= '0' then call('SUNIONSTORE', workers_key, key(kind, ':' .. from .. ':workers')) end
  call('SADD', workers_key, w)
  for _, member in ipairs(call('SMEMBERS', workers_key)) do
    call('SADD', key('worker_' .. kind .. 's:', member), worker_set)
  end
  call('HSETNX', key(kind, 's'), worker_set_key, worker_set .. ' ' .. size)
  return worker_set
end

local function find_or_make_worker_set(kind, worker_set, worker)
  if is_in_worker_set(kind, worker_set, worker.w) then return worker_set end
  local old_key, size = 0, 0
  if worker_set ~= '0' then
    local fields = call('HMGET', key(kind, ':' .. worker_set), 'key', 'size')
    old_key, size = tonumber(fields[1]), tonumber(fields[2])
  end
  local worker_set_key = string.format('%.0f', (old_key + worker.weight) % WEIGHT_LIMIT)
  local interned = call('HGET', key(kind, 's'), worker_set_key)
  if interned then
    local found, found_size = string.match(interned, '^(%d+) (%d+)$')
    if tonumber(found_size) == size + 1 and is_in_worker_set(kind, found, worker.w) then return found end
  end
  return make_worker_set(kind, worker_set, worker.w, worker_set_key, size + 1)
end

-- The worker set that has this worker too. O(1); O(workers in it) the first time.
local function join_worker_set(kind, worker_set, worker)
  local memo = kind .. worker_set .. ' ' .. worker.w
  local found = joined[memo]
  if not found then
    found = find_or_make_worker_set(kind, worker_set, worker)
    joined[memo], joined[kind .. found .. ' ' .. worker.w] = found, found
  end
  return found
end

-- Is a worker set found under this key?
local function is_interned(kind, worker_set_key, worker_set)
  local interned = call('HGET', key(kind, 's'), worker_set_key)
  return interned and string.match(interned, '^%d+') == worker_set
end

-- Take a worker out of a worker set. Returns how many are left. O(1).
local function leave_worker_set(kind, worker_set, worker)
  local worker_set_hash = key(kind, ':' .. worker_set)
  local fields = call('HMGET', worker_set_hash, 'key', 'size')
  if not fields[1] then return 0 end
  if call('SREM', key(kind, ':' .. worker_set .. ':workers'), worker.w) == 0 then return tonumber(fields[2]) end
  local index, old_key, size = key(kind, 's'), fields[1], tonumber(fields[2]) - 1
  local new_key = string.format('%.0f', (tonumber(old_key) - worker.weight) % WEIGHT_LIMIT)
  if is_interned(kind, old_key, worker_set) then call('HDEL', index, old_key) end
  call('HSETNX', index, new_key, worker_set .. ' ' .. size)
  call('HSET', worker_set_hash, 'key', new_key, 'size', size)
  if kind == 'runner_set' and counters_by_runner_set[worker_set] then counters_by_runner_set[worker_set].size = size end
  joined = {}
  return size
end

-- Forget a worker set that no task refers to. O(workers in it).
local function drop_worker_set(kind, worker_set)
  local worker_set_hash = key(kind, ':' .. worker_set)
  local workers_key = key(kind, ':' .. worker_set .. ':workers')
  local worker_set_key = call('HGET', worker_set_hash, 'key')
  for _, member in ipairs(call('SMEMBERS', workers_key)) do
    call('SREM', key('worker_' .. kind .. 's:', member), worker_set)
  end
  if worker_set_key and is_interned(kind, worker_set_key, worker_set) then
    call('HDEL', key(kind, 's'), worker_set_key)
  end
  call('DEL', worker_set_hash, workers_key)
  if kind == 'runner_set' then counters_by_runner_set[worker_set] = nil end
  joined = {}
end

-- Move a task from one runner set to another; '0' is none. The runner set hash counts its tasks.
local function change_runner_set(old, new)
  if new ~= '0' then count_in(new, 'tasks', 1) end
  if old ~= '0' and count_in(old, 'tasks', -1) <= 0 then drop_worker_set('runner_set', old) end
end

-- Move a task from one stakeholder set to another; '0' is none. Each stakeholder set keeps the set of its tasks.
local function change_stakeholder_set(n, old, new)
  if new ~= '0' then call('SADD', key('stakeholder_set:', new .. ':tasks'), n) end
  if old ~= '0' then
    local tasks_key = key('stakeholder_set:', old .. ':tasks')
    call('SREM', tasks_key, n)
    if call('EXISTS', tasks_key) == 0 then drop_worker_set('stakeholder_set', old) end
  end
end
