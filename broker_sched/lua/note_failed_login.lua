-- Count a login that has failed, of its account and of its address. See check_login.lua.
--
-- @args account address pair
--   account     a digest of the user's name
--   pair        a digest of the user's name and the address
-- Reply 1
-- Cost  O(1)
-- @include lib/core/header.lua

local KEPT_SECONDS = 900

local function count(kept)
  call('HINCRBY', kept, 'count', '1')
  call('HSET', kept, 'last', NOW_TEXT)
  call('EXPIRE', kept, KEPT_SECONDS)
end

return answer(function()
  count(key('failed_logins:address:', ARGS.address))
  count(key('failed_logins:account:', ARGS.account))
  if call('EXISTS', key('failed_logins:right:', ARGS.pair)) == 1 then count(key('failed_logins:pair:', ARGS.pair)) end
  return 1
end)
