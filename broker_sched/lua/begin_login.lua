-- Remember what a login at another place began with, until the browser comes back from there.
--
-- @args digest login seconds address
--   digest   SHA-256 of the state that the browser brings back, in hex
--   login    what to know then, a JSON object
--   address  by which the client is counted; '' for one that is not
-- Reply 1; 0 when so many are under way, or were begun from this address meanwhile, that this one finds no room
-- Cost  O(log logins + those that are over)
-- @include lib/core/header.lua

local MOST, MOST_OF_ADDRESS = 10000, 500 -- anybody may begin one, and shall keep nobody else from it

local function is_one_too_many()
  if ARGS.address == '' then return false end
  local begun = key('logins_begun:', ARGS.address)
  local count = call('INCR', begun)
  if count == 1 then call('EXPIRE', begun, ARGS.seconds) end
  return count > MOST_OF_ADDRESS
end

return answer(function()
  if is_one_too_many() then return 0 end
  local logins = key('logins', '')
  call('ZREMRANGEBYSCORE', logins, '-inf', NOW_TEXT)
  if call('ZCARD', logins) >= MOST then return 0 end
  call('ZADD', logins, number_text(NOW + tonumber(ARGS.seconds)), ARGS.digest)
  call('SET', key('login:', ARGS.digest), ARGS.login, 'EX', ARGS.seconds)
  return 1
end)
