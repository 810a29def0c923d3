-- Give a batch that get_work handed out its final id, md5 of the member ids, which a script can't compute.
-- When the caller dies before this, the worker never got its reply: its next get_work releases the members.
--
-- @args provisional_id batch_id
-- Reply the number of members
-- Cost  O(members)
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

local function name_batch()
  local numbers = call('SMEMBERS', key('batch:', ARGS.provisional_id))
  for _, n in ipairs(numbers) do
    local task = load_task(id_of(n))
    leave_status(task)
    set(task, 'batch_id', ARGS.batch_id)
    enter_status(task)
    flush(task)
  end
  return #numbers
end

return answer(name_batch)
