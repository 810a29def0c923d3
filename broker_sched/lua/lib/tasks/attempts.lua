-- Attempts: each hand-out of a task has a number, higher than that of any earlier one, in the task's field `attempt`.
-- It is the time in microseconds, so that it also rises when the task was removed, or Redis lost its last second.

-- @include lib/core/header.lua

-- The number of the next hand-out, after this one (nil for none so far), as text.
local function attempt_after(previous)
  return string.format('%.0f', math.max(math.floor(NOW * 1000000), tonumber(previous or 0) + 1))
end
