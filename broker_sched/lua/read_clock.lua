-- The time by which all scripts go, in seconds. Nothing is changed.
--
-- @args
-- Reply now
-- Cost  O(1)
-- @include lib/core/header.lua

return answer(function() return NOW_TEXT end)
