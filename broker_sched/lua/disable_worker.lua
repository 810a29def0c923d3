-- Give a worker no more work. It leaves the workers of its tasks, but keeps its stake in them.
--
-- ARGV  6 worker
-- Reply the number of jobs left; -1 for a submission, which can only be cancelled
-- Cost  O(its crews), in bites
-- Source: luigi.scheduler.Scheduler.disable_worker, 3.8.1.
-- @include lib/header.lua
-- @include lib/crowds.lua
-- @include lib/workers.lua
-- @include lib/resources.lua
-- @include lib/tasks.lua
-- @lazy enter_batches, leave_batches, batch_signature lib/batch_index.lua
-- @include lib/placing.lua
-- @include lib/links.lua
-- @include lib/statuses.lua
-- @include lib/working_off.lua

local function disable_worker()
  local worker = get_worker(ARGV[6])
  if worker.submission then return -1 end
  worker.disabled = true
  call('HSET', key('worker:', worker.id), 'disabled', '1')
  if waking.is_anybody_waiting() then waking.wake(worker.w) end -- it shall find out, and leave
  add_job('quit', worker.w, string.format('%.0f', worker.weight))
  return work_off(150)
end

return answer(disable_worker)
