-- Return what a login began with, once: it is forgotten.
--
-- @args digest
-- Reply what begin_login was given; '' when there is none, or none any more
-- Cost  O(log logins)
-- @include lib/core/header.lua

return answer(function()
  local kept = key('login:', ARGS.digest)
  local login = call('GET', kept) or ''
  call('DEL', kept)
  call('ZREM', key('logins', ''), ARGS.digest)
  return login
end)
