-- Mails that were made of the oldest notes go to the outbox, and these notes go: both or, when another server has taken
-- over meanwhile, neither.
--
-- ARGV  6 server  7 number of notes  8 number of unlisted ones  9… mail id, mail (JSON), …
-- Reply 1; 0 when another server has taken over
-- Cost  O(notes + mails)
-- @include lib/core/header.lua

return answer(function()
  if call('GET', key('mail:lock', '')) ~= ARGV[6] then return 0 end
  call('LTRIM', key('mail:notes', ''), ARGV[7], -1)
  if tonumber(ARGV[8]) > 0 and call('DECRBY', key('mail:unlisted', ''), ARGV[8]) <= 0 then
    call('DEL', key('mail:unlisted', ''))
  end
  for index = 9, #ARGV, 2 do call('HSET', key('mail:outbox', ''), ARGV[index], ARGV[index + 1]) end
  return 1
end)
