-- The worker set of some workers at once, for a task that is brought in with all who can run it, or have a stake in it.
-- Nobody is a worker set, too: that of a task whose workers have all left, which any assistant can run.

-- @include lib/core/header.lua
-- @include lib/workers/worker_sets.lua

local known_sets = {} -- by kind and the workers' numbers, in this script

local function has_exactly(kind, worker_set, workers)
  for _, worker in ipairs(workers) do
    if call('SISMEMBER', key(kind, ':' .. worker_set .. ':workers'), worker.w) == 0 then return false end
  end
  return true
end

local function make_set_of(kind, worker_set_key, workers)
  local worker_set = tostring(call('HINCRBY', key('counters', ''), kind, 1))
  call('HSET', key(kind, ':' .. worker_set), 'key', worker_set_key, 'size', #workers)
  for _, worker in ipairs(workers) do
    call('SADD', key(kind, ':' .. worker_set .. ':workers'), worker.w)
    call('SADD', key('worker_' .. kind .. 's:', worker.w), worker_set)
  end
  call('HSETNX', key(kind, 's'), worker_set_key, worker_set .. ' ' .. #workers)
  return worker_set
end

-- The number of the worker set that has exactly these workers, made if there is none. O(workers).
local function worker_set_of(kind, workers)
  local sum, numbers = 0, {}
  for index, worker in ipairs(workers) do
    sum, numbers[index] = (sum + worker.weight) % WEIGHT_LIMIT, worker.w
  end
  local memo = kind .. table.concat(numbers, ',')
  if not known_sets[memo] then
    local worker_set_key = string.format('%.0f', sum)
    local found, size = string.match(call('HGET', key(kind, 's'), worker_set_key) or '', '^(%d+) (%d+)$')
    local is_it = tonumber(size) == #workers and has_exactly(kind, found, workers)
    known_sets[memo] = is_it and found or make_set_of(kind, worker_set_key, workers)
  end
  return known_sets[memo]
end
