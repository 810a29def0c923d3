-- Removing a task and everything kept for it. Dependents stay: for them its id becomes a ghost, an unmet dep.

local MAX_DEPS_AT_ONCE = 100

local function drop_deps(task)
  if call('SCARD', key('deps:', task.n)) > MAX_DEPS_AT_ONCE then return set_deps_aside(task.n) end
  for _, dep in ipairs(call('SMEMBERS', key('deps:', task.n))) do unlink(task.n, dep) end
end

-- O(deps), up to MAX_DEPS_AT_ONCE; more of them, and its dependents, become jobs.
local function remove_task(task)
  local n, old = task.n, task.status
  leave_status(task)
  call('SREM', key('tasks:', old), n)
  task.status = 'REMOVED'
  place_task(task)
  change_crew(task.crew, '0')
  change_claim(n, task.claim, '0')
  for _, due in ipairs({ 'due:retry', 'due:enable', 'due:remove', 'due:deferred' }) do call('ZREM', key(due, ''), n) end
  call('SREM', key('unclaimed', ''), n)
  call('SREM', key('strays', ''), n)
  drop_deps(task)
  for token in string.gmatch(task.linking or '', '%S+') do call('DEL', key('staged:', token)) end
  call('DEL', key('task:', task.id), key('detail:', task.id), key('unmet:', n), key('blockers:', n),
    key('failures:', n))
  task.removed = true
  loaded_tasks[task.id], id_by_number[n] = nil, nil
  if call('EXISTS', key('dependents:', n)) == 1 then
    call('HSET', key('ghosts', ''), task.id, n)
    if task.was_done or task.was_blocking then add_job('edges', n, 'db', '0') end
  else
    call('HDEL', key('ids', ''), n)
  end
  record_event(task.id, old, task.status, task.worker_running or '')
end
