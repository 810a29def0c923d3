-- A script that may leave deferred steps ends with run_deferred: it does a budget of its own, and then of those that
-- earlier calls left.

-- @include lib/deferred/backlog.lua
-- @rarely lib/deferred/deferred_steps.lua

-- Do up to `budget` steps of what waits, this script's own deferred steps first. Returns the number of deferred steps
-- left.
local function run_deferred(budget)
  if #backlog.own == 0 and not has_backlog() then return 0 end
  return run_deferred_steps(budget)
end
