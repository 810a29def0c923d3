-- A bounded part of pruning; any process may do it.
--
-- @args budget
--   budget      about how many steps
-- Reply { 1 while there is more to do, else 0, ids of submissions that may be over }
-- Cost  O(budget)
-- Source: luigi.scheduler.Scheduler.prune, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/workers/submissions.lua
-- @rarely lib/tasks/pruning.lua

local MAX_SUBMISSIONS = 20 -- looked at in one call, whichever they are

-- Those whose tasks have all ended.
local function add_over(reply)
  for _, w in ipairs(call('SRANDMEMBER', key('submissions', ''), MAX_SUBMISSIONS)) do
    local id = call('HGET', key('worker_ids', ''), w)
    local submission = id and find_submission(id)
    if submission and is_over(submission) then reply[#reply + 1] = id end
  end
  return reply
end

return answer(function()
  local more = prune(tonumber(ARGS.budget))
  if more == 1 or call('EXISTS', key('submissions', '')) == 0 then return { more } end
  return add_over({ more })
end)
