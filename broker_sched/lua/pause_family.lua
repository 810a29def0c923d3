-- Have no task of a family handed out any more, or have them handed out again.
--
-- @args family paused
--   paused      1, 0
-- Reply { whether it is paused now: 1, 0; -1 when too many are and this one is not, 1 when that was changed, how many
--       tasks the family has, deferred steps left }
-- Cost  O(paused families + ready queues + waiting workers); its ready tasks are set apart in deferred steps
-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/tasks/resources.lua
-- @include lib/wakeups/wake_up.lua
-- @include lib/tasks/listing.lua
-- @include lib/deferred/backlog.lua
-- @include lib/deferred/run_deferred.lua
-- @include lib/hand_out/paused_families.lua

local MOST = 200 -- families: whoever asks for work reads them all

local function set_paused(families)
  local text = next(families) and cjson.encode(families) or ''
  OPTIONS.paused_families = text
  if text == '' then
    call('HDEL', key('config', ''), 'paused_families')
  else
    call('HSET', key('config', ''), 'paused_families', text)
  end
end

-- What its tasks would have taken that stand apart already, others may take now.
local function free_what_was_reserved()
  for _, queue in ipairs(call('SMEMBERS', key('ready_queues', ''))) do
    if is_paused_queue(queue) then
      for name in pairs(amounts(string.match(queue, '|(.*)$'))) do wakeups.freed[name] = true end
    end
  end
end

local function count_tasks()
  local count = 0
  for _, state in ipairs(STATES) do count = count + call('ZCARD', key('tasks:', state .. ':' .. ARGS.family)) end
  return count
end

local function pause_family()
  local families, count = {}, 0
  if OPTIONS.paused_families ~= '' then families = cjson.decode(OPTIONS.paused_families) end
  for _ in pairs(families) do count = count + 1 end
  local was_paused, pauses = families[ARGS.family] ~= nil, ARGS.paused == '1'
  local tasks = count_tasks()
  local is_off = pauses and OPTIONS.pause_enabled ~= 1
  if is_off or was_paused == pauses then return { was_paused and 1 or 0, 0, tasks, 0 } end
  if pauses and count >= MOST then return { -1, 0, tasks, 0 } end
  families[ARGS.family] = pauses and NOW or nil
  set_paused(families)
  if pauses then
    free_what_was_reserved()
    add_deferred_step('set_apart', '0', ARGS.family)
  else
    wakeups.wake_everybody()
  end
  return { pauses and 1 or 0, 1, tasks, run_deferred(105) }
end

return answer(pause_family, { 'pause_enabled' })
