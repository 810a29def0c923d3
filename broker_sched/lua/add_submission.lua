-- Make a submission of the worker that has scheduled its tasks: it keeps its stake in them, and need not call any more.
--
-- ARGV  6 submission, the worker's id  7 the tasks asked for (JSON)
-- Reply its state, which a repeated call finds as it is by then; '' when there is no such worker, or no longer
-- Cost  O(1)
-- @include lib/header.lua
-- @include lib/workers.lua

return answer(function()
  local kept, worker = key('submission:', ARGV[6]), find_worker(ARGV[6])
  if worker and not worker.submission then
    call('HSET', key('worker:', worker.id), 'submission', '1')
    call('ZREM', key('workers', ''), worker.id)
    call('SADD', key('submissions', ''), worker.w)
    call('HSET', kept, 'state', 'ACTIVE', 'submitted', NOW_TEXT, 'tasks', ARGV[7])
  end
  return call('HGET', kept, 'state') or ''
end)
