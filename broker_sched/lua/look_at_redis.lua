-- What Redis tells of itself, and the time. Nothing is changed.
--
-- @args
-- Reply { now (s), INFO server, INFO memory, INFO persistence }; a text is empty where Redis has none, or where its
--       user may not ask
-- Cost  O(1)
-- @include lib/core/header.lua

-- A user of Redis without the permission shall see all the rest: so it is tried.
local function info(section)
  local reply = redis.pcall('INFO', section)
  return type(reply) == 'string' and reply or ''
end

return answer(function() return { NOW_TEXT, info('server'), info('memory'), info('persistence') } end)
