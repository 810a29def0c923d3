-- Register which parameters of a family a worker takes as lists, and how many tasks at once.
--
-- @args worker family max_batch_size batched_args
--   batched_args  names of parameters, as a JSON list, sorted
-- Reply the number of deferred steps left
-- Cost  O(1); indexing the family's ready batchable tasks for new names is a deferred step
-- Source: luigi.scheduler.Scheduler.add_task_batcher, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/deferred/backlog.lua
-- @include lib/deferred/run_deferred.lua

local function add_task_batcher()
  call('HSET', key('batchers:', ARGS.worker), ARGS.family, ARGS.max_batch_size .. ' ' .. ARGS.batched_args)
  if ARGS.batched_args ~= '[]' and call('SADD', key('batch_names:', ARGS.family), ARGS.batched_args) == 1 then
    add_deferred_step('reindex_batches', '0', ARGS.family)
  end
  return run_deferred(105)
end

return answer(add_task_batcher)
