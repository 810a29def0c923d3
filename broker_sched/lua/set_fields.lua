-- Set fields of one of the namespace's two plain hashes, config or resources.
--
-- ARGV  6 hash  7 the option that must be on, or ''  8… field, value, field, value, …
-- Reply 1, or 0 when the option is off
-- Cost  O(fields); with limits, and at the end of a pause, O(waiting workers)
-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua

local MAX_UNPACKED = 1000 -- Lua's stack holds some thousand values

local function set_fields()
  if ARGV[7] ~= '' and OPTIONS[ARGV[7]] ~= 1 then return 0 end
  for start = 8, #ARGV, MAX_UNPACKED do
    call('HSET', key(ARGV[6], ''), unpack(ARGV, start, math.min(start + MAX_UNPACKED - 1, #ARGV)))
  end
  if ARGV[6] == 'resources' or (ARGV[8] == 'paused' and ARGV[9] == '0') then wakeups.wake_everybody() end
  return 1
end

return answer(set_fields)
