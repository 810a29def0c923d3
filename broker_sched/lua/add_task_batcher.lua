-- Register which parameters of a family a worker takes as lists, and how many tasks at once.
--
-- ARGV  6 worker  7 family  8 maximum  9 batched parameters (JSON list, sorted)
-- Reply the number of jobs left
-- Cost  O(1); indexing the family's ready batchable tasks for new names is a job
-- Source: luigi.scheduler.Scheduler.add_task_batcher, 3.8.1.
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

local function add_task_batcher()
  call('HSET', key('batchers:', ARGV[6]), ARGV[7], ARGV[8] .. ' ' .. ARGV[9])
  if ARGV[9] ~= '[]' and call('SADD', key('batch_names:', ARGV[7]), ARGV[9]) == 1 then
    add_job('rebatch', '0', ARGV[7])
  end
  return work_off(150)
end

return answer(add_task_batcher)
