-- Who holds a token. That it was used is noted once a minute.
--
-- @args digest
-- Reply { its name, its role, when it expired (s), '' when it has not }; empty when there is no such token
-- Cost  O(1)
-- @include lib/core/header.lua

local NOTED_SECONDS = 60

return answer(function()
  local text = call('HGET', key('tokens', ''), ARGS.digest)
  if not text then return {} end
  local token = cjson.decode(text)
  if token.expires and token.expires <= NOW then return { token.name, token.role, number_text(token.expires) } end
  if not token.used or token.used < NOW - NOTED_SECONDS then
    token.used = NOW
    call('HSET', key('tokens', ''), ARGS.digest, cjson.encode(token))
  end
  return { token.name, token.role, '' }
end)
