-- Removing a task and everything kept for it. Dependents stay: for them its id becomes a missing dep, an unmet dep.

-- @include lib/core/header.lua
-- @include lib/core/events.lua
-- @include lib/core/ids.lua
-- @include lib/workers/worker_sets.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/placing.lua
-- @include lib/deferred/backlog.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/statuses.lua

local MAX_DEPS_AT_ONCE = 100

local function drop_deps(task)
  if call('SCARD', key('deps:', task.n)) > MAX_DEPS_AT_ONCE then return set_deps_aside(task.n) end
  for _, dep in ipairs(call('SMEMBERS', key('deps:', task.n))) do unlink(task.n, dep) end
end

-- O(deps), up to MAX_DEPS_AT_ONCE; more of them, and its dependents, become deferred steps.
local function remove_task(task)
  local n, old = task.n, task.status
  leave_status(task)
  task.status = 'REMOVED'
  place_task(task)
  change_runner_set(task.runner_set, '0')
  change_stakeholder_set(n, task.stakeholder_set, '0')
  for _, due in ipairs({ 'due:retry', 'due:enable', 'due:remove', 'due:postponed' }) do
    call('ZREM', key(due, ''), n)
  end
  call('SREM', key('without_stakeholders', ''), n)
  call('SREM', key('orphaned_runs', ''), n)
  drop_deps(task)
  for token in string.gmatch(task.linking or '', '%S+') do call('DEL', key('staged:', token)) end
  call('DEL', key('task:', task.id), key('detail:', task.id), key('unmet:', n), key('blockers:', n),
    key('failures:', n), key('attempts:', n))
  task.removed = true
  loaded_tasks[task.id], id_by_number[n] = nil, nil
  if call('EXISTS', key('dependents:', n)) == 1 then
    call('HSET', key('missing_deps', ''), task.id, n)
    if task.was_done or task.was_blocking then add_deferred_step('tell_dependents', n, 'db', '0') end
  else
    call('HDEL', key('ids', ''), n)
  end
  record_event(task.id, task.family or '', old, task.status, task.worker_running or '', task.by,
    is_run(old) and task.time_running)
end
