-- A runner set is the set of workers that can run a task (see worker_sets.lua). Here it is only read: who is in it, and
-- the sums of its tasks, which are also counted here.

-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua

local COUNTERS = { 'tasks', 'pending', 'with_resources', 'counted' }

local counters_by_runner_set = {}

local function is_in_worker_set(kind, worker_set, w)
  return worker_set ~= '0' and call('SISMEMBER', key(kind, ':' .. worker_set .. ':workers'), w) == 1
end

-- The counters of a runner set, and its size: numbers by name. Read once; what is counted is written when the script
-- ends.
local function counters_of(runner_set)
  local counters = counters_by_runner_set[runner_set]
  if not counters then
    local values = call('HMGET', key('runner_set:', runner_set), 'size', unpack(COUNTERS))
    counters = { size = tonumber(values[1]), changes = {} }
    for index, name in ipairs(COUNTERS) do counters[name] = tonumber(values[index + 1] or 0) end
    counters_by_runner_set[runner_set] = counters
  end
  return counters
end

local function count_in(runner_set, name, amount)
  local counters = counters_of(runner_set)
  counters[name] = counters[name] + amount
  counters.changes[name] = true
  if name == 'counted' and counters.counted == 0 then wakeups.note_without_tasks(runner_set) end
  return counters[name]
end

-- @at_end counters_by_runner_set write_counters
local function write_counters()
  for runner_set, counters in pairs(counters_by_runner_set) do
    local write = {}
    for name in pairs(counters.changes) do
      write[#write + 1] = name
      write[#write + 1] = counters[name]
    end
    if #write > 0 then call('HSET', key('runner_set:', runner_set), unpack(write)) end
  end
end
