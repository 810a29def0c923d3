-- Remember that an account has logged in from an address. See check_login.lua.
--
-- @args pair
--   pair        a digest of the user's name and the address
-- Reply 1
-- Cost  O(1)
-- @include lib/core/header.lua

local KEPT_SECONDS = 90 * 86400

return answer(function()
  call('SET', key('failed_logins:right:', ARGS.pair), '1', 'EX', tostring(KEPT_SECONDS))
  call('DEL', key('failed_logins:pair:', ARGS.pair))
  return 1
end)
