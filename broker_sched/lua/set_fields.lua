-- Set fields of one of the namespace's two plain hashes, config or resources.
--
-- @args hash option fields…
--   option      the one that must be on, '' for none
--   fields      field, value, field, value, …
-- Reply 1, or 0 when the option is off
-- Cost  O(fields); with limits, and at the end of a pause, O(waiting workers)
-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua

local MAX_UNPACKED = 1000 -- Lua's stack holds some thousand values

local function set_fields()
  if ARGS.option ~= '' and OPTIONS[ARGS.option] ~= 1 then return 0 end
  for start = 1, #ARGS.fields, MAX_UNPACKED do
    local some = {}
    for index = start, math.min(start + MAX_UNPACKED - 1, #ARGS.fields) do some[#some + 1] = ARGS.fields[index] end
    call('HSET', key(ARGS.hash, ''), unpack(some))
  end
  local is_end_of_pause = ARGS.fields[1] == 'paused' and ARGS.fields[2] == '0'
  if ARGS.hash == 'resources' or is_end_of_pause then wakeups.wake_everybody() end
  return 1
end

return answer(set_fields)
