-- Removing a task and everything kept for it. Dependents stay: for them its id becomes a ghost, an unmet dep.

local MAX_DEPS_AT_ONCE = 100

local function drop_deps(task)
  local deps_key = key('deps:', task.n)
  local count = call('SCARD', deps_key)
  if count > MAX_DEPS_AT_ONCE then
    if call('EXISTS', key('unlink:', task.n)) == 1 then
      call('SUNIONSTORE', key('unlink:', task.n), deps_key, key('unlink:', task.n))
      call('DEL', deps_key)
    else
      call('RENAME', deps_key, key('unlink:', task.n))
    end
    add_job('unlink', task.n)
  elseif count > 0 then
    for _, dep in ipairs(call('SMEMBERS', deps_key)) do unlink(task.n, dep) end
  end
end

-- O(1); a longer tail of deps or dependents becomes a job.
local function remove_task(task)
  local n, old = task.n, task.status
  leave_status(task)
  call('SREM', key('tasks:', old), n)
  task.status = 'REMOVED'
  place_task(task)
  change_crew(task.crew, '0')
  change_claim(n, task.claim, '0')
  for _, due in ipairs({ 'due:retry', 'due:enable', 'due:remove' }) do call('ZREM', key(due, ''), n) end
  call('SREM', key('unclaimed', ''), n)
  call('SREM', key('strays', ''), n)
  drop_deps(task)
  if task.linking then call('DEL', key('staged:', task.linking)) end
  call('DEL', key('task:', task.id), key('detail:', task.id), key('unmet:', n), key('blockers:', n),
    key('failures:', n), key('held:', n))
  task.removed = true
  loaded_tasks[task.id] = nil
  if call('EXISTS', key('dependents:', n)) == 1 then
    call('HSET', key('ghosts', ''), task.id, n)
    if task.was_done or task.was_blocking then add_job('edges', n, '0') end
  else
    call('HDEL', key('ids', ''), n)
  end
  record_event(task, old)
end
