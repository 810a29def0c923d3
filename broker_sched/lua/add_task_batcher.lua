-- Register which parameters of a family a worker takes as lists, and how many tasks at once.
--
-- ARGV  6 worker  7 family  8 maximum  9 batched parameters (JSON list, sorted)
-- Reply the number of deferred steps left
-- Cost  O(1); indexing the family's ready batchable tasks for new names is a deferred step
-- Source: luigi.scheduler.Scheduler.add_task_batcher, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/workers/worker_sets.lua
-- @include lib/workers/workers.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/tasks.lua
-- @lazy enter_batches, leave_batches, batch_signature lib/batches/batch_index.lua
-- @include lib/tasks/placing.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/statuses.lua
-- @include lib/deferred/run_deferred.lua

local function add_task_batcher()
  call('HSET', key('batchers:', ARGV[6]), ARGV[7], ARGV[8] .. ' ' .. ARGV[9])
  if ARGV[9] ~= '[]' and call('SADD', key('batch_names:', ARGV[7]), ARGV[9]) == 1 then
    add_deferred_step('reindex_batches', '0', ARGV[7])
  end
  return run_deferred(150)
end

return answer(add_task_batcher)
