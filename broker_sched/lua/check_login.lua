-- How long a login must wait that has failed too often. Whoever asks may be anybody, so nothing is written.
--
-- An address may fail 10 times within 15 minutes; then each further try waits twice as long as the one before, 300 s at
-- the most. Where an account was tried wrongly 20 times, by whomever, an address may fail only twice. An address that
-- has never failed does not wait: so nobody can lock out another by failing on their account.
--
-- Many may share an address. So an account that has logged in from there before waits only for failures of its own
-- there, whatever others do.
--
-- @args account address pair
--   account     a digest of the user's name: what is typed there may be a password
--   pair        a digest of the user's name and the address
-- Reply seconds as a text; '0' when it may be tried now
-- Cost  O(1)
-- @include lib/core/header.lua

local FREE, FREE_OF_TRIED, TRIED_OFTEN = 10, 2, 20
local LONGEST_SECONDS = 300

local function wait(beyond, last)
  if beyond < 0 then return '0' end
  local until_when = tonumber(last) + math.min(2 ^ beyond, LONGEST_SECONDS)
  return number_text(math.max(0, until_when - NOW))
end

return answer(function()
  if call('EXISTS', key('failed_logins:right:', ARGS.pair)) == 1 then
    local own = call('HMGET', key('failed_logins:pair:', ARGS.pair), 'count', 'last')
    return wait(tonumber(own[1] or '0') - FREE, own[2])
  end
  local failed = call('HMGET', key('failed_logins:address:', ARGS.address), 'count', 'last')
  local count = tonumber(failed[1] or '0')
  local tried = tonumber(call('HGET', key('failed_logins:account:', ARGS.account), 'count') or '0')
  local beyond = count - (tried >= TRIED_OFTEN and FREE_OF_TRIED or FREE)
  return wait(beyond, failed[2])
end)
