-- @lazy run_jobs lib/jobs.lua
-- @lazy let_go lib/letting_go.lua
-- @include lib/waking_up.lua

-- Do up to `budget` steps of what waits, this script's own jobs first. Returns the number of jobs left.
local function work_off(budget)
  if #todo == 0 and not has_backlog() then return 0 end
  return run_jobs(budget)
end

at_end[#at_end + 1] = function()
  if at_end.may_leave then let_go() end
end
