-- Forget a token, so that it is refused from now on.
--
-- @args digest
-- Reply 1, 0 when there was none
-- Cost  O(1)
-- @include lib/core/header.lua

return answer(function() return call('HDEL', key('tokens', ''), ARGS.digest) end)
