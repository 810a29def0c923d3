-- Whose session it is. That it was used is noted once a minute, and puts off its end by idleness.
--
-- @args digest
-- Reply the session, a JSON object; '' when there is none, or none any more
-- Cost  O(1)
-- @include lib/core/header.lua

local NOTED_SECONDS = 60

return answer(function()
  local kept = key('session:', ARGS.digest)
  local text = call('GET', kept)
  if not text then return '' end
  local session = cjson.decode(text)
  if session.ends <= NOW or session.seen + session.idle <= NOW then return '' end
  if session.seen < NOW - math.min(NOTED_SECONDS, session.idle / 10) then
    session.seen = NOW
    text = cjson.encode(session)
    call('SET', kept, text, 'EX', tostring(math.ceil(math.min(session.idle, session.ends - NOW))))
  end
  return text
end)
