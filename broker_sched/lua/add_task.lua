-- Create or update a task, report its status, sign the worker up for it: one atomic step.
-- What many deps or dependents need beyond a budget becomes deferred steps; the reply says how many are left.
--
-- ARGV  6 task_id  7 worker  8 status  9 flags: r runnable, a assistant, n has new deps; then the
--       number of the attempt that is reported on, where one is given  10 priority  11 family
--       12 module  13 params (JSON)  14 param_visibilities (JSON)  15 accepts_messages: '', 0, 1
--       16 tracking_url  17 batchable: '', 0, 1  18 batch_id  19 expl  20 resources (JSON, '' for none)
--       21 retry policy '<count>|<hard timeout>|<window>' or ''  22 number of deps, '' to leave them
--       23 token of staged deps or ''  24 owners (JSON, '' for none)  25… the deps, then the new deps
--       12, 13, 14, 16, 18 and 19 are '' for null, else '=' and the text.
-- Reply the number of deferred steps left; -1 when the run is superseded, and nothing was changed.
-- Cost  O(deps), at most the caller's chunk of them, and a budget of deferred steps.
-- Source: luigi.scheduler.Scheduler.add_task, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/core/events.lua
-- @lazy add_plain_task lib/tasks/plain_task.lua
-- @lazy add_any_task lib/tasks/adding.lua

-- Nothing but that a task is to be run, and what it depends on?
local function is_plain_report()
  return ARGV[8] == 'PENDING' and ARGV[9] == 'r' and ARGV[14] == '' and ARGV[16] == '' and ARGV[17] ~= '1'
    and ARGV[18] == '' and ARGV[19] == '' and ARGV[23] == '' and tonumber(ARGV[10]) >= OPTIONS.lowest_priority
end

local function add_task()
  return is_plain_report() and add_plain_task() or add_any_task()
end

return answer(add_task, { 'stable_done_cooldown_secs', 'lowest_priority' })
