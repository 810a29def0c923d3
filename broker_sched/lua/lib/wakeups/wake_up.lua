-- At the end of every script that may have made work possible: wake who waits for it. See wakeups.lua.
-- @lazy wake_up lib/wakeups/whom_to_wake.lua

at_end[#at_end + 1] = function()
  if (next(wakeups.open_queues) or next(wakeups.freed)) and wakeups.is_anybody_waiting() then wake_up() end
end
