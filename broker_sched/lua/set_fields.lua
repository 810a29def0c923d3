-- Set fields of one of the namespace's two plain hashes, config or resources.
--
-- ARGV  6 hash  7 the option that must be on, or ''  8… field, value, field, value, …
-- Reply 1, or 0 when the option is off
-- Cost  O(fields)
-- @include lib/header.lua

local function set_fields()
  if ARGV[7] ~= '' and OPTIONS[ARGV[7]] ~= 1 then return 0 end
  if #ARGV >= 8 then call('HSET', key(ARGV[6], ''), unpack(ARGV, 8)) end
  return 1
end

return answer(set_fields)
