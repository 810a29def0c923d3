-- Begin the session of somebody who has logged in with a browser. Sessions that are over are dropped from the list.
--
-- @args digest session idle_seconds most_seconds
--   digest        SHA-256 of what the browser has as its cookie, in hex
--   session       who it is, a JSON object
--   idle_seconds  after which it ends when nothing comes
--   most_seconds  after which it ends in any case
-- Reply 0
-- Cost  O(log sessions + those that are over)
-- @include lib/core/header.lua

return answer(function()
  local session = cjson.decode(ARGS.session)
  local idle, most = tonumber(ARGS.idle_seconds), tonumber(ARGS.most_seconds)
  session.started, session.seen, session.ends, session.idle = NOW, NOW, NOW + most, idle
  call('ZREMRANGEBYSCORE', key('sessions', ''), '-inf', NOW_TEXT)
  call('ZADD', key('sessions', ''), number_text(session.ends), ARGS.digest)
  call('SET', key('session:', ARGS.digest), cjson.encode(session), 'EX', tostring(math.ceil(math.min(idle, most))))
  return 0
end)
