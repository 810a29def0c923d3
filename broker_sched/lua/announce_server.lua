-- Note that a server process is at work, or has ended. Those that were not seen for a minute are forgotten.
--
-- @args server entry
--   entry   what it tells of itself, a JSON object; '' when it ends
-- Reply 0
-- Cost  O(server processes)
-- @include lib/core/header.lua

local GONE_SECONDS = 60

local function announce_server()
  local servers = key('servers', '')
  if ARGS.entry == '' then
    call('HDEL', servers, ARGS.server)
    return 0
  end
  local told = cjson.decode(ARGS.entry)
  told.seen = NOW
  call('HSET', servers, ARGS.server, cjson.encode(told))
  local flat = call('HGETALL', servers)
  for index = 1, #flat, 2 do
    if cjson.decode(flat[index + 1]).seen < NOW - GONE_SECONDS then call('HDEL', servers, flat[index]) end
  end
  return 0
end

return answer(announce_server)
