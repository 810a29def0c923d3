-- Mails that were made of the oldest notes go to the outbox, and these notes go: both or, when another server has taken
-- over meanwhile, neither.
--
-- @args server note_count unlisted_count mails…
--   mails       mail id, mail (JSON), …
-- Reply 1; 0 when another server has taken over
-- Cost  O(notes + mails)
-- @include lib/core/header.lua

return answer(function()
  if call('GET', key('mail:lock', '')) ~= ARGS.server then return 0 end
  call('LTRIM', key('mail:notes', ''), ARGS.note_count, -1)
  if tonumber(ARGS.unlisted_count) > 0 and call('DECRBY', key('mail:unlisted', ''), ARGS.unlisted_count) <= 0 then
    call('DEL', key('mail:unlisted', ''))
  end
  for index = 1, #ARGS.mails, 2 do call('HSET', key('mail:outbox', ''), ARGS.mails[index], ARGS.mails[index + 1]) end
  return 1
end)
