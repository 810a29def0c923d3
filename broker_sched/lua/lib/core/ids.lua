-- The id of a task is found by its number in the hash `ids`, which a script asks once for each.

-- @include lib/core/header.lua

local id_by_number = {}

-- The task's id; false when there is neither such a task nor such a missing dep.
local function id_of(n)
  if not id_by_number[n] then id_by_number[n] = call('HGET', key('ids', ''), n) end
  return id_by_number[n]
end

-- Ask for the ids of many at once.
local function look_up_ids(numbers)
  if #numbers == 0 then return end
  local ids = call('HMGET', key('ids', ''), unpack(numbers))
  for index, n in ipairs(numbers) do id_by_number[n] = ids[index] end
end
