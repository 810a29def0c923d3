-- Where a task is listed, for whoever looks: under its state and family. A state is a status, and PENDING split in
-- three: READY (it has no unmet dep), BLOCKED (a dep makes it UPSTREAM_DISABLED), WAITING (for other deps).
--
--   tasks:<STATE>:<family>  sorted set of numbers, by since when (s): field `ready_since` where a task has it, which is
--                           one that became ready later than PENDING, else `updated`. Family '' is none so far
--   families                set of the families that have tasks

-- @include lib/core/header.lua

local STATES = { 'READY', 'WAITING', 'BLOCKED', 'RUNNING', 'BATCH_RUNNING', 'DONE', 'FAILED', 'DISABLED', 'UNKNOWN' }
local REMEMBERED_SECONDS = 2592000 -- for so long what is known of a family outlives its last task

local listed_families = {} -- that are in the set `families`, as far as this script knows

-- A task has come to this family: it is listed, and what is known of it is kept.
local function enter_family(family)
  if listed_families[family] then return end
  listed_families[family] = true
  if call('SADD', key('families', ''), family) == 0 then return end
  call('PERSIST', key('family:', family))
  call('PERSIST', key('run_times:', family))
end

-- A task of this state has left this family, perhaps as the last one.
local function leave_family(state, family)
  if call('EXISTS', key('tasks:', state .. ':' .. family)) == 1 then return end
  local keys = {}
  for index, each in ipairs(STATES) do keys[index] = key('tasks:', each .. ':' .. family) end
  if call('EXISTS', unpack(keys)) > 0 then return end
  listed_families[family] = nil
  call('SREM', key('families', ''), family)
  call('EXPIRE', key('family:', family), REMEMBERED_SECONDS)
  call('EXPIRE', key('run_times:', family), REMEMBERED_SECONDS)
end
