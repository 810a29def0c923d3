-- Workers that wait for work (see await_work.lua) are woken, so that they need not ask again and again:
--
--   idle, idle_assistants   sorted sets of waiting workers w, by until when they wait (s); a woken one is taken out
--   wake:<mailbox>          list of ids of woken workers; whoever waits for them pops it. worker:<id> names the mailbox
--
-- A script notes here what may have become possible. When it ends, and anybody waits, it wakes (wake_up.lua).

-- @include lib/core/header.lua

local wakeups = {
  open_queues = {}, -- by ready queue: for how many of its tasks this script made it possible to run
  freed = {}, -- names of resources of which this script gave something back, or that a ready task wants no more
  is_idle = nil, -- does any worker wait that is no assistant? nil before this script has looked
  may_leave = nil, -- the workers, { w = true }, for which no task counts any more, perhaps; nil while there are none
}

function wakeups.note(queue)
  wakeups.open_queues[queue] = (wakeups.open_queues[queue] or 0) + 1
end

-- The last task that counted in this runner set does no more: its workers may wait for nothing (may_leave.lua). They
-- are noted now, since the runner set may be gone when the script ends.
function wakeups.note_without_tasks(runner_set)
  if wakeups.is_idle == nil then wakeups.is_idle = call('EXISTS', key('idle', '')) == 1 end
  if not wakeups.is_idle then return end
  wakeups.may_leave = wakeups.may_leave or {}
  for _, w in ipairs(call('SRANDMEMBER', key('runner_set:', runner_set .. ':workers'), 50)) do
    wakeups.may_leave[w] = true
  end
end

function wakeups.is_anybody_waiting()
  return call('EXISTS', key('idle', ''), key('idle_assistants', '')) > 0
end

-- Wake a worker; false when it does not wait. Its mailbox is read within a few seconds, or nobody reads it any more.
function wakeups.wake(w)
  if call('ZREM', key('idle', ''), w) + call('ZREM', key('idle_assistants', ''), w) == 0 then return false end
  local id = call('HGET', key('worker_ids', ''), w)
  local mailbox = id and call('HGET', key('worker:', id), 'mailbox')
  if not mailbox then return false end
  call('HSET', key('worker:', id), 'woken', NOW_TEXT)
  call('RPUSH', key('wake:', mailbox), id)
  call('EXPIRE', key('wake:', mailbox), 60)
  return true
end

-- At most a thousand of them: the others ask on their own, some seconds later.
function wakeups.wake_everybody()
  for _, kind in ipairs({ 'idle', 'idle_assistants' }) do
    local waiting = call('ZRANGEBYSCORE', key(kind, ''), '(' .. NOW_TEXT, '+inf', 'LIMIT', 0, 1000)
    for _, w in ipairs(waiting) do wakeups.wake(w) end
  end
end
