-- End sessions, so that their cookies are refused from now on.
--
-- @args digests…
-- Reply how many there were
-- Cost  O(log sessions) each
-- @include lib/core/header.lua
-- @include lib/access/ended_logins.lua

return answer(function()
  local count = 0
  for index = 1, #ARGS.digests do
    call('ZREM', key('sessions', ''), ARGS.digests[index])
    count = count + call('DEL', key('session:', ARGS.digests[index]))
  end
  if count > 0 then note_ended_login() end
  return count
end)
