-- A worker that is no assistant waits as long as tasks count for it (count_pending). Of the workers in
-- wakeups.may_leave, those for which none does any more are woken, so that they leave at once. Who is not noted there
-- asks on its own, some seconds later.

-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/workers/runner_sets.lua

local function has_tasks(w)
  for _, runner_set in ipairs(call('SMEMBERS', key('worker_runner_sets:', w))) do
    if counters_of(runner_set).counted > 0 then return true end
  end
  return false
end

local function wake_who_may_leave()
  for w in pairs(wakeups.may_leave) do
    if call('ZSCORE', key('idle', ''), w) and not has_tasks(w) then wakeups.wake(w) end
  end
end
