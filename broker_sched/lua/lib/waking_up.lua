-- At the end of every script that may have made work possible: wake who waits for it. See waking.lua.
-- @lazy wake_up lib/whom_to_wake.lua

at_end[#at_end + 1] = function()
  if (next(waking.open_groups) or next(waking.freed)) and waking.is_anybody_waiting() then wake_up() end
end
