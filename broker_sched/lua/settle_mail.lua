-- A server is about to send a mail, or is done with it.
--
-- @args server lock_ms action mail_id
--   lock_ms     how long the lock holds on
--   action      begin, end (it was sent, or given up), leave (no more mails now: the lock goes)
--   mail_id     '' to leave
-- Reply begin: 1 when the mail is there and the server has the lock, else 0; the others: 1
-- Cost  O(1)
-- @include lib/core/header.lua

return answer(function()
  local is_holder = call('GET', key('mail:lock', '')) == ARGS.server
  if ARGS.action == 'end' then
    call('HDEL', key('mail:outbox', ''), ARGS.mail_id)
  elseif ARGS.action == 'leave' then
    if is_holder then call('DEL', key('mail:lock', '')) end
  elseif not is_holder or call('HEXISTS', key('mail:outbox', ''), ARGS.mail_id) == 0 then
    return 0
  else
    call('PEXPIRE', key('mail:lock', ''), ARGS.lock_ms)
  end
  return 1
end)
