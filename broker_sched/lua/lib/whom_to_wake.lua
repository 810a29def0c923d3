-- For each task that may be handed out now one waiting worker: one of the task's own, else an assistant. Few, so that
-- they don't all run for the same task. Those who get work wake others in turn; who dies on the way is missed when
-- others ask on their own, some seconds later.

local MAX_WOKEN = 50 -- by one script
local MAX_LOOKED_AT = 50 -- of a crew's workers

-- @lazy refuses lib/restrictions.lua

-- Whether the worker may have the group's tasks. Of those that stand with the others it finds out when it asks, and
-- sets apart what it must not have, which wakes the next one.
local function may_have(w, group)
  if not string.find(group, '^%d+@') then return true end
  local id = call('HGET', key('worker_ids', ''), w)
  local worker = id and find_worker(id)
  return worker and not ((worker.refuses or worker.modules) and refuses(worker, group))
end

-- One of the crew's own workers that waits; nil when none is found.
local function own_waiting(crew, group)
  for _, w in ipairs(call('SRANDMEMBER', key('crew:', crew .. ':workers'), MAX_LOOKED_AT)) do
    local until_when = call('ZSCORE', key('idle', ''), w)
    if until_when and tonumber(until_when) > NOW and may_have(w, group) then return w end
  end
  return nil
end

local function waiting_assistant(group)
  local count = string.find(group, '^%d+@') and MAX_LOOKED_AT or 1
  local waiting = call('ZREVRANGEBYSCORE', key('idle_assistants', ''), '+inf', '(' .. NOW_TEXT, 'LIMIT', 0, count)
  for _, w in ipairs(waiting) do
    if may_have(w, group) then return w end
  end
  return nil
end

-- Wake for up to `count` tasks of a group. Returns how many were woken.
local function wake_for(group, count)
  local crew = string.match(group, '^%d+')
  if crew == '0' then return 0 end
  count = math.min(count, call('ZCARD', key('ready:', group)))
  for woken = 1, count do
    local w = own_waiting(crew, group) or waiting_assistant(group)
    if not w then return woken - 1 end
    waking.wake(w)
  end
  return count
end

-- The ready groups that need something of what was freed.
local function open_what_waited()
  for _, group in ipairs(call('SMEMBERS', key('groups', ''))) do
    for name in pairs(amounts(string.match(group, '|(.*)$'))) do
      if waking.freed[name] then
        waking.note(group)
        break
      end
    end
  end
end

local function wake_up()
  if call('HGET', key('config', ''), 'paused') == '1' then return end
  if next(waking.freed) then open_what_waited() end
  local left = MAX_WOKEN
  for group, count in pairs(waking.open_groups) do
    if left > 0 and fits(string.match(group, '|(.*)$')) then
      left = left - wake_for(group, math.min(count, left))
    end
  end
end

return wake_up
