-- Make a submission of the worker that has scheduled its tasks: it keeps its stake in them, and need not call any more.
--
-- ARGV  6 submission, the worker's id  7 the tasks asked for (JSON)
-- Reply 1; 0 when there is no such worker, or no longer
-- Cost  O(1)
-- @include lib/header.lua
-- @include lib/workers.lua

return answer(function()
  local worker = find_worker(ARGV[6])
  if not worker then return 0 end
  if worker.submission then return 1 end
  call('HSET', key('worker:', worker.id), 'submission', '1')
  call('ZREM', key('workers', ''), worker.id)
  call('SADD', key('submissions', ''), worker.w)
  call('HSET', key('submission:', worker.id), 'state', 'ACTIVE', 'submitted', NOW_TEXT, 'tasks', ARGV[7])
  return 1
end)
