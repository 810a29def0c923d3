-- From a task's number to its id: hash `ids`.

-- @include lib/core/header.lua

local id_by_number = {}

-- The task's id; false when there is neither such a task nor such a missing dep.
local function id_of(n)
  if not id_by_number[n] then id_by_number[n] = call('HGET', key('ids', ''), n) end
  return id_by_number[n]
end
