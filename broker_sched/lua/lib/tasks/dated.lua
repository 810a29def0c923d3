-- Where a task with a date stands, beside its place in listing.lua, for whoever looks at a family's days. Its date is
-- the field `date`, set with its parameters, which never change (scheduler/dates.py says which date that is).
--
--   dated:<STATE>:<date>:<family>  set of numbers: so how many there are is known, and which
--   months:<family>                hash, month → how many of the family's tasks have a date in it
--
-- A task without a date costs nothing of this, so the functions are made where one with a date comes. Those
-- that are handed out are moved in lib/hand_out/one_task.lua and lib/batches/batching.lua.

-- @include lib/core/header.lua

local function dated_key(state, date, family)
  return key('dated:', state .. ':' .. date .. ':' .. family)
end

local function enter_date(n, state, date, family)
  call('SADD', dated_key(state, date, family), n)
  call('HINCRBY', key('months:', family), string.sub(date, 1, 7), 1)
end

local function leave_date(n, state, date, family)
  local months, month = key('months:', family), string.sub(date, 1, 7)
  call('SREM', dated_key(state, date, family), n)
  if call('HINCRBY', months, month, -1) <= 0 then call('HDEL', months, month) end
end

-- A task that was listed in the old state and family is in the new ones; nil: it was in none, or is in none any more.
local function list_date(task, old_state, old_family, state, family)
  local n, date, old_date = task.n, task.date, task.listed_date
  if old_date and old_state and state and old_family == family then
    if state ~= old_state then call('SMOVE', dated_key(old_state, date, family), dated_key(state, date, family), n) end
    return
  end
  if old_date and old_state then leave_date(n, old_state, old_date, old_family) end
  if state then enter_date(n, state, date, family) end
  task.listed_date = state and date
end
