-- Change a task's status by hand: forgive_failures, mark_as_done, re_enable_task, release_task.
--
-- @args task_id action worker attempt
--   action      forgive (FAILED → PENDING, its failures still count), done (RUNNING, FAILED or DISABLED → DONE), enable
--               (a scheduler disable → FAILED, its failures forgotten), release (RUNNING, or BATCH_RUNNING, on that
--               worker → PENDING, no failure)
--   worker      of release, else ''
--   attempt     of the run that is released, '' for none
-- Reply { status or '' when unknown, 1 when re-enabled else 0; -1 when the run is superseded, deferred steps left,
--         1 when the status was changed else 0 }
-- Cost  O(1) and a budget of deferred steps
-- Source: luigi.scheduler.Scheduler.forgive_failures, mark_as_done, re_enable_task, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/statuses.lua
-- @include lib/tasks/release_task.lua
-- @include lib/tasks/superseded.lua
-- @include lib/deferred/run_deferred.lua

local DONE_FROM = { RUNNING = true, FAILED = true, DISABLED = true }
local IS_RUNNING = { RUNNING = true, BATCH_RUNNING = true }

local function change_status()
  local task, action = load_task(ARGS.task_id), ARGS.action
  if not task then return { '', 0, 0, 0 } end
  if action == 'release' and is_older(ARGS.attempt, task.attempt) then
    local refused = refuse_superseded(task.id, task.family or '', task.status, ARGS.worker, ARGS.attempt, action)
    return { task.status, refused, 0, 0 }
  end
  local re_enabled, before = 0, task.status
  if action == 'forgive' and task.status == 'FAILED' then
    set_status(task, 'PENDING')
  elseif action == 'done' and DONE_FROM[task.status] then
    task.is_marked = true
    set_status(task, 'DONE')
  elseif action == 'release' and IS_RUNNING[task.status] and task.worker_running == ARGS.worker then
    release(task)
  elseif action == 'enable' and task.status == 'DISABLED' and task.disabled_at then
    re_enable(task)
    re_enabled = 1
  end
  finish_task(task)
  return { task.status, re_enabled, run_deferred(105), task.status ~= before and 1 or 0 }
end

return answer(change_status)
