-- Give a worker no more work. It leaves the workers of its tasks, but keeps its stake in them.
--
-- @args worker
-- Reply the number of deferred steps left; -1 for a submission, which can only be cancelled
-- Cost  O(its runner sets), in parts
-- Source: luigi.scheduler.Scheduler.disable_worker, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/workers/workers.lua
-- @include lib/deferred/backlog.lua
-- @include lib/deferred/run_deferred.lua

local function disable_worker()
  local worker = get_worker(ARGS.worker)
  if worker.submission then return -1 end
  worker.disabled = true
  call('HSET', key('worker:', worker.id), 'disabled', '1')
  if wakeups.is_anybody_waiting() then wakeups.wake(worker.w) end -- it shall find out, and leave
  add_deferred_step('disable_worker', worker.w, string.format('%.0f', worker.weight))
  return run_deferred(105)
end

return answer(disable_worker)
