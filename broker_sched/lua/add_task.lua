-- Create or update a task, report its status, sign the worker up for it: one atomic step.
-- What many deps or dependents need beyond a budget becomes deferred steps; the reply says how many are left.
--
-- @args task_id worker status runnable assistant has_new_deps attempt priority family module params
-- @args param_visibilities accepts_messages tracking_url batchable batch_id expl resources retry_policy
-- @args replaces_deps deps_token owners date deps…
--   status          a status, or SUSPENDED
--   runnable, assistant, has_new_deps: 0, 1
--   attempt         of the run that is reported on, '' for none
--   family          '' for null
--   module, params (JSON), param_visibilities (JSON), tracking_url, batch_id, expl: '' for null, else '=' and the text
--   accepts_messages, batchable: 0, 1, '' for null
--   resources, owners: JSON, '' for none
--   date            that `params` name (scheduler/dates.py), '' for none
--   retry_policy    '<retry_count>|<disable_hard_timeout>|<disable_window>', each may be empty; '' for none
--   replaces_deps   1 when `deps` take the place of those that the task has, 0 when they come on top
--   deps_token      '' when `deps` names them, else the token under which they are staged, see stage_deps.lua
-- Reply the number of deferred steps left; -1 when the run is superseded, and nothing was changed.
-- Cost  O(deps), at most the caller's chunk of them, and a budget of deferred steps.
-- Source: luigi.scheduler.Scheduler.add_task, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/tasks/adding.lua
-- @include lib/tasks/plain_task.lua
-- @rarely lib/hand_out/paused_families.lua

-- Nothing but that a task is to be run, and what it depends on?
local function is_plain_report()
  return ARGS.status == 'PENDING' and ARGS.runnable == '1' and ARGS.assistant == '0' and ARGS.has_new_deps == '0'
    and ARGS.attempt == '' and ARGS.param_visibilities == '' and ARGS.tracking_url == '' and ARGS.batchable ~= '1'
    and ARGS.batch_id == '' and ARGS.expl == '' and ARGS.deps_token == ''
    and tonumber(ARGS.priority) >= OPTIONS.lowest_priority
    and (OPTIONS.paused_families == '' or not is_paused(ARGS.family))
end

local function add_task()
  return is_plain_report() and add_plain_task() or add_any_task()
end

return answer(add_task, { 'stable_done_cooldown_secs', 'lowest_priority' })
