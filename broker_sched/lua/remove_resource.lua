-- Take a resource's limit away, so that it is 1 again.
--
-- @args resource
-- Reply the limit that it had, '' for none
-- Cost  O(waiting workers)
-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua

return answer(function()
  local limit = call('HGET', key('resources', ''), ARGS.resource)
  if not limit then return '' end
  call('HDEL', key('resources', ''), ARGS.resource)
  wakeups.wake_everybody()
  return limit
end)
