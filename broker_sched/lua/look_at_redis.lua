-- What Redis tells of itself. Nothing is changed.
--
-- @args section
--   section  of INFO: server, memory or persistence
-- Reply the text of the section, empty where Redis has none, or where its user may not ask
-- Cost  O(1)
-- @include lib/core/header.lua

-- A user of Redis without the permission shall see all the rest: so it is tried.
return answer(function()
  local reply = redis.pcall('INFO', ARGS.section)
  return type(reply) == 'string' and reply or ''
end)
