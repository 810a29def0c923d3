-- Forget a token, so that it is refused from now on.
--
-- @args digest
-- Reply 1, 0 when there was none
-- Cost  O(1)
-- @include lib/core/header.lua
-- @include lib/access/ended_logins.lua

return answer(function()
  local count = call('HDEL', key('tokens', ''), ARGS.digest)
  if count > 0 then note_ended_login() end
  return count
end)
