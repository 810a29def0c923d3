-- A script that includes this wakes the workers that wait for what it made possible, when it ends; see wakeups.lua.

-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/workers/workers.lua
-- @include lib/tasks/resources.lua
-- @lazy wake_who_may_leave lib/wakeups/may_leave.lua
-- @lazy wake_up lib/wakeups/whom_to_wake.lua

at_end[#at_end + 1] = function()
  if (next(wakeups.open_queues) or next(wakeups.freed)) and wakeups.is_anybody_waiting() then wake_up() end
  if wakeups.may_leave then wake_who_may_leave() end
end
