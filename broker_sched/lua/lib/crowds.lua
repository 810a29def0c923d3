-- Crowds: interned sets of workers. A task refers to two of them by number:
--   crew   the workers that can run it        crew:<c>, crew:<c>:workers, crews, worker_crews:<w>
--   claim  the workers that hold a stake in it claim:<c>, claim:<c>:workers, claims, worker_claims:<w>
-- A worker that leaves touches its crowds and never the tasks. Crowd '0' is nobody and has no keys.
--
-- A crowd is found by its key: the sum of its workers' random weights, modulo 2^52. Of two crowds with one key the
-- second is not interned; who joins tells them apart by size and by being a member itself.

-- @include lib/crews.lua

local WEIGHT_LIMIT = 4503599627370496
local joined = {} -- what join_crowd answered before, in this script

local function make_crowd(kind, from, w, crowd_key, size)
  local crowd = tostring(call('HINCRBY', key('counters', ''), kind, 1))
  local workers_key = key(kind, ':' .. crowd .. ':workers')
  call('HSET', key(kind, ':' .. crowd), 'key', crowd_key, 'size', size)
  if from ~= '0' then call('SUNIONSTORE', workers_key, key(kind, ':' .. from .. ':workers')) end
  call('SADD', workers_key, w)
  for _, member in ipairs(call('SMEMBERS', workers_key)) do
    call('SADD', key('worker_' .. kind .. 's:', member), crowd)
  end
  call('HSETNX', key(kind, 's'), crowd_key, crowd .. ' ' .. size)
  return crowd
end

local function find_or_make_crowd(kind, crowd, worker)
  if is_in_crowd(kind, crowd, worker.w) then return crowd end
  local old_key, size = 0, 0
  if crowd ~= '0' then
    local fields = call('HMGET', key(kind, ':' .. crowd), 'key', 'size')
    old_key, size = tonumber(fields[1]), tonumber(fields[2])
  end
  local crowd_key = string.format('%.0f', (old_key + worker.weight) % WEIGHT_LIMIT)
  local interned = call('HGET', key(kind, 's'), crowd_key)
  if interned then
    local found, found_size = string.match(interned, '^(%d+) (%d+)$')
    if tonumber(found_size) == size + 1 and is_in_crowd(kind, found, worker.w) then return found end
  end
  return make_crowd(kind, crowd, worker.w, crowd_key, size + 1)
end

-- The crowd that has this worker too. O(1); O(workers in it) the first time.
local function join_crowd(kind, crowd, worker)
  local memo = kind .. crowd .. ' ' .. worker.w
  local answer = joined[memo]
  if not answer then
    answer = find_or_make_crowd(kind, crowd, worker)
    joined[memo], joined[kind .. answer .. ' ' .. worker.w] = answer, answer
  end
  return answer
end

-- Is a crowd found under this key?
local function is_interned(kind, crowd_key, crowd)
  local interned = call('HGET', key(kind, 's'), crowd_key)
  return interned and string.match(interned, '^%d+') == crowd
end

-- Take a worker out of a crowd. Returns how many are left. O(1).
local function leave_crowd(kind, crowd, worker)
  local crowd_hash = key(kind, ':' .. crowd)
  local fields = call('HMGET', crowd_hash, 'key', 'size')
  if not fields[1] then return 0 end
  if call('SREM', key(kind, ':' .. crowd .. ':workers'), worker.w) == 0 then return tonumber(fields[2]) end
  local index, old_key, size = key(kind, 's'), fields[1], tonumber(fields[2]) - 1
  local new_key = string.format('%.0f', (tonumber(old_key) - worker.weight) % WEIGHT_LIMIT)
  if is_interned(kind, old_key, crowd) then call('HDEL', index, old_key) end
  call('HSETNX', index, new_key, crowd .. ' ' .. size)
  call('HSET', crowd_hash, 'key', new_key, 'size', size)
  if kind == 'crew' and counters_by_crew[crowd] then counters_by_crew[crowd].size = size end
  joined = {}
  return size
end

-- Forget a crowd that no task refers to. O(workers in it).
local function drop_crowd(kind, crowd)
  local crowd_hash = key(kind, ':' .. crowd)
  local workers_key = key(kind, ':' .. crowd .. ':workers')
  local crowd_key = call('HGET', crowd_hash, 'key')
  for _, member in ipairs(call('SMEMBERS', workers_key)) do
    call('SREM', key('worker_' .. kind .. 's:', member), crowd)
  end
  if crowd_key and is_interned(kind, crowd_key, crowd) then call('HDEL', key(kind, 's'), crowd_key) end
  call('DEL', crowd_hash, workers_key)
  if kind == 'crew' then counters_by_crew[crowd] = nil end
  joined = {}
end

-- Move a task from one crew to another; '0' is none. The crew hash counts its tasks.
local function change_crew(old, new)
  if new ~= '0' then count_in(new, 'tasks', 1) end
  if old ~= '0' and count_in(old, 'tasks', -1) <= 0 then drop_crowd('crew', old) end
end

-- Move a task from one claim to another; '0' is none. Each claim keeps the set of its tasks.
local function change_claim(n, old, new)
  if new ~= '0' then call('SADD', key('claim:', new .. ':tasks'), n) end
  if old ~= '0' then
    local tasks_key = key('claim:', old .. ':tasks')
    call('SREM', tasks_key, n)
    if call('EXISTS', tasks_key) == 0 then drop_crowd('claim', old) end
  end
end
