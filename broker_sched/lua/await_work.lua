-- A worker that was given nothing will wait. Note that, unless there is something for it by now.
--
-- @args worker assistant mailbox seconds
--   assistant   0, 1
--   mailbox     the list wake:<mailbox> that the caller reads
--   seconds     for how long it waits; 0: it waits no more
-- Reply { 1 when it should ask for work at once, else 0, seconds until something is due for pruning or '' }
-- Cost  that of get_work
-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/workers/workers.lua
-- @include lib/deferred/run_deferred.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/choosing.lua

local BUDGET = 60
local AS_ASSISTANT = ARGS.assistant == '1'

-- Its wait is ended. A worker that was woken just now passes the call on.
local function leave(worker)
  if (worker.woken or '') ~= '' then call('HSET', key('worker:', worker.id), 'woken', '') end -- it won't ask now
  if not wakeups.wake(worker.w) then
    for _, queue in ipairs(own_queues(worker, AS_ASSISTANT)) do wakeups.note(queue) end
  end
  return { 0, '' }
end

-- Seconds until a retry, or the end of a disable, is due; '' when nothing is.
local function next_due()
  local times = {}
  if OPTIONS.retry_delay >= 0 then
    times[1] = tonumber(call('ZRANGE', key('due:retry', ''), 0, 0, 'WITHSCORES')[2])
  end
  local disabled_at = tonumber(call('ZRANGE', key('due:enable', ''), 0, 0, 'WITHSCORES')[2])
  if disabled_at then times[#times + 1] = disabled_at + OPTIONS.disable_persist end
  if #times == 0 then return '' end
  return string.format('%.3f', math.max(0, math.min(unpack(times)) - NOW))
end

local function await_work()
  local worker = find_worker(ARGS.worker)
  local seconds = tonumber(ARGS.seconds)
  if seconds == 0 then return worker and leave(worker) or { 0, '' } end
  worker = touch_worker(ARGS.worker)
  run_deferred(BUDGET)
  if call('EXISTS', key('messages:', worker.id)) == 1 then return { 1, '' } end
  local may_have_work = false
  if not worker.disabled and OPTIONS.paused ~= 1 then
    local task, may_be_more = choose(worker, AS_ASSISTANT)
    may_have_work = task or may_be_more
    run_deferred(BUDGET) -- what was put right on the way is told to others
  end
  if may_have_work then return { 1, '' } end
  call('HSET', key('worker:', worker.id), 'mailbox', ARGS.mailbox, 'woken', '')
  for _, kind in ipairs({ 'idle', 'idle_assistants' }) do
    call('ZREMRANGEBYSCORE', key(kind, ''), '-inf', NOW_TEXT)
  end
  local kind = AS_ASSISTANT and 'idle_assistants' or 'idle'
  call('ZADD', key(kind, ''), string.format('%.6f', NOW + seconds), worker.w)
  return { 0, next_due() }
end

return answer(await_work, { 'paused', 'retry_delay', 'disable_persist' })
