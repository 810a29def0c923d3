-- Note that a worker lives and hand over the messages that wait for it.
--
-- ARGV  6 worker
-- Reply the messages, each JSON
-- Cost  O(messages)
-- Source: luigi.scheduler.Scheduler.ping, 3.8.1.
-- @include lib/header.lua
-- @include lib/workers.lua

local function ping()
  local worker = touch_worker(ARGV[6])
  local messages = call('LRANGE', key('messages:', worker.id), 0, -1)
  if #messages > 0 then call('DEL', key('messages:', worker.id)) end
  return messages
end

-- Only a reply with messages, which are gone from Redis now, must be kept.
local function if_any(messages)
  return messages[1] and messages
end

return answer(ping, {}, if_any)
