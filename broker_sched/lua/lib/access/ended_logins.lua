-- The stream `ended_logins`: that sessions or tokens were revoked, for servers that answer somebody for a long time. It
-- says neither which nor whose: they look who may stay.

-- @include lib/core/header.lua

local function note_ended_login()
  call('XADD', key('ended_logins', ''), 'MAXLEN', '~', 100, '*', 'time', NOW_TEXT)
end
