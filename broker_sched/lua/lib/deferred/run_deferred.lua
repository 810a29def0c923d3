-- @lazy run_deferred_steps lib/deferred/deferred_steps.lua
-- @lazy wake_who_may_leave lib/wakeups/may_leave.lua
-- @include lib/wakeups/wake_up.lua

-- Do up to `budget` steps of what waits, this script's own deferred steps first. Returns the number of deferred steps
-- left.
local function run_deferred(budget)
  if #todo == 0 and not has_backlog() then return 0 end
  return run_deferred_steps(budget)
end

at_end[#at_end + 1] = function()
  if at_end.may_leave then wake_who_may_leave() end
end
