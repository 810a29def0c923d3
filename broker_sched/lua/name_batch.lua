-- Give a batch that get_work handed out its final id, md5 of the member ids, which a script can't compute.
-- When the caller dies before this, the worker never got its reply: its next get_work releases the members.
--
-- @args provisional_id batch_id
-- Reply the number of members
-- Cost  O(members)
-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/statuses.lua

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
