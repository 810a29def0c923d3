-- A script that includes this wakes the workers that wait for what it made possible, when it ends; see wakeups.lua.

-- @include lib/wakeups/wakeups.lua
-- @include lib/workers/runner_sets.lua
-- @rarely lib/wakeups/may_leave.lua
-- @rarely lib/wakeups/whom_to_wake.lua

-- @at_end wakeups wake_whom_it_concerns
local function wake_whom_it_concerns()
  if (next(wakeups.open_queues) or next(wakeups.freed)) and wakeups.is_anybody_waiting() then wake_up() end
  if wakeups.may_leave then wake_who_may_leave() end
end
