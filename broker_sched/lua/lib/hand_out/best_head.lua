-- The best task that a worker may be given, as far as the heads of the ready queues tell.
-- Source of the rule: luigi.scheduler.Scheduler.get_work, 3.8.1; docs/architecture.md has the proofs.

-- @include lib/tasks/resources.lua
-- @include lib/hand_out/ready_queues.lua
-- @rarely lib/hand_out/rivals.lua

local MAX_STALE_HEADS = 20

-- The head of a ready queue, those put right on the way left out; nil also when there were too many of them: the next
-- calls go on.
-- is_stale  puts right a head whose deps have changed, and tells whether it did; nil where no deferred step waits
local function valid_head_of(queue, is_stale)
  for _ = 1, MAX_STALE_HEADS do
    local head = head_of(queue)
    if not head or not is_stale or not is_stale(head) then return head end
    heads[queue] = nil
  end
  return false
end

-- Read at once what these ready queues' needs have to be compared with.
local function look_up_needs(queues)
  local names, seen = {}, {}
  for _, queue in ipairs(queues) do
    for name in pairs(amounts(needs_of(queue))) do
      if not seen[name] then names[#names + 1] = name end
      seen[name] = true
    end
  end
  look_up(names)
end

-- The best head of these ready queues that fits beside what is in use.
local function best_head(queues, is_stale)
  local best
  look_up_needs(queues)
  for _, queue in ipairs(queues) do
    if fits(needs_of(queue)) then
      local head = valid_head_of(queue, is_stale)
      if head and (not best or before(head, best)) then best = head end
    end
  end
  return best
end

-- The best task that this worker may be given: its head, and whether better tasks may have to go first. nil when there
-- is none. Last, whether there are ready queues whose turn is when there is none.
-- turn  see own_queues; is_stale  see valid_head_of
local function best_for(worker, as_assistant, turn, is_stale)
  local queues, left = own_queues(worker, as_assistant, turn)
  local best = best_head(queues, is_stale)
  if not best then return nil, false, left end
  return best, best.needs ~= '' and has_runnable_rival(best, turn), left
end
