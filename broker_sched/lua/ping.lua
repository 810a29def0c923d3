-- Note that a worker lives and hand over the messages that wait for it.
--
-- @args worker start_id
--   start_id    '' for none
-- Reply the messages, each JSON; null when another worker has its name by now: then it has no contact, and no messages
-- Cost  O(messages)
-- Source: luigi.scheduler.Scheduler.ping, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/workers/workers.lua

local is_touched = false

local function ping()
  if is_replaced(find_worker(ARGS.worker), ARGS.start_id) then return false end
  local worker = touch_worker(ARGS.worker)
  is_touched = true
  if ARGS.start_id ~= '' and not worker.start_id then
    call('HSET', key('worker:', worker.id), 'start_id', ARGS.start_id)
  end
  local messages = call('LRANGE', key('messages:', worker.id), 0, -1)
  if #messages > 0 then call('DEL', key('messages:', worker.id)) end
  return messages
end

-- Only a reply with messages, which are gone from Redis now, must be kept. And that of a repetition: the lost request
-- may still arrive, and must not take messages that come after it.
local function if_any(messages, is_repetition)
  return messages and (is_repetition or messages[1]) and messages
end

local reply = answer(ping, {}, if_any)
if not is_touched and reply and not reply.err then touch_worker(ARGS.worker) end -- a repetition: it lives all the same
return reply
