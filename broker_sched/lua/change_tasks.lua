-- Do what people ask with some tasks, each wholly or not at all, or say why not; as many as one short script can.
--
-- @args action dry_run by gone_count task_ids…
--   action      retry, forgive, enable, disable, done, stop, remove: see lib/tasks/operator_actions.lua
--   dry_run     1: change nothing, and answer as if it were 0
--   by          who asks, '' when that is not told
--   gone_count  so many of `task_ids`, the first ones, are taken for removed, and only the others are looked at
-- Reply { deferred steps left, for each task looked at, in their order, what became of it: '' it was changed, else
--       =<status, '' for none> <why not>, with '?' for '=' where that may be different when other tasks are removed }
-- Cost  O(tasks), and a budget of deferred steps
-- @include lib/core/header.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/operator_actions.lua
-- @include lib/deferred/run_deferred.lua

local BUDGET = 105 -- of deferred steps
local MOST = 300 -- steps: a task is one, and so is each of its edges that is looked at or removed

local function outcome_of(id, gone)
  local task = load_task(id)
  if not task then return '= There is no such task.', 1 end
  local reason, may_change, looked_at = reason_not_to(ARGS.action, task, gone)
  local steps = 1 + (looked_at or 0)
  if reason then return (may_change and '?' or '=') .. task.status .. ' ' .. reason, steps end
  if ARGS.action == 'remove' then steps = steps + call('SCARD', key('deps:', task.n)) end
  if ARGS.dry_run == '1' then
    gone[id] = true
  else
    task.by = ARGS.by
    act_on(ARGS.action, task)
    if not task.removed then finish_task(task) end
  end
  return '', steps
end

local function change_tasks()
  local reply, gone, steps, first = { 0 }, {}, 0, tonumber(ARGS.gone_count) + 1
  for index = 1, first - 1 do gone[ARGS.task_ids[index]] = true end
  for index = first, #ARGS.task_ids do
    local spent
    reply[#reply + 1], spent = outcome_of(ARGS.task_ids[index], gone)
    steps = steps + spent
    if steps >= MOST then break end
  end
  if ARGS.dry_run ~= '1' then reply[1] = run_deferred(BUDGET) end
  return reply
end

return answer(change_tasks)
