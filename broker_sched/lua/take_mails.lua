-- A server that sends mails asks what there is to do, and has it to itself for a while.
--
-- mail:outbox  hash, mail id → mail (JSON): written, and not sent yet
-- mail:lock    the server that makes and sends mails at the moment
--
-- @args server lock_ms interval_seconds
--   lock_ms     how long the lock holds
--   interval_seconds  how long notes are collected, where batch_emails is on
-- Reply { batch_emails, number of notes that are due, number of unlisted ones, { a mail of the outbox, … } };
--       nothing is due while another server has the lock
-- Cost  O(mails in the outbox)
-- @include lib/core/header.lua

local SERVER_SECONDS = 604800

local function oldest_note_is_due(batch_emails)
  local oldest = call('LINDEX', key('mail:notes', ''), 0)
  if not oldest then return false end
  local seconds = batch_emails == 1 and tonumber(ARGS.interval_seconds) or 0
  return tonumber(cjson.decode(oldest).time) + seconds <= NOW
end

return answer(function()
  local batch_emails = OPTIONS.batch_emails == 1 and 1 or 0
  call('SET', key('mail:server', ''), '1', 'EX', SERVER_SECONDS)
  local is_due = oldest_note_is_due(batch_emails)
  if not is_due and call('EXISTS', key('mail:outbox', '')) == 0 then return { batch_emails, 0, 0, {} } end
  local holder = call('GET', key('mail:lock', ''))
  if holder and holder ~= ARGS.server then return { batch_emails, 0, 0, {} } end
  call('SET', key('mail:lock', ''), ARGS.server, 'PX', ARGS.lock_ms)
  local count = is_due and call('LLEN', key('mail:notes', '')) or 0
  local unlisted = is_due and tonumber(call('GET', key('mail:unlisted', '')) or 0) or 0
  return { batch_emails, count, unlisted, call('HVALS', key('mail:outbox', '')) }
end)
