-- For each task that may be handed out now one waiting worker is woken: one of the task's own, else an assistant. So
-- few, since one is enough for a task. Who gets work wakes others in turn; where a woken worker dies first, the others
-- still ask on their own, some seconds later.

-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/workers/workers.lua
-- @include lib/tasks/resources.lua
-- @rarely lib/hand_out/paused_families.lua
-- @rarely lib/hand_out/restrictions.lua

local MAX_WOKEN = 50 -- by one script
local MAX_LOOKED_AT = 50 -- of a runner set's workers

-- Whether the worker may have the ready queue's tasks. Of those that stand with the others it finds out when it asks,
-- and sets apart what it must not have, which wakes the next one.
local function may_have(w, queue)
  if not string.find(queue, '^%d+@') then return true end
  local id = call('HGET', key('worker_ids', ''), w)
  local worker = id and find_worker(id)
  return worker and not ((worker.refuses or worker.modules) and refuses(worker, queue))
end

-- One of the runner set's own workers that waits; nil when none is found.
local function own_waiting(runner_set, queue)
  for _, w in ipairs(call('SRANDMEMBER', key('runner_set:', runner_set .. ':workers'), MAX_LOOKED_AT)) do
    local until_when = call('ZSCORE', key('idle', ''), w)
    if until_when and tonumber(until_when) > NOW and may_have(w, queue) then return w end
  end
  return nil
end

local function waiting_assistant(queue)
  local count = string.find(queue, '^%d+@') and MAX_LOOKED_AT or 1
  local waiting = call('ZREVRANGEBYSCORE', key('idle_assistants', ''), '+inf', '(' .. NOW_TEXT, 'LIMIT', 0, count)
  for _, w in ipairs(waiting) do
    if may_have(w, queue) then return w end
  end
  return nil
end

-- Wake for up to `count` tasks of a ready queue. Returns how many were woken.
local function wake_for(queue, count)
  local runner_set = string.match(queue, '^%d+')
  if runner_set == '0' then return 0 end
  count = math.min(count, call('ZCARD', key('ready:', queue)))
  for woken = 1, count do
    local w = own_waiting(runner_set, queue) or waiting_assistant(queue)
    if not w then return woken - 1 end
    wakeups.wake(w)
  end
  return count
end

-- The ready queues that need something of what was freed.
local function open_what_waited()
  for _, queue in ipairs(call('SMEMBERS', key('ready_queues', ''))) do
    for name in pairs(amounts(string.match(queue, '|(.*)$'))) do
      if wakeups.freed[name] then
        wakeups.note(queue)
        break
      end
    end
  end
end

local function wake_up()
  if call('HGET', key('config', ''), 'paused') == '1' then return end
  if next(wakeups.freed) then open_what_waited() end
  local left, may_be_paused = MAX_WOKEN, OPTIONS.paused_families ~= ''
  for queue, count in pairs(wakeups.open_queues) do
    local is_for_nobody = may_be_paused and is_paused_queue(queue)
    if left > 0 and not is_for_nobody and fits(string.match(queue, '|(.*)$')) then
      left = left - wake_for(queue, math.min(count, left))
    end
  end
end
