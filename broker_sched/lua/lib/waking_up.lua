-- @lazy wake_up lib/whom_to_wake.lua

at_end[#at_end + 1] = function()
  if not (next(waking.open_groups) or next(waking.freed) or next(waking.freed_needs)) then return end
  if waking.is_anybody_waiting() then wake_up() end
end
