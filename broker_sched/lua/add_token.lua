-- Keep a token of which only the digest is known here. Those that ended long ago are dropped.
--
-- @args digest id name role by seconds
--   digest      SHA-256 of the token, in hex
--   seconds     until it expires; '' for never
-- Reply when it expires (s), '' for never
-- Cost  O(tokens)
-- @include lib/core/header.lua

local KEPT_SECONDS = 30 * 86400 -- after the end, so that people see why a token is refused

local function drop_old()
  local flat = call('HGETALL', key('tokens', ''))
  for index = 1, #flat, 2 do
    local expires = cjson.decode(flat[index + 1]).expires
    if expires and expires < NOW - KEPT_SECONDS then call('HDEL', key('tokens', ''), flat[index]) end
  end
end

return answer(function()
  drop_old()
  local token = { id = ARGS.id, name = ARGS.name, role = ARGS.role, by = ARGS.by, created = NOW }
  if ARGS.seconds ~= '' then token.expires = NOW + tonumber(ARGS.seconds) end
  call('HSET', key('tokens', ''), ARGS.digest, cjson.encode(token))
  return token.expires and number_text(token.expires) or ''
end)
