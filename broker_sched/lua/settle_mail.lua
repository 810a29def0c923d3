-- A server is about to send a mail, or is done with it.
--
-- ARGV  6 server  7 how long the lock holds on (ms)  8 what: begin, end (it was sent, or given up), leave (no more
--       mails now: the lock goes)  9 mail id, '' to leave
-- Reply begin: 1 when the mail is there and the server has the lock, else 0; the others: 1
-- Cost  O(1)
-- @include lib/core/header.lua

return answer(function()
  local is_holder = call('GET', key('mail:lock', '')) == ARGV[6]
  if ARGV[8] == 'end' then
    call('HDEL', key('mail:outbox', ''), ARGV[9])
  elseif ARGV[8] == 'leave' then
    if is_holder then call('DEL', key('mail:lock', '')) end
  elseif not is_holder or call('HEXISTS', key('mail:outbox', ''), ARGV[9]) == 0 then
    return 0
  else
    call('PEXPIRE', key('mail:lock', ''), ARGV[7])
  end
  return 1
end)
