-- Remember what a login at another place began with, until the browser comes back from there.
--
-- @args digest login seconds
--   digest   SHA-256 of the state that the browser brings back, in hex
--   login    what to know then, a JSON object
-- Reply 1; 0 when so many are under way that this one finds no room
-- Cost  O(log logins + those that are over)
-- @include lib/core/header.lua

local MOST = 10000 -- anybody may begin one

return answer(function()
  local logins = key('logins', '')
  call('ZREMRANGEBYSCORE', logins, '-inf', NOW_TEXT)
  if call('ZCARD', logins) >= MOST then return 0 end
  call('ZADD', logins, number_text(NOW + tonumber(ARGS.seconds)), ARGS.digest)
  call('SET', key('login:', ARGS.digest), ARGS.login, 'EX', ARGS.seconds)
  return 1
end)
