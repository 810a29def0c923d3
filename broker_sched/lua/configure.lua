-- Make the namespace ready: write the schema version and the options that are given, or absent so far.
--
-- ARGV  1 to 5 as in lib/core/header.lua  6 number of options given  7… option, value (given), then the defaults
-- Reply the configuration's version, raised whenever an option changes
-- Cost  O(options)
local call = redis.call
local config = ARGV[1] .. 'config'
local schema = call('HGET', config, 'schema')
if schema and schema ~= ARGV[2] then return redis.error_reply('BSCHED_SCHEMA ' .. schema) end
if not schema then
  call('HSET', config, 'schema', ARGV[2], 'paused', '0', 'version', '0', 'lowest_priority', '0')
  -- Ten digits from the first task on: numbers as text sort like numbers.
  call('HSETNX', ARGV[1] .. 'counters', 'task', '1000000000')
end
local first_default = 7 + 2 * tonumber(ARGV[6])
local changed = false
for index = 7, #ARGV, 2 do
  local name, value = ARGV[index], ARGV[index + 1]
  local old = call('HGET', config, name)
  if old ~= value and (index < first_default or not old) then
    call('HSET', config, name, value)
    changed = true
  end
end
if changed then call('HINCRBY', config, 'version', 1) end
return tonumber(call('HGET', config, 'version'))
