-- Crews, as far as they are only read and counted in: the sums of the tasks of one, and who is in it. See crowds.lua.

local COUNTERS = { 'tasks', 'pending', 'with_resources', 'counted' }

local counters_by_crew = {}

local function is_in_crowd(kind, crowd, w)
  return crowd ~= '0' and call('SISMEMBER', key(kind, ':' .. crowd .. ':workers'), w) == 1
end

-- The counters of a crew, and its size: numbers by name. Read once; what is counted is written when the script ends.
local function counters_of(crew)
  local counters = counters_by_crew[crew]
  if not counters then
    local values = call('HMGET', key('crew:', crew), 'size', unpack(COUNTERS))
    counters = { size = tonumber(values[1]), changes = {} }
    for index, name in ipairs(COUNTERS) do counters[name] = tonumber(values[index + 1] or 0) end
    counters_by_crew[crew] = counters
  end
  return counters
end

local function count_in(crew, name, amount)
  local counters = counters_of(crew)
  counters[name] = counters[name] + amount
  counters.changes[name] = true
  return counters[name]
end

at_end[#at_end + 1] = function()
  for crew, counters in pairs(counters_by_crew) do
    local write = {}
    for name in pairs(counters.changes) do
      write[#write + 1] = name
      write[#write + 1] = counters[name]
    end
    if #write > 0 then call('HSET', key('crew:', crew), unpack(write)) end
  end
end
