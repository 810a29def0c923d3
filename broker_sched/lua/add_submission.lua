-- Make a submission of the worker that has scheduled its tasks: it keeps its stake in them, and need not call any more.
--
-- @args submission tasks task_ids…
--   submission  the worker's id
--   tasks       the ids of the tasks asked for, as a JSON list; task_ids are the same
-- Reply its state, which a repeated call finds as it is by then; '' when there is no such worker, or it has no stake in
--       one of the tasks: it was forgotten for a while, and what it had scheduled before
-- Cost  O(tasks asked for)
-- @include lib/core/header.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/workers/workers.lua

local function holds_all(worker)
  for index = 1, #ARGS.task_ids do
    local stakeholder_set = call('HGET', key('task:', ARGS.task_ids[index]), 'stakeholder_set') or '0'
    if not is_in_worker_set('stakeholder_set', stakeholder_set, worker.w) then return false end
  end
  return true
end

return answer(function()
  local kept, worker = key('submission:', ARGS.submission), find_worker(ARGS.submission)
  if worker and not worker.submission then
    if not holds_all(worker) then return '' end
    call('HSET', key('worker:', worker.id), 'submission', '1')
    call('ZREM', key('workers', ''), worker.id)
    call('SADD', key('submissions', ''), worker.w)
    call('DEL', kept) -- of an earlier one of this id
    call('ZREM', key('ended_submissions', ''), worker.id)
    call('HSET', kept, 'state', 'ACTIVE', 'submitted', NOW_TEXT, 'tasks', ARGS.tasks)
  end
  return call('HGET', kept, 'state') or ''
end)
