-- Give a batch that get_work handed out its final id, md5 of the member ids, which a script can't compute.
-- When the caller dies before this, the worker never got its reply: its next get_work releases the members.
--
-- @args worker provisional_id batch_id
-- Reply the number of members
-- Cost  O(members)
-- @include lib/core/header.lua

local function name_batch()
  local provisional, final = key('batch:', ARGS.provisional_id), key('batch:', ARGS.batch_id)
  local numbers = call('SMEMBERS', provisional)
  if #numbers == 0 then return 0 end
  local ids = call('HMGET', key('ids', ''), unpack(numbers))
  for _, id in ipairs(ids) do call('HSET', key('task:', id), 'batch_id', ARGS.batch_id) end
  call('SUNIONSTORE', final, final, provisional) -- an equal batch that was lost may have some still
  call('DEL', provisional)
  local batches = key('worker_batches:', ARGS.worker)
  call('HDEL', batches, ARGS.provisional_id)
  call('HINCRBY', batches, ARGS.batch_id, #numbers)
  return #numbers
end

return answer(name_batch)
