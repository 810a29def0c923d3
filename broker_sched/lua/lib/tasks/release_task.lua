-- A running task goes back to PENDING without a failure.

-- @include lib/core/header.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/statuses.lua

-- Of a batch, the members are to run again; the combined task goes, as one that failed, unless it is a member itself.
local function release(task)
  if task.status == 'RUNNING' and task.batch_id and task.batchable ~= '1' then
    pass_on_to_batch(task, 'PENDING')
    task.is_given_back = true
    set_status(task, 'FAILED')
    call('ZADD', key('due:remove', ''), NOW_TEXT, task.n)
  else
    set_status(task, 'PENDING')
  end
  set(task, 'worker_running', nil)
end
