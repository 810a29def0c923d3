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

-- The last task that counted in this crew does no more: its workers may wait for nothing (letting_go.lua). They are
-- noted now, since the crew may be gone at the end; in a table that all know, as Lua lets functions capture no more.
local function note_without_tasks(crew)
  if at_end.is_idle == nil then at_end.is_idle = call('EXISTS', key('idle', '')) == 1 end
  if not at_end.is_idle then return end
  at_end.may_leave = at_end.may_leave or {}
  for _, w in ipairs(call('SRANDMEMBER', key('crew:', crew .. ':workers'), 50)) do at_end.may_leave[w] = true end
end

local function count_in(crew, name, amount)
  local counters = counters_of(crew)
  counters[name] = counters[name] + amount
  counters.changes[name] = true
  if name == 'counted' and counters.counted == 0 then note_without_tasks(crew) end
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
